// Package retry repeats requests that failed for a transient reason: Do for any
// piece of work, Wrap for a whole bucket. Permanent refusals are never repeated.
package retry

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Policy says how often and how patiently. The zero value is usable.
type Policy struct {
	Attempts int           // tries in all; 0 means 8
	Base     time.Duration // ceiling of the first wait; 0 means 100 ms
	Max      time.Duration // ceiling of any wait; 0 means 20 s
}

func (p Policy) withDefaults() Policy {
	if p.Attempts == 0 {
		p.Attempts = 8
	}
	if p.Base == 0 {
		p.Base = 100 * time.Millisecond
	}
	if p.Max == 0 {
		p.Max = 20 * time.Second
	}
	return p
}

// Wait returns how long to wait after the given failed attempt (from 1): full
// jitter under a doubling ceiling, never less than the store asked for. (Brooker,
// "Exponential Backoff And Jitter": full jitter clears a crowd fastest.)
func (p Policy) Wait(attempt int, err error) time.Duration {
	p = p.withDefaults()
	ceiling := p.Max
	if shift := attempt - 1; shift < 20 && p.Base<<shift < p.Max {
		ceiling = p.Base << shift
	}
	return max(rand.N(ceiling), min(objstore.RetryAfter(err), p.Max))
}

// Do calls f until it succeeds, fails for good, or the policy is exhausted, and
// returns the last error. The context's end while waiting returns that last error too.
func (p Policy) Do(ctx context.Context, f func() error) error {
	p = p.withDefaults()
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || !objstore.Transient(err) || attempt >= p.Attempts || !Sleep(ctx, p.Wait(attempt, err)) {
			return err
		}
	}
}

// Sleep waits for d and reports whether ctx is still alive.
func Sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Tries returns the number of tries in all.
func (p Policy) Tries() int { return p.withDefaults().Attempts }
