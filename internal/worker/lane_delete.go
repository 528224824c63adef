package worker

import (
	"context"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Deletes books deletes by events; queue.Partitions does.
type Deletes interface {
	ReserveDeletes(ctx context.Context, id task.ID, at time.Time, n, limit int64) (granted int64, err error)
}

// booker books the deletes of one lane. Those asked for while a booking runs share
// the next one.
type booker struct {
	deletes Deletes
	task    task.ID

	mu      sync.Mutex
	running bool
	next    *booking
}

// booking is one question to the database. granted counts down as its askers take.
type booking struct {
	n, granted int64
	err        error
	done       chan struct{}
}

// book asks for one delete within the limit, and says whether it was granted.
func (b *booker) book(ctx context.Context, limit int64) (bool, error) {
	b.mu.Lock()
	mine := b.next
	if mine == nil {
		mine = &booking{done: make(chan struct{})}
		b.next = mine
	}
	mine.n++
	if !b.running {
		b.running = true
		b.ask(ctx, limit)
	}
	b.mu.Unlock()
	select {
	case <-mine.done:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if mine.err != nil || mine.granted == 0 {
		return false, mine.err
	}
	mine.granted--
	return true, nil
}

// ask answers bookings until none waits. b.mu is held, but not while it asks.
func (b *booker) ask(ctx context.Context, limit int64) {
	for b.next != nil {
		asked := b.next
		b.next = nil
		n := asked.n
		b.mu.Unlock()
		granted, err := b.deletes.ReserveDeletes(ctx, b.task, time.Now(), n, limit)
		b.mu.Lock()
		asked.granted, asked.err = granted, err
		close(asked.done)
	}
	b.running = false
}

// hourLimit is how many deletes by events a guard allows in an hour; negative: any
// number.
func hourLimit(g plan.Guard) int64 {
	switch {
	case g.MaxDeletes == 0:
		return plan.DefaultMaxDeletes
	case g.MaxDeletes < 0:
		return -1
	}
	return g.MaxDeletes
}

// sourceCheck looks whether the source is there, and whether it holds anything: a
// vanished or emptied source deletes nothing. Keys share an answer while it is fresh.
type sourceCheck struct {
	unwanted func(prefix string) bool // by the filter, as objstore.ListOptions.Unwanted

	mu   sync.Mutex
	last *sourceAnswer
}

// sourceFresh is the age at which an answer counts no more: a source may be emptied
// between the answer and a delete that had to wait.
const sourceFresh = 2 * time.Second

type sourceAnswer struct {
	at    time.Time     // asked
	done  chan struct{} // closed once the answer is there
	holds bool
	err   error
}

// look returns an answer that was asked for no earlier than since. It waits no longer than
// ctx lives, whoever asks the source.
func (c *sourceCheck) look(ctx context.Context, src objstore.Bucket, since time.Time) (holds bool, err error) {
	c.mu.Lock()
	a := c.last
	first := a == nil || a.at.Before(since) || time.Since(a.at) > sourceFresh
	if first {
		a = &sourceAnswer{at: time.Now(), done: make(chan struct{})}
		c.last = a
	}
	c.mu.Unlock()
	if first {
		a.holds, a.err = holdsAny(ctx, src, c.unwanted)
		close(a.done)
	}
	select {
	case <-a.done:
		return a.holds, a.err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// holdsAny asks a bucket for its first object, and for full pages where that is hidden: the
// lists of a task may be many.
func holdsAny(ctx context.Context, b objstore.Bucket, unwanted func(prefix string) bool) (bool, error) {
	for _, size := range [...]int{1, 0} {
		for page, err := range b.List(ctx, objstore.ListOptions{PageSize: size, Unwanted: unwanted}) {
			if err != nil || len(page.Objects) > 0 {
				return err == nil, err
			}
			if size == 1 {
				break
			}
		}
	}
	return false, nil
}
