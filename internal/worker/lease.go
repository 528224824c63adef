package worker

import (
	"context"
	"errors"
	"time"
)

// How leases are kept. A dead node's work is taken over within 10 seconds: a lease
// and a sweep.
const (
	leaseTime = 7 * time.Second
	// leaseMargin is how long before the end of a lease its owner stops using it.
	leaseMargin = time.Second
	renewEvery  = leaseTime / 4
	sweepEvery  = 2 * time.Second
)

var (
	errLost    = errors.New("worker: the lease could not be renewed in time")
	errStopped = errors.New("worker: the node stops")
	errIdle    = errors.New("worker: the task does not work now")
)

// hold ends a context when a lease is lost, or not renewed in time.
type hold struct {
	lose   context.CancelCauseFunc
	expiry *time.Timer
}

// holdLease returns a context that lives as long as the lease, which was asked for
// at asked.
func holdLease(ctx context.Context, asked time.Time, lease time.Duration) (context.Context, *hold) {
	ctx, lose := context.WithCancelCause(ctx)
	h := &hold{lose: lose}
	h.expiry = time.AfterFunc(time.Until(asked.Add(lease-margin(lease))), func() { lose(errLost) })
	return ctx, h
}

// margin is the part of a lease that is not used.
func margin(lease time.Duration) time.Duration { return min(leaseMargin, lease/4) }

// renewed extends the hold. After it was lost that changes nothing.
func (h *hold) renewed(asked time.Time, lease time.Duration) {
	h.expiry.Reset(time.Until(asked.Add(lease - margin(lease))))
}

// end gives the hold up.
func (h *hold) end() {
	h.expiry.Stop()
	h.lose(context.Canceled)
}

// poke puts a token into a channel of one place, if there is room.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits for d, or a token, or the end of ctx, and says whether ctx lives.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	if ctx.Err() != nil {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}

// backoff is a wait that doubles with every failure in a row.
type backoff struct {
	base, most time.Duration
	failures   int
}

func (b *backoff) next() time.Duration {
	d := b.most
	if b.failures < 16 && b.base<<b.failures < b.most {
		d = b.base << b.failures
	}
	b.failures++
	return jittered(d)
}

func (b *backoff) ok() { b.failures = 0 }
