package dbtest

import (
	"maps"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// retry makes the selected failures pending again and closes the retry job.
func (w *world) retry(r queue.Retry) task.Job {
	w.Helper()
	j, err := w.s.StartJob(w.Context(), queue.JobStart{Task: w.task.ID, Kind: task.RetryJob}, task.Actor{})
	w.must(err)
	for from := int64(0); ; {
		from, err = w.s.Retry(w.Context(), j.ID, r, from, 2)
		w.must(err)
		if from == 0 {
			break
		}
	}
	w.must(w.s.CloseJob(w.Context(), j.ID))
	return j
}

// A retry is a new attempt of the same records: failed falls and synced rises where
// they were accepted.
func testRetrySucceeds(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	r := w.accept("a", "b", "c", "d", "e")
	w.work(failed)
	w.total(task.Counts{Requested: 5, Failed: 5})
	j := w.retry(queue.Retry{})
	w.total(task.Counts{Requested: 5, Failed: 5}) // until it ends, a record stays failed
	w.job(j.ID, task.Counts{Requested: 5})
	w.work(func(r queue.Record) queue.Settlement {
		if r.Key == "e" {
			return ignored(r)
		}
		return synced(r)
	})
	want := task.Counts{Requested: 5, Synced: 4, Ignored: 1, Bytes: 40}
	w.total(want)
	w.job(r.Job, want)
	w.job(j.ID, want)
	if fs, err := w.s.Failures(t.Context(), w.task.ID, history.FailureFilter{}, 0, 10); err != nil || len(fs) != 0 {
		t.Fatalf("failures %+v, %v", fs, err)
	}
	p, err := w.s.ProveJob(t.Context(), r.Job)
	w.must(err)
	if p.Stored[queue.ListRetried] != 5 || p.Stored[queue.ListFailed] != 5 || p.Stored[queue.ListSynced] != 4 {
		t.Fatalf("lines %v", p.Stored)
	}
	if ended, err := w.s.EndJobs(t.Context()); err != nil || len(ended) != 1 || ended[0].ID != j.ID {
		t.Fatalf("ended %+v, %v", ended, err)
	}
}

func testRetryFailsAnew(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	r := w.accept("a")
	w.work(failed)
	for i := range 3 {
		j := w.retry(queue.Retry{})
		w.work(func(r queue.Record) queue.Settlement {
			s := failed(r)
			s.Reason = task.DestinationFull
			return s
		})
		w.job(j.ID, task.Counts{Requested: 1, Failed: 1})
		w.total(task.Counts{Requested: 1, Failed: 1})
		fs, err := w.s.Failures(t.Context(), w.task.ID, history.FailureFilter{Reason: task.DestinationFull}, 0, 10)
		w.must(err)
		if len(fs) != 1 || fs[0].Attempts != i+2 || fs[0].Job != r.Job {
			t.Fatalf("failures %+v", fs)
		}
	}
	reasons, err := w.s.Reasons(t.Context(), w.task.ID, r.Job)
	w.must(err)
	if n := reasons[task.Failed]; len(n) != 1 || n[task.DestinationFull] != 1 {
		t.Fatalf("reasons %v", reasons)
	}
}

// An event that names the key of a waiting retry takes its place: the record stays
// failed, and is closed once the event's own record ends.
func testRetrySuperseded(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a")
	w.work(failed)
	j := w.retry(queue.Retry{})
	w.accept("a")
	w.job(j.ID, task.Counts{Requested: 1, Ignored: 1})
	w.total(task.Counts{Requested: 2, Failed: 1})
	k := w.retry(queue.Retry{}) // the key waits: nothing to do
	w.job(k.ID, task.Counts{})
	w.work(synced)
	w.total(task.Counts{Requested: 2, Failed: 1, Synced: 1, Bytes: 10})
	fs, err := w.s.Failures(t.Context(), w.task.ID, history.FailureFilter{}, 0, 10)
	w.must(err)
	if len(fs) != 1 || fs[0].Open {
		t.Fatalf("failures %+v, want one that is closed", fs)
	}
}

func testRetrySelects(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	first := w.accept("a", "b", "c")
	w.work(func(r queue.Record) queue.Settlement {
		s := failed(r)
		if r.Key == "c" {
			s.Reason = task.TooLarge
		}
		return s
	})
	w.job(w.retry(queue.Retry{Key: "a"}).ID, task.Counts{Requested: 1})
	w.job(w.retry(queue.Retry{Reason: task.TooLarge}).ID, task.Counts{Requested: 1})
	w.job(w.retry(queue.Retry{Job: first.Job, Reason: task.DestinationDenied}).ID, task.Counts{Requested: 1}) // b; a waits
	w.job(w.retry(queue.Retry{Key: "nothing of the kind"}).ID, task.Counts{})
	w.work(synced)
	w.total(task.Counts{Requested: 3, Synced: 3, Bytes: 30})
	_, err := w.s.Retry(t.Context(), first.Job, queue.Retry{}, 0, 10)
	wantKind(t, "retry within a job of events", err, task.Conflict)
}

func testLaterRecordClosesFailure(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a")
	w.work(failed)
	w.accept("a")
	w.work(failed)
	fs, err := w.s.Failures(t.Context(), w.task.ID, history.FailureFilter{OpenOnly: true}, 0, 10)
	w.must(err)
	if len(fs) != 1 {
		t.Fatalf("open failures %+v, want the latest alone", fs)
	}
	w.open(1)
	w.job(w.retry(queue.Retry{}).ID, task.Counts{Requested: 1})
	w.work(synced)
	w.total(task.Counts{Requested: 2, Failed: 1, Synced: 1, Bytes: 10})
	w.job(w.retry(queue.Retry{}).ID, task.Counts{}) // the other is closed
	w.open(0)
}

// A delete that was not made says nothing about the copy that failed before it.
func testUntoldDeleteKeepsFailure(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a")
	w.work(failed)
	for _, reason := range []task.Reason{task.DeleteSuperseded, task.GuardStopped} {
		w.accept("a")
		w.work(func(r queue.Record) queue.Settlement {
			s := ignored(r)
			s.Reason = reason
			return s
		})
		w.open(1)
	}
	w.accept("a")
	w.work(ignored)
	w.open(0)
}

// A delete that failed and is over the limit of the hour when it is tried again stays failed:
// the next hour may do it.
func testRetryGuarded(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a")
	w.work(failed)
	j := w.retry(queue.Retry{})
	w.work(func(r queue.Record) queue.Settlement {
		return queue.Settlement{Record: r, Outcome: task.Ignored, Reason: task.GuardStopped}
	})
	w.job(j.ID, task.Counts{Requested: 1, Ignored: 1})
	w.total(task.Counts{Requested: 1, Failed: 1})
	w.open(1)
	w.retry(queue.Retry{})
	w.work(synced)
	w.total(task.Counts{Requested: 1, Synced: 1, Bytes: 10})
}

// open wants so many failures of the task to be open.
func (w *world) open(want int64) {
	w.Helper()
	m, err := w.s.Watermarks(w.Context(), w.task.ID)
	w.must(err)
	if m.Open != want {
		w.Fatalf("%d failures are open, want %d", m.Open, want)
	}
}

// A new attempt knows the other key of its record, and so does the one after it. Its failed
// line names the key as the client sent it.
func testRetryKeepsTheOtherKey(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	_, err := w.in.Accept(t.Context(), queue.Batch{Task: w.task.ID, Entries: []queue.Entry{{Key: "a b", Otherwise: "a+b"}, {Key: "plain"}}})
	w.must(err)
	want := map[string]string{"a b": "a+b", "plain": ""}
	for range 3 {
		others := map[string]string{}
		w.work(func(r queue.Record) queue.Settlement {
			others[r.Key] = r.Known.Otherwise
			return failed(r)
		})
		if !maps.Equal(others, want) {
			t.Fatalf("other keys %q, want %q", others, want)
		}
		w.retry(queue.Retry{})
	}
	if n := strings.Count(w.listText(queue.ListFailed), "\ta+b\ta b\t"); n != 3 {
		t.Errorf("%d failed lines name the key as it was sent, want 3:\n%s", n, w.listText(queue.ListFailed))
	}
	w.work(synced)
	w.total(task.Counts{Requested: 2, Synced: 2, Bytes: 20})
}
