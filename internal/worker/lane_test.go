package worker

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func TestEventsEndInObjectsAndCounts(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{Filter: []string{"exclude *.tmp"}})
	fresh := keysNamed("new/", 300)
	for _, k := range append(fresh, "x.tmp", "same", "changed") {
		s.put(s.src, k, "text of "+k)
	}
	s.put(s.dst, "same", "text of same")
	s.put(s.dst, "changed", "another")
	list := "oms/sync_task/" + string(s.task.ID) + "/object_lists/x.txt"
	users := "oms/sync_task/not-a-task/x"
	s.put(s.src, list, "somebody's")
	s.put(s.src, users, "users' data")
	s.lanes(nil)
	r := s.event(append(fresh, "x.tmp", "same", "changed", "gone", list, users)...)
	if c := s.settled(); c.Requested != 306 {
		t.Fatalf("requested %d, want 306", c.Requested)
	}
	s.wantReasons(r.Job, map[task.Reason]int64{task.Copied: 302, task.Excluded: 2, task.UpToDate: 1, task.SourceGone: 1})
	for _, k := range append(fresh, "changed", users) {
		want, _ := s.text(s.src, k)
		if got, _ := s.text(s.dst, k); got != want {
			t.Fatalf("%s holds %q, want %q", k, got, want)
		}
	}
	for _, k := range []string{"x.tmp", "gone", list} {
		if _, ok := s.text(s.dst, k); ok {
			t.Errorf("%s is at the destination", k)
		}
	}
	s.prove()
}

func TestGoneKeysFailWhereTheTaskSaysSo(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{GoneIsFailed: true})
	s.lanes(nil)
	r := s.event("gone")
	if c := s.settled(); c.Failed != 1 {
		t.Fatalf("counts %+v, want one failed", c)
	}
	s.wantReasons(r.Job, map[task.Reason]int64{task.SourceGone: 1})
	s.prove()
}

func TestSupersededWhileItIsCopied(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	g := newGate(s.dst)
	s.stores.use(nil, g)
	s.put(s.src, "k", "old")
	s.lanes(nil)
	s.event("k")
	<-g.arrived
	s.put(s.src, "k", "new")
	s.event("k")
	close(g.open)
	if got, want := s.settled(), (task.Counts{Requested: 2, Synced: 1, Ignored: 1, Bytes: 3}); got != want {
		t.Fatalf("counts %+v, want %+v", got, want)
	}
	if text, _ := s.text(s.dst, "k"); text != "new" {
		t.Fatalf("the destination holds %q, want the last version", text)
	}
	s.prove()
}

// A node that was away longer than its lease finds its lane taken over, and counts
// nothing.
func TestTakenOverLaneCountsNothingTwice(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	keys := keysNamed("k", 40)
	for _, k := range keys {
		s.put(s.src, k, k)
	}
	began, done := make(chan struct{}, 100), make(chan struct{})
	stopOld := s.lanes(func(c *LanesConfig) {
		// It neither renews in this test nor claims its own lanes anew.
		c.Node, c.Lease, c.Sweep = "old", time.Hour, time.Hour
		c.Work = func(_ context.Context, _ *Ends, rec queue.Record) queue.Settlement {
			began <- struct{}{}
			<-done
			return queue.Settlement{Record: rec, Outcome: task.Synced, Reason: task.Copied, Size: 1000}
		}
	})
	wakeUp := sync.OnceFunc(func() { close(done) })
	t.Cleanup(wakeUp)
	s.event(keys...)
	// It sweeps never, and a wake-up may be lost: it is woken until it has begun.
	lanes := make([]queue.LaneID, s.task.Shards)
	for i := range lanes {
		lanes[i] = queue.LaneID{Task: s.task.ID, Shard: i}
	}
	s.until("all keys are begun", func() bool {
		s.db.Wake().Notify(lanes...)
		return len(began) == len(keys)
	})
	s.skipped.Store(int64(2 * time.Hour))
	s.lanes(func(c *LanesConfig) { c.Node = "new" })
	s.settled()
	wakeUp()
	stopOld()
	if got, want := s.total(), (task.Counts{Requested: 40, Synced: 40, Bytes: 40 * 6}); got != want {
		t.Fatalf("counts %+v, want %+v", got, want)
	}
	s.inStep()
	s.prove()
}

func TestTransientFailuresAreTriedAgainAndOthersRecorded(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	broken := faulty.New(s.dst, func(c faulty.Call) faulty.Fault {
		switch {
		case c.Op != faulty.Put:
		case c.Key == "away" && c.Nth <= 6, c.Key == "gone for good":
			return faulty.Fault{Kind: faulty.NotDone}
		case c.Key == "lost reply" && c.Nth == 1:
			return faulty.Fault{Kind: faulty.ReplyLost}
		case c.Key == "too large":
			return faulty.Fault{Kind: faulty.NotDone, Err: objstore.ErrTooLarge}
		}
		return faulty.Fault{}
	})
	s.stores.use(nil, broken)
	keys := []string{"away", "gone for good", "lost reply", "too large", "well"}
	for _, k := range keys {
		s.put(s.src, k, k)
	}
	s.lanes(func(c *LanesConfig) { c.Patience.Attempts = 2 })
	r := s.event(keys...)
	s.settled()
	s.wantReasons(r.Job, map[task.Reason]int64{task.Copied: 3, task.DestinationUnavailable: 1, task.TooLarge: 1})
	_, failed, err := s.db.KeyState(t.Context(), s.task.ID, "gone for good")
	s.must(err)
	if len(failed) != 1 || failed[0].Attempts != 2 {
		t.Fatalf("failures %+v, want one after 2 attempts", failed)
	}
	s.prove()
}

func TestPausedTaskFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{Concurrency: 3})
	g := newGate(s.dst)
	s.stores.use(nil, g)
	keys := keysNamed("k", 50)
	for _, k := range keys {
		s.put(s.src, k, k)
	}
	s.lanes(nil)
	s.event(keys...)
	for range 3 {
		<-g.arrived
	}
	s.change(func(k *task.Task) { k.State = task.Paused })
	// The lanes look at the task before they take anything more.
	time.Sleep(2 * checkEvery)
	close(g.open)
	s.until("what was in flight is settled", func() bool { return s.total().Synced == 3 })
	s.until("the lanes are given back", func() bool {
		lanes, err := s.db.ClaimLanes(t.Context(), "other", 10, time.Second)
		s.must(err)
		return len(lanes) == 0 && len(g.arrived) == 0
	})
	s.event("k00000")
	if c := s.total(); c.Synced != 3 {
		t.Fatalf("counts %+v of a paused task, want 3 synced", c)
	}
	s.change(func(k *task.Task) { k.State = task.Active })
	s.settled()
	s.inStep()
	s.prove()
}

func TestStopHandsBackWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	g := newGate(s.dst)
	s.stores.use(nil, g)
	s.put(s.src, "k", "text")
	stop := s.lanes(func(c *LanesConfig) { c.Grace = 100 * time.Millisecond })
	s.event("k")
	<-g.arrived
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if c := s.total(); c.Pending() != 1 {
		t.Fatalf("counts %+v, want the key pending", c)
	}
	s.recount()
	close(g.open)
	s.lanes(func(c *LanesConfig) { c.Node = "b" }) // needs no wait for the lease
	s.settled()
	s.inStep()
	s.prove()
}

func TestStopFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	g := newGate(s.dst)
	s.stores.use(nil, g)
	s.put(s.src, "k", "text")
	stop := s.lanes(nil)
	s.event("k")
	<-g.arrived
	time.AfterFunc(50*time.Millisecond, func() { close(g.open) })
	stop()
	if c := s.total(); c.Synced != 1 {
		t.Fatalf("counts %+v after a graceful stop, want 1 synced", c)
	}
	s.prove()
}

func TestDeletesByEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		opt     task.Options
		prepare func(*service)
		want    map[task.Reason]int64
		left    int // of the three named
	}{
		{"off", task.Options{}, nil, map[task.Reason]int64{task.SourceGone: 4}, 3},
		{"on", task.Options{Deletes: true}, nil, map[task.Reason]int64{task.Deleted: 3, task.SourceGone: 1}, 0},
		{
			"limited",
			task.Options{Deletes: true, Guard: task.Guard{MaxDeletes: 2}},
			nil,
			map[task.Reason]int64{task.Deleted: 2, task.GuardStopped: 1, task.SourceGone: 1},
			1,
		},
		{
			"excluded",
			task.Options{Deletes: true, Filter: []string{"exclude b"}},
			nil,
			map[task.Reason]int64{task.Deleted: 2, task.Excluded: 1, task.SourceGone: 1},
			1,
		},
		{
			"empty source",
			task.Options{Deletes: true},
			func(s *service) { s.must(s.src.Delete(s.Context(), "kept", objstore.DeleteOptions{})) },
			map[task.Reason]int64{task.GuardStopped: 3, task.SourceGone: 1},
			3,
		},
		{
			"vanished source",
			task.Options{Deletes: true},
			func(s *service) { s.src.Remove() },
			map[task.Reason]int64{task.SourceBucketMissing: 4},
			3,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, c.opt)
			s.put(s.src, "kept", "x")
			for _, k := range []string{"a", "b", "c"} {
				s.put(s.dst, k, "old")
			}
			if c.prepare != nil {
				c.prepare(s)
			}
			s.lanes(nil)
			r := s.event("a", "b", "c", "nowhere")
			s.settled()
			s.wantReasons(r.Job, c.want)
			if n := s.dst.Len(); n != c.left {
				t.Errorf("%d objects left, want %d", n, c.left)
			}
			s.prove()
		})
	}
}
