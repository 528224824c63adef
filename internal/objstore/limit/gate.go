package limit

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// gate admits a number of requests at a time and adapts that number. It doubles
// each round while that makes the store do clearly more, then adds one a round
// while latency stays low, takes a tenth off when latency has risen, and halves
// when the store says so. A round is as many completions as the limit. (TCP's slow
// start and additive increase; the band between low and risen is that of TCP Vegas.)
// Latency alone never takes it below where it began: a busy machine of our own
// explains that much, and fewer requests at a time cost more CPU each.
type gate struct {
	min, start, max float64

	mu       sync.Mutex
	limit    float64
	inFlight int
	waiting  []chan struct{} // FIFO; head is waiting[next]
	next     int

	starting bool      // still doubling
	round    int       // completions since the last correction downwards, or of this doubling
	begun    time.Time // of this doubling
	before   float64   // the limit before this doubling
	best     float64   // completions a second of the best doubling so far

	short   float64 // smoothed latency, seconds
	base    float64 // the lowest smoothed latency lately, seconds
	baseAge int     // completions since base was last lowered
}

func newGate(start, lowest, most int) *gate {
	return &gate{min: float64(lowest), max: float64(most), limit: float64(start), start: float64(start), starting: start < most}
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

// release gives the slot back and learns from the request that ended at now: its
// latency (0: do not learn) and its error.
func (g *gate) release(now time.Time, latency time.Duration, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	full := g.inFlight >= int(g.limit)
	g.learn(now, latency.Seconds(), err, full)
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

// Latency is low up to lowFactor times the lowest smoothed one of the last hundred
// rounds or so, and risen from risenFactor times; noise is what scheduling adds.
const (
	lowFactor   = 1.3
	risenFactor = 2
	noise       = 0.002 // seconds
	baseRounds  = 100
	// worthwhile is how much more a doubling must achieve to be followed by another.
	worthwhile = 1.3
)

func (g *gate) learn(now time.Time, latency float64, err error, full bool) {
	g.round++
	roundOver := g.round >= int(g.limit)
	if err != nil && objstore.Transient(err) {
		if throttled(err) && roundOver {
			g.shrink(0.5, g.min)
		}
		return
	}
	if latency > 0 {
		g.smooth(latency)
	}
	switch {
	case g.short > risenFactor*g.base+noise:
		g.starting = false
		if roundOver {
			g.shrink(0.9, math.Min(g.start, g.limit))
		}
	case !full || err != nil:
	case g.starting:
		g.double(now)
	case g.short <= lowFactor*g.base+noise:
		g.limit = math.Min(g.max, g.limit+1/g.limit)
	}
}

// smooth follows latency, over half a round, and its lowest level.
func (g *gate) smooth(latency float64) {
	if g.short == 0 {
		g.short = latency
	}
	g.short += (latency - g.short) / math.Max(8, g.limit/2)
	g.baseAge++
	if g.base == 0 || g.short < g.base || g.baseAge > baseRounds*int(g.limit) {
		g.base, g.baseAge = g.short, 0
	}
}

// double adds one for each completion, so that the limit doubles in a round. When
// a round is over and was hardly faster than the one before, the limit goes back
// to where that one began and doubling ends.
func (g *gate) double(now time.Time) {
	if g.begun.IsZero() {
		g.begun, g.before, g.round = now, g.limit, 0
		return
	}
	g.limit = math.Min(g.max, g.limit+1)
	if g.round < int(2*g.before) { // half of it runs at the new limit
		return
	}
	rate := float64(g.round) / now.Sub(g.begun).Seconds()
	if rate < worthwhile*g.best {
		g.limit, g.starting = g.before, false
	}
	g.best, g.begun, g.before, g.round = rate, now, g.limit, 0
}

func (g *gate) shrink(factor, least float64) {
	g.limit = math.Max(least, g.limit*factor)
	g.starting, g.round = false, 0
}

func (g *gate) now() (limit, inFlight int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int(g.limit), g.inFlight
}
