package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func TestScanCopiesWhatIsMissing(t *testing.T) {
	t.Parallel()
	n := int64(20_000)
	if testing.Short() {
		n = 3000
	}
	s := newService(t, task.Options{Filter: []string{"exclude *.tmp"}})
	for i, k := range keysNamed("dir/", int(n)) {
		s.put(s.src, k, fmt.Sprint(i))
	}
	s.put(s.src, "x.tmp", "not this")
	s.lanes(nil)
	s.scans()
	s.janitor()
	j := s.scan()
	if j.State != task.JobDone || j.Counts.Synced != n || j.Counts.Ignored != 1 || j.Counts.Requested != n+1 {
		t.Fatalf("scan ended %s (%s) with %+v", j.State, j.Why, j.Counts)
	}
	s.prove()
	j = s.scan()
	if j.State != task.JobDone || j.Counts.Unchanged != n || j.Counts.Synced != 0 {
		t.Fatalf("second scan ended %s (%s) with %+v: it sees lists, or copies again", j.State, j.Why, j.Counts)
	}
	s.prove()
}

func TestScanListsUnchangedObjectsWhenTold(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{ListUnchanged: true})
	for _, k := range keysNamed("k", 30) {
		s.put(s.src, k, k)
		s.put(s.dst, k, k)
	}
	s.scans()
	s.janitor()
	if j := s.scan(); j.Counts.Unchanged != 30 {
		t.Fatalf("counts %+v, want 30 unchanged", j.Counts)
	}
	p, err := s.db.ProveTask(t.Context(), s.task.ID)
	s.must(err)
	if p.Unlisted != 0 || p.Stored[queue.ListIgnored] != 30 {
		t.Fatalf("%d lines, %d unlisted, want 30 and 0", p.Stored[queue.ListIgnored], p.Unlisted)
	}
	s.prove()
}

func TestDeletesOfAScan(t *testing.T) {
	t.Parallel()
	many := task.Options{Deletes: true, Guard: task.Guard{MaxPercent: 60}}
	for _, c := range []struct {
		name    string
		opt     task.Options
		prepare func(*service)
		state   task.JobState
		why     string
		want    map[task.Reason]int64
		left    int
	}{
		{"allowed", many, nil, task.JobDone, "", map[task.Reason]int64{task.UpToDate: 20, task.Deleted: 10}, 20},
		{"off", task.Options{}, nil, task.JobDone, "", map[task.Reason]int64{task.UpToDate: 20}, 30},
		{
			"too many",
			task.Options{Deletes: true, Guard: task.Guard{MaxDeletes: 9, MaxPercent: 60}},
			nil, task.JobStopped, "DELETE_LIMIT",
			map[task.Reason]int64{task.UpToDate: 20, task.GuardStopped: 10},
			30,
		},
		{
			"too large a share",
			task.Options{Deletes: true},
			nil, task.JobStopped, "DELETE_PERCENT",
			map[task.Reason]int64{task.UpToDate: 20, task.GuardStopped: 10},
			30,
		},
		{"empty source", task.Options{Deletes: true, Guard: task.Guard{MaxDeletes: -1, MaxPercent: -1}}, func(s *service) {
			for _, k := range keysNamed("both/", 20) {
				s.must(s.src.Delete(s.Context(), k, objstore.DeleteOptions{}))
			}
		}, task.JobStopped, "SOURCE_EMPTY", map[task.Reason]int64{task.GuardStopped: 30}, 30},
		{"vanished source", many, func(s *service) { s.src.Remove() }, task.JobFailed, string(task.SourceBucketMissing), map[task.Reason]int64{}, 30},
		{"broken listing", many, func(s *service) {
			s.stores.use(faulty.New(s.src, func(c faulty.Call) faulty.Fault {
				if c.Op == faulty.List {
					return faulty.Fault{Kind: faulty.NotDone, Err: objstore.ErrDenied}
				}
				return faulty.Fault{}
			}), nil)
		}, task.JobFailed, string(task.SourceDenied), map[task.Reason]int64{}, 30},
		{"unsorted listing", many, func(s *service) {
			s.stores.use(faulty.New(s.src, func(c faulty.Call) faulty.Fault {
				if c.Op == faulty.List {
					return faulty.Fault{Kind: faulty.NotDone, Err: objstore.ErrUnsorted}
				}
				return faulty.Fault{}
			}), nil)
		}, task.JobFailed, "LISTING_UNSORTED", map[task.Reason]int64{}, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, c.opt)
			for _, k := range keysNamed("both/", 20) {
				s.put(s.src, k, k)
				s.put(s.dst, k, k)
			}
			for _, k := range keysNamed("surplus/", 10) {
				s.put(s.dst, k, k)
			}
			if c.prepare != nil {
				c.prepare(s)
			}
			s.lanes(nil)
			s.scans()
			s.janitor()
			j := s.scan()
			if j.State != c.state || !strings.HasPrefix(j.Why, c.why) {
				t.Fatalf("scan ended %s (%s), want %s (%s…)", j.State, j.Why, c.state, c.why)
			}
			s.wantReasons(j.ID, c.want)
			if n := s.dst.Len(); n != c.left {
				t.Errorf("%d objects left, want %d", n, c.left)
			}
			s.prove()
		})
	}
}

func TestScanGoesOnAfterItsStoreWasAway(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	broken := faulty.New(s.src, func(c faulty.Call) faulty.Fault {
		if c.Op == faulty.List && c.Nth <= 9 && c.Key != "" {
			return faulty.Fault{Kind: faulty.NotDone}
		}
		return faulty.Fault{}
	})
	s.stores.use(broken, nil)
	for _, k := range keysNamed("k", 2500) {
		s.put(s.src, k, k)
	}
	s.lanes(nil)
	s.scans()
	s.janitor()
	if j := s.scan(); j.State != task.JobDone || j.Counts.Synced != 2500 {
		t.Fatalf("scan ended %s (%s) with %+v", j.State, j.Why, j.Counts)
	}
	if n := broken.Fired(); n < 9 {
		t.Errorf("%d faults happened, want 9 or more", n)
	}
	s.inStep()
	s.prove()
}

func TestScanSaysWhatNoEventToldOf(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	s.lanes(nil)
	s.scans()
	s.janitor()
	s.put(s.src, "first", "x")
	if j := s.scan(); j.Counts.Synced != 1 || j.Counts.Missed != 0 {
		t.Fatalf("first scan: %+v, nothing is missed in it", j.Counts)
	}
	old := time.Now().Add(-time.Hour)
	s.stores.use(aged{s.src, old}, nil)
	s.put(s.src, "told", "x")
	s.event("told")
	s.settled()
	s.put(s.src, "dropped", "x")
	j := s.scan()
	if j.Counts.Synced != 1 || j.Counts.Missed != 1 {
		t.Fatalf("second scan: %+v, want 1 missed", j.Counts)
	}
	w, err := s.db.Watermarks(t.Context(), s.task.ID)
	s.must(err)
	if w.Missed != 0.5 {
		t.Errorf("missed rate %v, want 1 of 2", w.Missed)
	}
	s.stores.use(s.src, nil)
	s.put(s.src, "young", "x")
	if j := s.scan(); j.Counts.Synced != 1 || j.Counts.Missed != 0 {
		t.Fatalf("third scan: %+v, its event may be on its way", j.Counts)
	}
	s.prove()
}

// Deletes that the guard agreed to wait, e.g. because the task is paused, and the source
// is emptied meanwhile: asking it again about each key is not enough.
func TestAgreedDeletesStopAtAnEmptySource(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{Deletes: true, Guard: task.Guard{MaxPercent: 60}})
	for _, k := range keysNamed("both/", 20) {
		s.put(s.src, k, k)
		s.put(s.dst, k, k)
	}
	for _, k := range keysNamed("surplus/", 10) {
		s.put(s.dst, k, k)
	}
	s.scans()
	j, err := s.db.StartJob(t.Context(), queue.JobStart{Task: s.task.ID, Kind: task.ScanJob}, task.Actor{})
	s.must(err)
	s.until("the guard has agreed", func() bool {
		p, err := s.db.ProveTask(t.Context(), s.task.ID)
		s.must(err)
		return p.Waiting == 10 && p.Staged == 0
	})
	for _, k := range keysNamed("both/", 20) {
		s.must(s.src.Delete(t.Context(), k, objstore.DeleteOptions{}))
	}
	s.lanes(nil)
	s.settled()
	s.wantReasons(j.ID, map[task.Reason]int64{task.UpToDate: 20, task.GuardStopped: 10})
	if n := s.dst.Len(); n != 30 {
		t.Errorf("%d objects left, want 30", n)
	}
	s.prove()
}

// One event in a hundred is dropped on purpose: the next scan repairs exactly these, says
// that it missed them, and reports exactly this rate.
func TestScanRepairsDroppedEvents(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("copies two thousand objects")
	}
	s := newService(t, task.Options{})
	s.lanes(nil)
	s.scans()
	s.janitor()
	keys := keysNamed("k", 1000)
	for _, k := range keys {
		s.put(s.src, k, "first of "+k)
	}
	s.event("before the first scan")
	if j := s.scan(); j.Counts.Synced != 1000 || j.Counts.Missed != 0 {
		t.Fatalf("first scan: %+v", j.Counts)
	}
	s.stores.use(aged{s.src, time.Now().Add(-time.Hour)}, nil)
	dropped := map[string]bool{}
	for i, k := range keys {
		s.put(s.src, k, "second of "+k)
		if i%100 == 37 {
			dropped[k] = true
			continue
		}
		s.event(k)
	}
	s.settled()
	for k := range dropped {
		if text, _ := s.text(s.dst, k); text != "first of "+k {
			t.Fatalf("%s holds %q before the scan", k, text)
		}
	}
	j := s.scan()
	if j.State != task.JobDone || j.Counts.Synced != 10 || j.Counts.Missed != 10 || j.Counts.Unchanged != 990 {
		t.Errorf("the scan ended %s with %+v, want exactly 10 repaired", j.State, j.Counts)
	}
	w, err := s.db.Watermarks(t.Context(), s.task.ID)
	s.must(err)
	if w.Missed != 0.01 {
		t.Errorf("the rate is %v, want 0.01", w.Missed)
	}
	s.inStep()
	s.prove()
}
