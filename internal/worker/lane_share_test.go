package worker

import (
	"context"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// oneElsewhere opens one task between other ends.
type oneElsewhere struct {
	Stores
	id   task.ID
	ends *Ends
}

func (s oneElsewhere) Open(ctx context.Context, id task.ID) (*Ends, error) {
	if id == s.id {
		return s.ends, nil
	}
	return s.Stores.Open(ctx, id)
}

// A task whose destination hangs does not take all slots of the node.
func TestTaskThatHangsLeavesSlotsToOthers(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	other := s.other()
	g := newGate(s.dst)
	ends, err := NewEnds(EndsConfig{
		Task: other, Src: retry.Wrap(s.src, retry.Policy{}), Dst: retry.Wrap(g, retry.Policy{}), Ours: func(task.ID) bool { return false },
	})
	s.must(err)
	var entries []queue.Entry
	for _, k := range keysNamed("k", 100) {
		s.put(s.src, k, k)
		entries = append(entries, queue.Entry{Key: k})
	}
	s.lanes(func(c *LanesConfig) { c.Stores, c.InFlight = oneElsewhere{s.stores, other.ID, ends}, 8 })
	defer close(g.open)
	_, err = s.in.Accept(t.Context(), queue.Batch{Task: other.ID, Entries: entries})
	s.must(err)
	s.until("the other has all the slots it may have", func() bool { return len(g.arrived) >= 8 })
	s.event("k00001", "k00002", "k00003")
	if c := s.settled(); c.Synced != 3 || len(g.arrived) != 8 {
		t.Errorf("%+v, and %d keys of the other are in flight", c, len(g.arrived))
	}
}
