package oms

import (
	"sync"
	"time"
)

// maxAddresses bounds what is remembered of addresses; above it the older half is
// forgotten.
const maxAddresses = 8192

// addresses is a rate for each address. Memory is bounded: two generations of
// addresses, the older of which is dropped when the younger is full.
type addresses struct {
	rate float64 // a second; below zero: no limit

	mu         sync.Mutex
	young, old map[string]*bucket
}

// bucket is a token bucket of two seconds' worth.
type bucket struct {
	tokens float64
	at     time.Time
}

// allow takes a token of an address.
func (a *addresses) allow(address string, now time.Time) bool {
	if a.rate < 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	most := max(1, 2*a.rate)
	b := a.young[address]
	if b == nil {
		if b = a.old[address]; b == nil {
			b = &bucket{most, now}
		}
		if a.young == nil || len(a.young) >= maxAddresses {
			a.young, a.old = make(map[string]*bucket), a.young
		}
		a.young[address] = b
	}
	b.tokens = min(most, b.tokens+max(0, now.Sub(b.at).Seconds())*a.rate)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
