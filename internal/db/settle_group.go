package db

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// settlements is the group commit of lanes: those that settle while a transaction waits
// or runs share one, so that a node with many lanes costs few fsyncs. One of the callers
// leads; the others wait for it.
type settlements struct {
	s       *Store
	leaders chan struct{} // a token for each transaction at a time

	mu      sync.Mutex
	waiting []*settleCall
}

// maxSettled bounds the records of a transaction, unless one call has more.
const maxSettled = 4000

// settleCall is one lane's settlement between the call and its commit. Who takes it out
// of line owns out and err until ended is closed.
type settleCall struct {
	lane  queue.Lane
	done  []queue.Settlement
	num   laneNum
	out   queue.Settled
	err   error
	ended chan struct{}
}

func newSettlements(s *Store, atOnce int) *settlements {
	return &settlements{s: s, leaders: make(chan struct{}, atOnce)}
}

// Settle implements queue.Lanes.
func (s *Store) Settle(ctx context.Context, lane queue.Lane, done []queue.Settlement) (queue.Settled, error) {
	g := s.settling
	c := &settleCall{lane: lane, done: done, ended: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	g.mu.Unlock()
	select {
	case <-c.ended:
	case g.leaders <- struct{}{}:
		if g.withdraw(c) {
			g.lead(ctx, c)
		}
		<-g.leaders
		<-c.ended
	case <-ctx.Done():
		if g.withdraw(c) {
			return queue.Settled{}, ctx.Err()
		}
		<-c.ended
	}
	if c.err != nil {
		return queue.Settled{}, s.eng.translate(c.err)
	}
	return c.out, nil
}

// withdraw takes a call out of line; false: somebody has.
func (g *settlements) withdraw(c *settleCall) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, c)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// join takes the calls in line that fit beside a group.
func (g *settlements) join(group []*settleCall) []*settleCall {
	n := 0
	for _, c := range group {
		n += len(c.done)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	i := 0
	for ; i < len(g.waiting) && n+len(g.waiting[i].done) <= maxSettled; i++ {
		n += len(g.waiting[i].done)
	}
	group = append(group, g.waiting[:i]...)
	g.waiting = slices.Delete(g.waiting, 0, i)
	return group
}

// lead settles c and whoever is in line once the transaction has begun. What the
// database refuses is tried again lane by lane: the trouble of one is not that of others.
func (g *settlements) lead(ctx context.Context, c *settleCall) {
	group := []*settleCall{c}
	err := g.s.write(ctx, func(ctx context.Context, t *txn) error {
		group = g.join(group)
		return settleGroup(ctx, t, group)
	})
	for _, c := range group {
		if err != nil && len(group) > 1 {
			alone := g.s.write(ctx, func(ctx context.Context, t *txn) error { return settleGroup(ctx, t, []*settleCall{c}) })
			if alone != nil {
				c.err = alone
			}
		} else if err != nil {
			c.err = err
		}
		close(c.ended)
	}
}

// settleGroup settles the lanes that are held, in an order that is the same for all.
func settleGroup(ctx context.Context, t *txn, group []*settleCall) error {
	for _, c := range group {
		c.num, c.out, c.err = laneNum{}, queue.Settled{}, nil
		num, err := t.s.taskNum(ctx, t, c.lane.Task)
		if err != nil && task.KindOf(err) != task.NotFound {
			return err
		}
		c.num, c.err = laneNum{num, c.lane.Shard}, err
	}
	w := newSettling(t)
	for _, c := range slices.SortedFunc(slices.Values(group), func(a, b *settleCall) int { return a.num.compare(b.num) }) {
		if c.err != nil {
			continue
		}
		switch err := holdLane(ctx, t, c.num, c.lane); {
		case errors.Is(err, queue.ErrStale):
			c.err = err
			continue
		case err != nil:
			return err
		}
		var err error
		if c.out, err = w.settle(ctx, c.num, c.done); err != nil {
			return err
		}
	}
	return w.flush(ctx)
}
