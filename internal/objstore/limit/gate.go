package limit

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// gate admits a number of requests at a time and adapts that number: it doubles
// each round until the store slows down, then adds one a round, takes a tenth off
// when latency rises, and halves when the store says so. A round is as many
// completions as the limit.
type gate struct {
	min, max float64

	mu       sync.Mutex
	limit    float64
	inFlight int
	waiting  []chan struct{} // FIFO; head is waiting[next]
	next     int

	starting bool // still doubling
	round    int  // completions since the last correction downwards
	short    float64
	base     float64 // the lowest smoothed latency lately, seconds
	baseAge  int     // completions since base was last lowered
}

func newGate(start, lowest, most int) *gate {
	return &gate{min: float64(lowest), max: float64(most), limit: float64(start), starting: start < most}
}

// acquire waits for a slot, first come first served.
func (g *gate) acquire(ctx context.Context) error {
	g.mu.Lock()
	if g.inFlight < int(g.limit) && g.next == len(g.waiting) {
		g.inFlight++
		g.mu.Unlock()
		return nil
	}
	ready := make(chan struct{})
	g.waiting = append(g.waiting, ready)
	g.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := g.next; i < len(g.waiting); i++ {
		if g.waiting[i] == ready {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return ctx.Err()
		}
	}
	g.leave() // the slot was handed over while the context ended
	return ctx.Err()
}

// release gives the slot back and learns from the request: its latency (0: do
// not learn) and its error.
func (g *gate) release(latency time.Duration, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	full := g.inFlight >= int(g.limit)
	g.learn(latency.Seconds(), err, full)
	g.leave()
}

func (g *gate) leave() {
	g.inFlight--
	for g.next < len(g.waiting) && g.inFlight < int(g.limit) {
		g.inFlight++
		close(g.waiting[g.next])
		g.waiting[g.next] = nil
		g.next++
	}
	if g.next == len(g.waiting) {
		g.waiting, g.next = g.waiting[:0], 0
	} else if g.next > 1024 && g.next*2 > len(g.waiting) {
		g.waiting = append(g.waiting[:0], g.waiting[g.next:]...)
		g.next = 0
	}
}

// Latency counts as risen when its short average is over twice the lowest one
// seen in the last hundred rounds or so, and by more than scheduling noise.
const (
	risenFactor = 2
	risenNoise  = 0.004 // seconds
	baseRounds  = 100
)

func (g *gate) learn(latency float64, err error, full bool) {
	g.round++
	roundOver := g.round >= int(g.limit)
	if err != nil && objstore.Transient(err) {
		if throttled(err) && roundOver {
			g.shrink(0.5)
		}
		return
	}
	if latency > 0 {
		if g.short == 0 {
			g.short = latency
		}
		g.short += (latency - g.short) / math.Max(8, g.limit/2)
		g.baseAge++
		if g.base == 0 || g.short < g.base || g.baseAge > baseRounds*int(g.limit) {
			g.base, g.baseAge = g.short, 0
		}
		if g.short > risenFactor*g.base && g.short > g.base+risenNoise {
			g.starting = false
			if roundOver {
				g.shrink(0.9)
			}
			return
		}
	}
	if !full || err != nil {
		return
	}
	if g.starting {
		g.limit = math.Min(g.max, g.limit+1)
	} else {
		g.limit = math.Min(g.max, g.limit+1/g.limit)
	}
}

func (g *gate) shrink(factor float64) {
	g.limit = math.Max(g.min, g.limit*factor)
	g.starting, g.round = false, 0
}

func (g *gate) now() (limit, inFlight int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int(g.limit), g.inFlight
}
