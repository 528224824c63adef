package worker

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// refusing are stores that refuse a task while told to.
type refusing struct {
	*testStores
	task   task.Task
	kind   error
	refuse atomic.Bool
}

func (s *refusing) Open(ctx context.Context, id task.ID) (*Ends, error) {
	if s.refuse.Load() {
		return nil, Refused(s.task, transfer.Source, &objstore.Error{Kind: s.kind, Op: "probe", Code: "NoSuchBucket"})
	}
	return s.testStores.Open(ctx, id)
}

// Events of a task that a store refuses end failed, in lists of their own, and can be
// retried when the store takes it again. The counts hold all the while.
func TestRefusedTaskEndsItsEvents(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	st := &refusing{testStores: s.stores, task: s.task, kind: objstore.ErrBucketNotFound}
	st.task.Origin = task.OMS
	st.refuse.Store(true)
	s.lanes(func(c *LanesConfig) { c.Stores, c.Refused = st, time.Millisecond })
	const n = 50
	for i := range n {
		s.put(s.src, fmt.Sprint("k", i), "x")
		s.event(fmt.Sprint("k", i))
	}
	if c := s.settled(); c.Failed != n {
		t.Fatalf("%+v", c)
	}
	s.wantReasons("", map[task.Reason]int64{task.SourceBucketMissing: n})
	proof, err := s.db.ProveTask(t.Context(), s.task.ID)
	s.must(err)
	if err := proof.Check(); err != nil || proof.Stored[queue.ListUnstarted] != n || proof.Stored[queue.ListFailed] != 0 {
		t.Fatalf("%+v, %v", proof, err)
	}
	st.refuse.Store(false)
	job, err := s.db.StartJob(t.Context(), queue.JobStart{Task: s.task.ID, Kind: task.RetryJob}, task.Actor{})
	s.must(err)
	_, err = s.db.Retry(t.Context(), job.ID, queue.Retry{}, 0, 1000)
	s.must(err)
	s.must(s.db.CloseJob(t.Context(), job.ID))
	s.until("all are synced", func() bool { c := s.total(); return c.Synced == n && c.Pending() == 0 })
	s.prove()
}

// A store that does not answer is waited for, and so are refusals of other dialects' tasks.
func TestRefusedTasksThatWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		origin task.Dialect
		kind   error
	}{
		"native": {task.Native, objstore.ErrBucketNotFound},
		"away":   {task.OMS, objstore.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, task.Options{})
			st := &refusing{testStores: s.stores, task: s.task, kind: c.kind}
			st.task.Origin = c.origin
			st.refuse.Store(true)
			s.lanes(func(c *LanesConfig) { c.Stores, c.Refused = st, time.Millisecond })
			s.put(s.src, "k", "x")
			s.event("k")
			time.Sleep(500 * time.Millisecond) // several tries
			if c := s.total(); c.Pending() != 1 {
				t.Fatalf("%+v", c)
			}
			st.refuse.Store(false)
			if c := s.settled(); c.Synced != 1 {
				t.Fatalf("%+v", c)
			}
		})
	}
}
