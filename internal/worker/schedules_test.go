package worker_test

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/worker"
)

// scheduled is a database whose clock stands still until it is moved, with one task.
type scheduled struct {
	*testing.T
	db    *db.Store
	clock atomic.Int64
	task  task.Task
}

func newScheduled(t *testing.T, s task.Schedule) *scheduled {
	t.Helper()
	w := &scheduled{T: t}
	w.at("2026-03-01T12:00:00Z")
	var err error
	w.db, err = db.Open(t.Context(), db.Config{Path: filepath.Join(t.TempDir(), "lockstep.db"), Now: func() time.Time { return time.UnixMicro(w.clock.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.task, err = w.db.CreateTask(t.Context(), task.Task{
		Project: "p", Name: "t", Source: task.Location{Endpoint: "e", Bucket: "a"}, Destination: task.Location{Endpoint: "e", Bucket: "b"},
		Options: task.Options{Schedule: s},
	}, task.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// at moves the clock.
func (w *scheduled) at(text string) {
	w.Helper()
	now, err := time.Parse(time.RFC3339, text)
	if err != nil {
		w.Fatal(err)
	}
	w.clock.Store(now.UnixMicro())
}

// look is what nodes do now, at the same time.
func (w *scheduled) look(nodes int) (wait time.Duration) {
	w.Helper()
	var wg sync.WaitGroup
	var least atomic.Int64
	least.Store(int64(time.Hour))
	for range nodes {
		wg.Go(func() {
			d, err := worker.NewSchedules(worker.SchedulesConfig{Queue: w.db}).Look(w.Context())
			if err != nil {
				w.Error(err)
			}
			least.Store(min(least.Load(), int64(d)))
		})
	}
	wg.Wait()
	return time.Duration(least.Load())
}

// want fails unless there are so many scans, and the schedule stands so. It ends the scans.
func (w *scheduled) want(scans int, last, next string) {
	w.Helper()
	jobs, err := w.db.Jobs(w.Context(), "p", db.JobFilter{Kind: task.ScanJob})
	if err != nil {
		w.Fatal(err)
	}
	n, l, err := w.db.ScheduleState(w.Context(), w.task.ID)
	if err != nil {
		w.Fatal(err)
	}
	if got := n.UTC().Format(time.RFC3339); len(jobs) != scans || l.Outcome != last || got != next {
		w.Fatalf("%d scans, last %+v, next %s; want %d, %q, %s", len(jobs), l, got, scans, last, next)
	}
}

func (w *scheduled) endScans() {
	w.Helper()
	jobs, err := w.db.Jobs(w.Context(), "p", db.JobFilter{Kind: task.ScanJob})
	if err != nil {
		w.Fatal(err)
	}
	for _, j := range jobs {
		if !j.State.Ended() {
			if err := w.db.CancelJob(w.Context(), j.ID, "test", task.Actor{}); err != nil {
				w.Fatal(err)
			}
		}
	}
	if _, err := w.db.EndJobs(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// A start happens once, whatever the number of nodes, over the night in which Berlin's clock
// leaves 02:30 out; not while a scan runs; and once for all that nobody was there for.
func TestSchedules(t *testing.T) {
	t.Parallel()
	w := newScheduled(t, task.Schedule{Cron: "30 2 * * *", Zone: "Europe/Berlin"})
	if wait := w.look(4); wait > 2*time.Second {
		t.Fatalf("the next look is in %s", wait)
	}
	w.want(0, "", "2026-03-02T01:30:00Z")
	w.at("2026-03-02T01:29:59Z")
	if wait := w.look(4); wait > time.Second {
		t.Fatalf("a second before the start it waits %s", wait)
	}
	w.want(0, "", "2026-03-02T01:30:00Z")
	w.at("2026-03-02T01:30:00Z")
	w.look(4)
	w.want(1, queue.StartDone, "2026-03-03T01:30:00Z")
	w.look(4)
	w.want(1, queue.StartDone, "2026-03-03T01:30:00Z")
	w.at("2026-03-03T01:30:01Z") // the scan still runs
	w.look(4)
	w.want(1, queue.StartSkipped, "2026-03-04T01:30:00Z")
	w.endScans()
	w.at("2026-03-28T20:00:00Z") // nobody looked for weeks
	w.look(4)
	w.want(2, queue.StartDone, "2026-03-29T01:00:00Z")
	w.endScans()
	w.at("2026-03-29T01:00:00Z")
	w.look(4)
	w.want(3, queue.StartDone, "2026-03-30T00:30:00Z")
}

// Missed starts are passed over when the task says so, but not one that is a little late.
func TestSchedulesMissed(t *testing.T) {
	t.Parallel()
	w := newScheduled(t, task.Schedule{Cron: "0 * * * *", Missed: "skip"})
	w.look(1)
	w.want(0, "", "2026-03-01T13:00:00Z")
	w.at("2026-03-01T13:00:30Z")
	w.look(1)
	w.want(1, queue.StartDone, "2026-03-01T14:00:00Z")
	w.endScans()
	w.at("2026-03-01T16:10:00Z")
	w.look(2)
	w.want(1, queue.StartSkipped, "2026-03-01T17:00:00Z")
	w.at("2026-03-01T17:00:00Z")
	w.look(2)
	w.want(2, queue.StartDone, "2026-03-01T18:00:00Z")
	w.endScans()
	w.at("2026-03-01T19:00:30Z") // that of 18:00 was missed, that of 19:00 was not
	w.look(2)
	w.look(2)
	w.want(3, queue.StartDone, "2026-03-01T20:00:00Z")
}

// A start that comes between the setting of a schedule and the next look is taken; one
// before it is nobody's.
func TestSchedulesFirstStart(t *testing.T) {
	t.Parallel()
	w := newScheduled(t, task.Schedule{})
	set := func(at, cron string) {
		t.Helper()
		w.at(at)
		w.task.Options.Schedule = task.Schedule{Cron: cron, Missed: "skip"}
		var err error
		if w.task, err = w.db.ChangeTask(t.Context(), w.task, task.Actor{}); err != nil {
			t.Fatal(err)
		}
	}
	set("2026-03-01T12:59:59Z", "0 * * * *")
	w.at("2026-03-01T13:00:01Z")
	if wait := w.look(3); wait != 0 {
		t.Fatalf("it waits %s with a start that is due", wait)
	}
	w.look(3)
	w.want(1, queue.StartDone, "2026-03-01T14:00:00Z")
	w.endScans()
	set("2026-03-01T13:30:00Z", "30 * * * *")
	w.at("2026-03-01T13:30:01Z")
	w.look(3)
	w.look(3)
	w.want(1, queue.StartDone, "2026-03-01T14:30:00Z")
	set("2026-03-01T13:44:00Z", "45 * * * *") // and nobody looks for hours
	w.at("2026-03-01T16:50:00Z")
	w.look(3)
	w.look(3)
	w.want(1, queue.StartSkipped, "2026-03-01T17:45:00Z")
}
