package dbtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

const day = 24 * time.Hour

// retire removes all that is older, and proves the rest.
func (w *world) retire(keep db.Retention) {
	w.Helper()
	for more := true; more; {
		var err error
		more, err = w.s.Retire(w.Context(), keep)
		w.must(err)
		w.prove()
	}
}

// endAll ends the jobs whose records have ended, and uploads their lists.
func (w *world) endAll() {
	w.Helper()
	w.clock.Skip(task.EventsJobAge + time.Second)
	_, err := w.s.EndJobs(w.Context())
	w.must(err)
	w.upload()
}

func (w *world) upload() {
	w.Helper()
	_, err := w.s.SealLists(w.Context(), 0, 1)
	w.must(err)
	files, err := w.s.SealedLists(w.Context(), 1000)
	w.must(err)
	for _, f := range files {
		w.must(w.s.ConfirmList(w.Context(), f, queue.ListObject{Name: "list"}))
	}
	jobs, err := w.s.UnlistedJobs(w.Context(), 1000)
	w.must(err)
	for _, j := range jobs {
		w.must(w.s.ManifestWritten(w.Context(), j.ID))
	}
}

// history makes a job with each outcome, of which one failure is closed by a later
// record, and returns the first job.
func (w *world) past() task.JobID {
	w.Helper()
	r := w.accept("a", "b", "c", "d")
	w.work(func(r queue.Record) queue.Settlement {
		switch r.Key {
		case "a":
			return synced(r)
		case "b":
			return ignored(r)
		}
		return failed(r)
	})
	w.endAll()
	w.accept("c", "d")
	w.work(synced)
	w.endAll()
	return r.Job
}

// What is removed because of its age leaves counters, reasons and proofs as they were.
func testRetireAddsUp(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	first := w.past()
	want := task.Counts{Requested: 6, Synced: 3, Ignored: 1, Failed: 2, Bytes: 30}
	w.total(want)
	reasons, err := w.s.Reasons(t.Context(), w.task.ID, "")
	w.must(err)
	w.clock.Skip(500 * day)

	w.retire(db.Retention{Failures: 400 * day})
	if fs, err := w.s.Failures(t.Context(), w.task.ID, history.FailureFilter{}, 0, 10); err != nil || len(fs) != 0 {
		t.Fatalf("failures %+v, %v", fs, err)
	}
	w.total(want)

	spans := func() int {
		all, err := w.s.Intervals(t.Context(), w.task.ID, w.clock.Now().Add(-600*day), w.clock.Now(), false)
		w.must(err)
		return len(all)
	}
	if spans() == 0 {
		t.Fatal("there are no statistics")
	}
	w.retire(db.Retention{Intervals: 400 * day})
	if n := spans(); n != 0 {
		t.Errorf("%d intervals are left", n)
	}
	w.total(want)

	w.accept("new") // is younger, and stays
	w.retire(db.Retention{Jobs: 400 * day, Failures: 400 * day, Intervals: 400 * day, Lists: 400 * day})
	if _, err := w.s.Job(t.Context(), first); task.KindOf(err) != task.NotFound {
		t.Errorf("the job is still there: %v", err)
	}
	jobs, err := w.s.Jobs(t.Context(), "p", db.JobFilter{Task: w.task.ID})
	if err != nil || len(jobs) != 1 {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
	want.Requested++
	w.total(want)
	w.work(synced)
	want.Synced++
	want.Bytes += 10
	w.total(want)
	now, err := w.s.Reasons(t.Context(), w.task.ID, "")
	w.must(err)
	for _, o := range []task.Outcome{task.Failed, task.Ignored} {
		for why, n := range reasons[o] {
			if now[o][why] != n {
				t.Errorf("%v %s: %d, were %d", o, why, now[o][why], n)
			}
		}
	}
	if n, broken, err := w.s.VerifyAudit(t.Context()); err != nil || broken != 0 || n == 0 {
		t.Errorf("audit: %d entries, broken %d, %v", n, broken, err)
	}
}

// Lags of the last hour are summed up, and go with the statistics.
func testLag(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	at := w.clock.Now().Truncate(task.Interval)
	add := func(d time.Duration, n int64) {
		w.must(w.s.AddLag(t.Context(), []history.LagCount{
			{Task: w.task.ID, At: at, Bucket: history.LagBucket(d), N: n}, {Task: task.NewID(), At: at, Bucket: 3, N: 1},
		}))
	}
	lag := func() history.Lag {
		m, err := w.s.Watermarks(t.Context(), w.task.ID)
		w.must(err)
		return m.Lag
	}
	if got := lag(); got != (history.Lag{}) {
		t.Fatalf("no lag is %+v", got)
	}
	add(5*time.Millisecond, 90)
	add(5*time.Millisecond, 8)
	add(time.Second, 2)
	got := lag()
	if got.Records != 100 || got.P50 < 5*time.Millisecond || got.P50 > 6*time.Millisecond || got.P99 < time.Second || got.Max != got.P99 {
		t.Fatalf("lag %+v", got)
	}
	w.clock.Skip(2 * time.Hour)
	if got := lag(); got.Records != 0 {
		t.Fatalf("two hours later: %+v", got)
	}
	w.clock.Skip(500 * day)
	w.retire(db.Retention{Intervals: 400 * day})
	w.clock.Skip(-500*day - 2*time.Hour)
	if got := lag(); got.Records != 0 {
		t.Fatalf("after retention: %+v", got)
	}
}

// What other programs reported goes by its age here, with its part of every total.
func testRetireExternal(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	report := func(id task.JobID, r history.ExternalReport) history.ExternalJob {
		r.ID, r.Subject, r.Type, r.StartedAt = id, "app", "t", r.EndedAt
		return w.report(r)
	}
	ended := history.ExternalReport{Status: "success", State: task.JobDone, Counts: task.Counts{Requested: 2, Synced: 2}}
	ended.EndedAt = w.clock.Now()
	for i := range 450 {
		report(task.JobID(fmt.Sprintf("old %d", i)), ended)
	}
	open1 := report("still open", history.ExternalReport{Status: "pending"})
	w.clock.Skip(500 * day)
	imported := report("imported", ended) // ended long ago, and told today
	w.retire(db.Retention{Jobs: 400 * day})
	w.listed("after retention", history.ExternalFilter{Origin: task.DIDSpaces, Types: []string{"t"}}, imported.ID, open1.ID)
	w.tallied()
}

// Nobody can retry what failed of a task that was deleted: it goes like the rest of it.
func testRetireDeletedTask(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	r := w.accept("failed", "waiting")
	w.work(func(r queue.Record) queue.Settlement {
		if r.Key == "failed" {
			return failed(r)
		}
		return queue.Settlement{Record: r, Outcome: task.Pending, NextAt: w.clock.Now().Add(time.Hour)}
	})
	w.setState(task.Stopped)
	w.must(w.s.DeleteTask(t.Context(), w.task.ID, task.Actor{}))
	w.upload()
	w.total(task.Counts{Requested: 2, Failed: 2})
	w.clock.Skip(500 * day)
	w.retire(db.Retention{Jobs: 400 * day, Failures: 400 * day, Intervals: 400 * day, Lists: 400 * day})
	if _, err := w.s.Job(t.Context(), r.Job); task.KindOf(err) != task.NotFound {
		t.Errorf("the job is still there: %v", err)
	}
	w.total(task.Counts{Requested: 2, Failed: 2})
}

// A job of which a list was given up gets no manifest, since that would not add up: nobody
// is to try for ever.
func testRetireLists(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	given := w.accept("a")
	w.work(synced)
	w.clock.Skip(task.EventsJobAge + time.Second)
	_, err := w.s.EndJobs(t.Context())
	w.must(err)
	_, err = w.s.SealLists(t.Context(), 0, 1)
	w.must(err)
	w.clock.Skip(500 * day)
	w.retire(db.Retention{Lists: 400 * day})
	kept := w.accept("b")
	w.work(synced)
	w.clock.Skip(task.EventsJobAge + time.Second)
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	_, err = w.s.SealLists(t.Context(), 0, 1)
	w.must(err)
	files, err := w.s.SealedLists(t.Context(), 1000)
	w.must(err)
	for _, f := range files {
		w.must(w.s.ConfirmList(t.Context(), f, queue.ListObject{Name: "list"}))
	}
	jobs, err := w.s.UnlistedJobs(t.Context(), 1000)
	w.must(err)
	if len(jobs) != 1 || jobs[0].ID != kept.Job {
		t.Errorf("%+v want a manifest, want %s alone and not %s", jobs, kept.Job, given.Job)
	}
	for _, but := range [][]task.ID{{w.task.ID}, {task.NewID(), task.NewID(), w.task.ID}} {
		if jobs, err := w.s.UnlistedJobs(t.Context(), 1000, but...); err != nil || len(jobs) != 0 {
			t.Errorf("without its task: %+v, %v", jobs, err)
		}
	}
	w.prove()
}

// A retry has no lists that could be waited for.
func testRetireRetries(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a")
	w.work(failed)
	j := w.retry(queue.Retry{})
	w.work(synced)
	w.endAll()
	w.clock.Skip(500 * day)
	w.retire(db.Retention{Jobs: 400 * day})
	if _, err := w.s.Job(t.Context(), j.ID); task.KindOf(err) != task.NotFound {
		t.Errorf("the job is still there: %v", err)
	}
}

// What somebody may still need stays, whatever its age.
func testRetireKeeps(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	open1 := w.accept("open")
	w.work(failed)
	w.endAll()
	waiting := w.accept("waiting")
	w.clock.Skip(task.EventsJobAge + time.Second)
	unlisted := w.accept("unlisted")
	w.work(func(r queue.Record) queue.Settlement {
		if r.Key == "waiting" {
			return queue.Settlement{Record: r, Outcome: task.Pending, Reason: task.DestinationThrottled, NextAt: w.clock.Now().Add(900 * day)}
		}
		return synced(r)
	})
	w.clock.Skip(task.EventsJobAge + time.Second)
	_, err := w.s.EndJobs(t.Context())
	w.must(err)
	w.clock.Skip(500 * day)
	keep := db.Retention{Jobs: 400 * day, Failures: 400 * day, Intervals: 400 * day}
	w.retire(keep)
	for what, id := range map[string]task.JobID{"an open failure": open1.Job, "a record that waits": waiting.Job, "lists to upload": unlisted.Job} {
		if _, err := w.s.Job(t.Context(), id); err != nil {
			t.Errorf("a job with %s is gone: %v", what, err)
		}
	}
	// The failure of long ago is retried, and counted where it was accepted.
	j := w.retry(queue.Retry{})
	w.job(j.ID, task.Counts{Requested: 1})
	w.work(synced)
	w.total(task.Counts{Requested: 3, Synced: 2, Bytes: 20})
	spans, err := w.s.Intervals(t.Context(), w.task.ID, w.clock.Now().Add(-600*day), w.clock.Now(), false)
	w.must(err)
	for _, s := range spans {
		if s.Counts.Failed < 0 || s.Counts.Requested < s.Counts.Synced {
			t.Errorf("interval %+v", s)
		}
	}
	// Lists that nobody could upload in all that time are given up.
	keep.Lists = 400 * day
	_, err = w.s.SealLists(t.Context(), 0, 1)
	w.must(err)
	w.clock.Skip(401 * day)
	w.retire(keep)
	if _, err := w.s.Job(t.Context(), unlisted.Job); task.KindOf(err) != task.NotFound {
		t.Errorf("a job whose lists were given up is still there: %v", err)
	}
}
