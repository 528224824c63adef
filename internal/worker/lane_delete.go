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

// sourceCheck looks once whether the source is there, and whether it holds
// anything: a vanished or emptied source deletes nothing.
type sourceCheck struct {
	once  sync.Once
	holds bool
	err   error
}

func (c *sourceCheck) look(ctx context.Context, src objstore.Bucket) (holds bool, err error) {
	c.once.Do(func() {
		for page, err := range src.List(ctx, objstore.ListOptions{PageSize: 1}) {
			if c.err = err; err != nil {
				return
			}
			if c.holds = len(page.Objects) > 0; c.holds {
				return
			}
		}
	})
	return c.holds, c.err
}
