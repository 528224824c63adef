package dbtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// told claims all notices that are due, ends them, and returns "receiver event" of each.
func (w *world) told() (out []string) {
	w.Helper()
	all, err := w.s.ClaimNotices(w.Context(), 100, time.Minute)
	w.must(err)
	for _, n := range all {
		var body task.Notice
		if err := json.Unmarshal(n.Body, &body); err != nil || body.Event != n.Event || body.Task != w.task.ID || body.TaskName != w.task.Name {
			w.Fatalf("notice %s, %v", n.Body, err)
		}
		out = append(out, n.To.ID+" "+string(n.Event))
		w.must(w.s.EndNotice(w.Context(), n, ""))
	}
	slices.Sort(out)
	return out
}

// endEvents ends the open job of kind events, with its records ended as given.
func (w *world) endEvents(end func(queue.Record) queue.Settlement, keys ...string) {
	w.Helper()
	w.accept(keys...)
	w.work(end)
	w.clock.Skip(task.EventsJobAge)
	_, err := w.s.EndJobs(w.Context())
	w.must(err)
}

// Trouble is told once until it is over, or an hour has passed, to those who want it.
func testNotices(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	for id, events := range map[string][]task.NoticeEvent{"all": nil, "some": {task.NoticeRecovered, task.NoticeGuardStopped}} {
		n, err := w.s.CreateNotification(t.Context(), task.Notification{ID: id, Project: "p", URL: "http://x/" + id, Events: events, Sealed: []byte("s")}, task.Actor{})
		w.must(err)
		if n.CreatedAt.IsZero() {
			t.Fatalf("made %+v", n)
		}
	}
	_, err := w.s.CreateNotification(t.Context(), task.Notification{ID: "other", Project: "q", URL: "http://x", Sealed: []byte("s")}, task.Actor{})
	w.must(err)
	want := func(what string, want ...string) {
		t.Helper()
		if got := w.told(); !slices.Equal(got, want) {
			t.Fatalf("%s: told %v, want %v", what, got, want)
		}
	}
	w.endEvents(synced, "a")
	want("all is well")
	w.endEvents(failed, "a")
	want("a failure", "all job.failed")
	w.endEvents(failed, "b")
	want("another soon after")
	w.clock.Skip(time.Hour)
	w.endEvents(failed, "c")
	want("an hour later", "all job.failed")
	w.endEvents(synced, "a")
	want("failures are open still")
	w.endEvents(synced, "b", "c")
	want("all is mended", "all recovered", "some recovered")
	w.endEvents(synced, "a")
	want("and stays so")

	p := w.scan(queue.JobStart{})
	w.must(w.s.EndJob(t.Context(), p.Job, task.JobStopped, "the guard"))
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	want("the guard", "all guard.stopped", "some guard.stopped")
	w.endEvents(synced, "a")
	want("events do not mend what a guard stopped")
	p = w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Done: true}))
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	want("a scan does", "all recovered", "some recovered")

	// A guard may refuse single deletes when their turn comes.
	guarded := func(r queue.Record) queue.Settlement {
		return queue.Settlement{Record: r, Outcome: task.Ignored, Reason: task.GuardStopped}
	}
	w.endEvents(guarded, "a")
	want("the guard of events", "all guard.stopped", "some guard.stopped")
	marks, err := w.s.Watermarks(t.Context(), w.task.ID)
	w.must(err)
	w.clock.Skip(time.Hour)
	p = w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Enqueue: found("a"), Done: true}))
	w.work(guarded)
	for range 2 {
		_, err = w.s.EndJobs(t.Context())
		w.must(err)
	}
	want("the guard of a scan's delete", "all guard.stopped", "some guard.stopped")
	if m, err := w.s.Watermarks(t.Context(), w.task.ID); err != nil || !m.Proven.Equal(marks.Proven) {
		t.Fatalf("proven %v, was %v, %v", m.Proven, marks.Proven, err)
	}

	w.schedule(task.Schedule{Cron: "* * * * *"})
	for range 3 {
		_, _, err := w.s.MoveSchedule(t.Context(), queue.ScheduleMove{Due: w.due(), Next: w.clock.Now().Add(time.Minute), Skip: "missed"})
		w.must(err)
		w.clock.Skip(time.Minute)
	}
	want("skipped twice", "all schedule.skipped")
}

// Of all nodes one sends a notice at a time; what failed comes again, and nothing of what
// was taken away.
func testNoticesClaim(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	for i := range 3 {
		_, err := w.s.CreateNotification(t.Context(), task.Notification{ID: fmt.Sprint(i), Project: "p", URL: "http://x", Sealed: []byte("s")}, task.Actor{})
		w.must(err)
	}
	w.endEvents(failed, "a")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var claimed []queue.Notice
	for range 6 {
		wg.Go(func() {
			ns, err := w.s.ClaimNotices(t.Context(), 2, time.Minute)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			claimed = append(claimed, ns...)
		})
	}
	wg.Wait()
	if len(claimed) != 3 {
		t.Fatalf("claimed %d times, want 3", len(claimed))
	}
	w.clock.Skip(2 * time.Minute) // the lease is over: its owner is gone
	again, err := w.s.ClaimNotices(t.Context(), 10, time.Minute)
	w.must(err)
	if len(again) != 3 || again[0].To.URL != "http://x" || string(again[0].To.Sealed) != "s" {
		t.Fatalf("after the lease: %+v", again)
	}
	w.must(w.s.DelayNotice(t.Context(), again[0], 10*time.Minute, "no answer"))
	w.must(w.s.EndNotice(t.Context(), again[1], ""))
	w.must(w.s.DeleteNotification(t.Context(), "p", again[2].To.ID, task.Actor{}))
	wantKind(t, "twice", w.s.DeleteNotification(t.Context(), "p", again[2].To.ID, task.Actor{}), task.NotFound)
	wantKind(t, "of another project", w.s.DeleteNotification(t.Context(), "q", again[1].To.ID, task.Actor{}), task.NotFound)
	w.clock.Skip(5 * time.Minute)
	if ns, err := w.s.ClaimNotices(t.Context(), 10, time.Minute); err != nil || len(ns) != 0 {
		t.Fatalf("before its time: %+v, %v", ns, err)
	}
	w.clock.Skip(6 * time.Minute)
	ns, err := w.s.ClaimNotices(t.Context(), 10, time.Minute)
	w.must(err)
	if len(ns) != 1 || ns[0].Num != again[0].Num || ns[0].Attempts != 1 {
		t.Fatalf("at its time: %+v", ns)
	}
	all, err := w.s.Notifications(t.Context(), "p")
	w.must(err)
	states := map[string]string{}
	for _, n := range all {
		states[n.ID] = fmt.Sprint(!n.SentAt.IsZero(), n.Error)
	}
	if len(all) != 2 || states[again[0].To.ID] != "falseno answer" || states[again[1].To.ID] != "true" {
		t.Fatalf("states %v", states)
	}
}
