// Package faulty wraps a bucket into one that breaks as told, for tests of what
// stands on a bucket. A clean run records the calls; Matrix makes a list of runs
// of them, each of which breaks one call:
//
//	clean := faulty.New(bucket, nil)
//	… run …
//	for _, c := range faulty.Matrix(clean.Log()) {
//		broken := faulty.New(freshBucket, c.Script)
//		… run, check the result, and that broken.Fired() == 1 …
//	}
//
// Faults depend on the call alone, never on time or on the order of goroutines.
package faulty

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Bucket is a bucket that fails as its script says.
type Bucket struct {
	objstore.Bucket
	script Script
	sleep  func(context.Context, time.Duration) error

	mu     sync.Mutex
	seen   map[Call]int // calls so far by Op, Key and Part; Nth is zero
	log    []Call
	counts map[Op]int
	fired  int
	bodies int
}

// Option sets up a Bucket.
type Option func(*Bucket)

// WithSleep replaces the wait of Latency, e.g. to note it instead of waiting.
func WithSleep(sleep func(context.Context, time.Duration) error) Option {
	return func(b *Bucket) { b.sleep = sleep }
}

// New wraps inner. A nil script breaks nothing.
func New(inner objstore.Bucket, script Script, opts ...Option) *Bucket {
	if script == nil {
		script = func(Call) Fault { return Fault{} }
	}
	b := &Bucket{Bucket: inner, script: script, sleep: sleep, seen: make(map[Call]int), counts: make(map[Op]int)}
	for _, opt := range opts {
		opt(b)
	}
	return b
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Log returns the calls so far, in the order they began.
func (b *Bucket) Log() []Call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.log)
}

// Calls returns how often each operation was called.
func (b *Bucket) Calls() map[Op]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.counts)
}

// Fired returns how many faults happened. A matrix run whose fault did not happen
// has tested nothing.
func (b *Bucket) Fired() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fired
}

// OpenBodies returns how many bodies were opened and not yet closed.
func (b *Bucket) OpenBodies() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bodies
}

func (b *Bucket) count(n *int, by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*n += by
}

// begin records a call and returns its fault.
func (b *Bucket) begin(op Op, key string, part int64) Fault {
	c := Call{Op: op, Key: key, Part: part}
	b.mu.Lock()
	b.seen[c]++
	c.Nth = b.seen[c]
	b.log = append(b.log, c)
	b.counts[op]++
	b.mu.Unlock()
	return b.script(c)
}

// through makes a call that has no body: fault, do, or both.
func (b *Bucket) through(ctx context.Context, op Op, key string, part int64, do func() error) error {
	return b.inflict(ctx, op, key, b.begin(op, key, part), nil, do)
}

// inflict does what the fault says around do. half, when there is a body, reads
// half of it away.
func (b *Bucket) inflict(ctx context.Context, op Op, key string, f Fault, half func(), do func() error) error {
	switch f.Kind {
	case NotDone, Torn, Throttle:
		b.count(&b.fired, 1)
		if half != nil {
			half()
		}
		return f.fail(op, key)
	case ReplyLost:
		b.count(&b.fired, 1)
		if err := do(); err != nil {
			return err
		}
		return f.fail(op, key)
	case Latency:
		b.count(&b.fired, 1)
		if err := b.sleep(ctx, f.Wait); err != nil {
			return err
		}
	case None, Corrupt:
	}
	return do()
}

// fail is the error of a fault.
func (f Fault) fail(op Op, key string) error {
	e := &objstore.Error{Kind: objstore.ErrUnavailable, Op: string(op), Key: key, Message: "fault on purpose: " + f.Kind.String()}
	if f.Kind == Throttle {
		e.Kind, e.Status, e.Code, e.RetryAfter = objstore.ErrThrottled, 503, "SlowDown", f.Wait
	}
	if f.Err != nil {
		e.Kind = f.Err
	}
	return e
}

// keep returns v unless its reply was lost.
func keep[T any](v T, err error) T {
	if err != nil {
		var none T
		return none
	}
	return v
}
