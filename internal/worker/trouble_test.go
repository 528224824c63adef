package worker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// TestFiveMinutesOfTrouble takes a side away for five minutes, with the patience that a
// service has. Nothing fails, the state says why keys wait, and all goes on by itself.
func TestFiveMinutesOfTrouble(t *testing.T) {
	t.Parallel()
	warmUp(t)
	for _, c := range []struct {
		name   string
		source bool
		err    error
		reason task.Reason
		scans  bool // a scan that runs waits too; others end it and leave it to the next
	}{
		{"network to the source gone", true, objstore.ErrUnavailable, task.SourceUnavailable, true},
		{"network to the destination gone", false, objstore.ErrUnavailable, task.DestinationUnavailable, true},
		{"source throttles", true, objstore.ErrThrottled, task.SourceThrottled, true},
		{"credentials of the source expired", true, objstore.ErrCredentials, task.SourceDenied, false},
		{"credentials of the destination expired", false, objstore.ErrCredentials, task.DestinationDenied, false},
		{"clock of the source off", true, objstore.ErrClockSkew, task.SourceDenied, false},
		{"clock of the destination off", false, objstore.ErrClockSkew, task.DestinationDenied, false},
		{"destination full", false, objstore.ErrFull, task.DestinationFull, false},
		{"source bucket gone", true, objstore.ErrBucketNotFound, task.SourceBucketMissing, false},
		{"destination bucket gone", false, objstore.ErrBucketNotFound, task.DestinationBucketGone, false},
	} {
		if testing.Short() && !c.scans {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, task.Options{})
				until := time.Now().Add(5 * time.Minute)
				away := func(faulty.Call) faulty.Fault {
					if time.Now().Before(until) {
						return faulty.Fault{Kind: faulty.NotDone, Err: c.err}
					}
					return faulty.Fault{}
				}
				if c.source {
					s.stores.use(faulty.New(s.src, away), nil)
				} else {
					s.stores.use(nil, faulty.New(s.dst, away))
				}
				named, found := keysNamed("named/", 40), keysNamed("found/", 20)
				for _, k := range append(found, named...) {
					s.put(s.src, k, k)
				}
				s.lanes(func(l *LanesConfig) { l.Patience, l.Sweep = Patience{}, 0 })
				s.start(NewScans(ScansConfig{Node: "a", Partitions: s.db, Scans: s.db, Jobs: s.db, Stores: s.stores}).Run)
				s.start(NewJanitor(JanitorConfig{Jobs: s.db}).Run)
				if c.scans {
					_, err := s.db.StartJob(t.Context(), queue.JobStart{Task: s.task.ID, Kind: task.ScanJob}, task.Actor{})
					s.must(err)
				}
				s.event(named[:20]...)
				time.Sleep(4 * time.Minute)
				s.event(named[20:]...)
				time.Sleep(45 * time.Second)
				w, err := s.db.Watermarks(t.Context(), s.task.ID)
				s.must(err)
				if w.Delayed[c.reason] == 0 || s.total().Failed != 0 || s.total().Synced != 0 {
					t.Errorf("after almost five minutes: delayed %v, %+v", w.Delayed, s.total())
				}
				s.recount()
				for s.total().Pending() > 0 || c.scans && s.dst.Len() < 60 {
					time.Sleep(time.Second)
					if time.Since(until) > 5*time.Minute {
						t.Fatalf("not by itself within five minutes: %+v", s.total())
					}
				}
				if got := s.total(); got.Failed != 0 || got.Synced < 40 {
					t.Errorf("%+v, want everything synced", got)
				}
				if !c.scans {
					if j := s.scan(); j.State != task.JobDone {
						t.Errorf("the next scan ended %s: %s", j.State, j.Why)
					}
				}
				s.settled()
				s.inStep()
				s.prove()
			})
		})
	}
}
