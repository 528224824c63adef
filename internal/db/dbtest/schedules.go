package dbtest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// due waits for the one schedule that is due.
func (w *world) due() queue.Due {
	w.Helper()
	all, _, _, err := w.s.DueSchedules(w.Context(), 10)
	w.must(err)
	if len(all) != 1 {
		w.Fatalf("%d schedules are due", len(all))
	}
	return all[0]
}

func (w *world) schedule(s task.Schedule) {
	w.Helper()
	k, err := w.s.Task(w.Context(), w.task.ID)
	w.must(err)
	k.Options.Schedule = s
	_, err = w.s.ChangeTask(w.Context(), k, task.Actor{})
	w.must(err)
}

// A start that is due happens once, whoever takes it, and is noted.
func testSchedules(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	if all, _, next, err := w.s.DueSchedules(t.Context(), 10); err != nil || len(all) != 0 || !next.IsZero() {
		t.Fatalf("without a schedule: %v, %s, %v", all, next, err)
	}
	w.schedule(task.Schedule{Cron: "0 3 * * *", Zone: "Asia/Tokyo", Missed: "skip"})
	d := w.due()
	if !d.At.IsZero() || d.Task != w.task.ID || d.Schedule != (task.Schedule{Cron: "0 3 * * *", Zone: "Asia/Tokyo", Missed: "skip"}) {
		t.Fatalf("new: %+v", d)
	}
	if age := w.clock.Now().Sub(d.SetAt); age < -time.Minute || age > time.Minute {
		t.Fatalf("set at %s", d.SetAt)
	}
	first := w.clock.Now().Add(time.Hour).Truncate(time.Microsecond)
	if moved, last, err := w.s.MoveSchedule(t.Context(), queue.ScheduleMove{Due: d, Next: first}); err != nil || !moved || last.Outcome != "" {
		t.Fatalf("the first start worked out: %v, %+v, %v", moved, last, err)
	}
	if all, _, next, err := w.s.DueSchedules(t.Context(), 10); err != nil || len(all) != 0 || !next.Equal(first) {
		t.Fatalf("before it is due: %v, %s, %v", all, next, err)
	}
	w.clock.Skip(time.Hour)
	d = w.due()
	if !d.At.Equal(first) {
		t.Fatalf("due at %s, want %s", d.At, first)
	}
	var wg sync.WaitGroup
	var starts atomic.Int64
	second := first.Add(24 * time.Hour)
	for range 8 {
		wg.Go(func() {
			moved, last, err := w.s.MoveSchedule(t.Context(), queue.ScheduleMove{Due: d, Next: second})
			if err != nil || moved != (last.Outcome == queue.StartDone) {
				t.Errorf("%v, %+v, %v", moved, last, err)
			}
			if moved {
				starts.Add(1)
			}
		})
	}
	wg.Wait()
	jobs, err := w.s.Jobs(t.Context(), "p", db.JobFilter{Kind: task.ScanJob})
	w.must(err)
	next, last, err := w.s.ScheduleState(t.Context(), w.task.ID)
	w.must(err)
	if starts.Load() != 1 || len(jobs) != 1 || !next.Equal(second) || !last.At.Equal(first) || last.Job != jobs[0].ID || last.Outcome != queue.StartDone {
		t.Fatalf("%d starts, jobs %+v, next %s, last %+v", starts.Load(), jobs, next, last)
	}
	w.partition(jobs[0].ID) // it has work
}

// A start does not happen while a scan runs, while the task does not work, or when it was
// missed, and the row says why.
func testSchedulesSkip(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.schedule(task.Schedule{Cron: "* * * * *"})
	move := func(what, skip, outcome, why string) {
		t.Helper()
		d := w.due()
		_, last, err := w.s.MoveSchedule(t.Context(), queue.ScheduleMove{Due: d, Next: w.clock.Now().Add(time.Minute), Skip: skip})
		w.must(err)
		if last.Outcome != outcome || last.Why != why {
			t.Fatalf("%s: %+v", what, last)
		}
		w.clock.Skip(time.Minute)
	}
	move("worked out", "", "", "")
	move("free", "", queue.StartDone, "")
	jobs, err := w.s.Jobs(t.Context(), "p", db.JobFilter{Kind: task.ScanJob})
	w.must(err)
	move("a scan runs", "", queue.StartSkipped, "scan "+string(jobs[0].ID)+" of the task has not ended")
	p := w.partition(jobs[0].ID)
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Done: true}))
	w.endScan(p.Job, task.Counts{})
	move("missed", "nobody ran", queue.StartSkipped, "nobody ran")
	w.setState(task.Stopped)
	move("stopped", "", queue.StartSkipped, "the task was stopped")
	w.setState(task.Active)

	d := w.due()
	w.schedule(task.Schedule{Cron: "0 * * * *"})
	if moved, _, err := w.s.MoveSchedule(t.Context(), queue.ScheduleMove{Due: d, Next: w.clock.Now().Add(time.Minute)}); err != nil || moved {
		t.Fatalf("a start of the schedule before: %v, %v", moved, err)
	}
	if d = w.due(); !d.At.IsZero() {
		t.Fatalf("a changed schedule begins with %s", d.At)
	}
	w.schedule(task.Schedule{Cron: "0 * * * *", Missed: "skip"})
	w.schedule(task.Schedule{})
	if all, _, next, err := w.s.DueSchedules(t.Context(), 10); err != nil || len(all) != 0 || !next.IsZero() {
		t.Fatalf("taken away: %v, %s, %v", all, next, err)
	}
	w.schedule(task.Schedule{Cron: "0 * * * *"})
	d = w.due()
	w.setState(task.Stopped)
	w.must(w.s.DeleteTask(t.Context(), w.task.ID, task.Actor{}))
	if moved, _, err := w.s.MoveSchedule(t.Context(), queue.ScheduleMove{Due: d}); err != nil || moved {
		t.Fatalf("of a task that is deleted: %v, %v", moved, err)
	}
	if _, broken, err := w.s.VerifyAudit(t.Context()); err != nil || broken != 0 {
		t.Fatal(broken, err)
	}
}

func testHooks(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	by := task.Actor{Key: "k"}
	_, err := w.s.TaskOfHook(t.Context(), []byte("one"))
	wantKind(t, "no hook", err, task.NotFound)
	wantKind(t, "no hook to delete", w.s.DeleteHook(t.Context(), w.task.ID, by), task.NotFound)
	wantKind(t, "no task", w.s.PutHook(t.Context(), task.NewID(), []byte("x"), by), task.NotFound)
	for _, hash := range []string{"one", "two"} {
		w.must(w.s.PutHook(t.Context(), w.task.ID, []byte(hash), by))
		if k, err := w.s.TaskOfHook(t.Context(), []byte(hash)); err != nil || k.ID != w.task.ID {
			t.Fatalf("%s: %+v, %v", hash, k, err)
		}
	}
	_, err = w.s.TaskOfHook(t.Context(), []byte("one"))
	wantKind(t, "the one before", err, task.NotFound)
	if has, err := w.s.HasHook(t.Context(), w.task.ID); err != nil || !has {
		t.Fatal(has, err)
	}
	w.must(w.s.DeleteHook(t.Context(), w.task.ID, by))
	if has, err := w.s.HasHook(t.Context(), w.task.ID); err != nil || has {
		t.Fatal(has, err)
	}
	w.must(w.s.PutHook(t.Context(), w.task.ID, []byte("three"), by))
	w.setState(task.Stopped)
	w.must(w.s.DeleteTask(t.Context(), w.task.ID, by))
	_, err = w.s.TaskOfHook(t.Context(), []byte("three"))
	wantKind(t, "of a deleted task", err, task.NotFound)
	entries, err := w.s.Audit(t.Context(), "p", 0, 100)
	w.must(err)
	actions := map[string]int{}
	for _, e := range entries {
		actions[e.Action]++
	}
	if actions["hook.put"] != 3 || actions["hook.delete"] != 1 {
		t.Fatalf("audit %v", actions)
	}
}
