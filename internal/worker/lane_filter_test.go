package worker

import (
	"testing"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// What a scan found waits, e.g. because the task is paused, and a filter is given to it that
// leaves some of it alone: neither copied nor deleted.
func TestWaitingKeysHeedAChangedFilter(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{Deletes: true, Guard: task.Guard{MaxPercent: -1}})
	for _, k := range keysNamed("both/", 5) {
		s.put(s.src, k, k)
		s.put(s.dst, k, k)
	}
	for _, k := range append(keysNamed("mine/", 3), keysNamed("old/", 3)...) {
		s.put(s.dst, k, k)
	}
	for _, k := range []string{"mine/new", "old/new"} {
		s.put(s.src, k, k)
	}
	s.scans()
	s.janitor()
	j, err := s.db.StartJob(t.Context(), queue.JobStart{Task: s.task.ID, Kind: task.ScanJob}, task.Actor{})
	s.must(err)
	s.until("the guard has agreed", func() bool {
		p, err := s.db.ProveTask(t.Context(), s.task.ID)
		s.must(err)
		return p.Waiting == 8 && p.Staged == 0
	})
	s.change(func(k *task.Task) { k.Options.Filter = []string{"exclude mine/**"} })
	s.lanes(nil)
	s.settled()
	s.wantReasons(j.ID, map[task.Reason]int64{task.UpToDate: 5, task.Deleted: 3, task.Copied: 1, task.Excluded: 4})
	for _, k := range keysNamed("mine/", 3) {
		if _, there := s.text(s.dst, k); !there {
			t.Errorf("%s was deleted", k)
		}
	}
	if _, there := s.text(s.dst, "mine/new"); there {
		t.Error("mine/new was copied")
	}
	s.prove()
}
