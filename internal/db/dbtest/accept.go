package dbtest

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func testAcceptCounts(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	r := w.accept("a", "b", "c/d")
	w.total(task.Counts{Requested: 3})
	j := w.job(r.Job, task.Counts{Requested: 3})
	if j.Kind != task.EventsJob || j.State != task.JobOpen || j.Task != w.task.ID {
		t.Fatalf("job %+v", j)
	}
	if again := w.accept("e"); again.Job != r.Job {
		t.Fatal("a second batch opened another job")
	}
	w.total(task.Counts{Requested: 4})
	_, err := w.in.Accept(t.Context(), queue.Batch{Task: w.task.ID, Entries: []queue.Entry{{Key: "f g", Otherwise: "f+g"}}})
	w.must(err)
	others := map[string]string{}
	w.work(func(r queue.Record) queue.Settlement {
		others[r.Key] = r.Known.Otherwise
		return synced(r)
	})
	if len(others) != 5 || others["f g"] != "f+g" || others["a"] != "" {
		t.Fatalf("other keys %q", others)
	}
}

// A record that takes the place of one with another key keeps that, whether it stands in
// the same batch or the database: the object named first may be the other one.
func testAcceptInheritsTheOtherKey(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	accept := func(entries ...queue.Entry) {
		t.Helper()
		_, err := w.in.Accept(t.Context(), queue.Batch{Task: w.task.ID, Entries: entries})
		w.must(err)
	}
	accept(queue.Entry{Key: "one batch", Otherwise: "one+batch"}, queue.Entry{Key: "one batch"})
	accept(queue.Entry{Key: "two a b", Otherwise: "two+a b"}, queue.Entry{Key: "plain"})
	accept(queue.Entry{Key: "two a b"}, queue.Entry{Key: "plain"})
	accept(queue.Entry{Key: "two a b"})
	accept(queue.Entry{Key: "last c d", Otherwise: "last+c d"})
	accept(queue.Entry{Key: "last c d", Otherwise: "last c+d"})
	accept(queue.Entry{Key: "plain first"})
	accept(queue.Entry{Key: "plain first", Otherwise: "plain+first"})
	got := map[string]string{}
	w.work(func(r queue.Record) queue.Settlement {
		got[r.Key] = r.Known.Otherwise
		return synced(r)
	})
	want := map[string]string{
		"one batch": "one+batch", "two a b": "two+a b", "plain": "", "last c d": "last c+d", "plain first": "plain+first",
	}
	if !maps.Equal(got, want) {
		t.Errorf("other keys %q, want %q", got, want)
	}
}

// A key named again while it waits: the earlier record ends ignored, in its own job and
// interval, whether it stands in the same batch, the same group or the database.
func testAcceptSupersedes(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	first := w.accept("a", "b", "a", "a")
	w.total(task.Counts{Requested: 4, Ignored: 2})
	w.clock.Skip(10 * time.Minute)
	second := w.accept("a", "c")
	if second.Job == first.Job {
		t.Fatal("the job took records after 10 minutes")
	}
	w.total(task.Counts{Requested: 6, Ignored: 3})
	w.job(first.Job, task.Counts{Requested: 4, Ignored: 3})
	w.job(second.Job, task.Counts{Requested: 2})
	spans, err := w.s.Intervals(t.Context(), w.task.ID, first.At.Add(-time.Hour), second.At.Add(time.Hour), true)
	w.must(err)
	if len(spans) != 2 || spans[0].Counts != (task.Counts{Requested: 4, Ignored: 3}) || spans[1].Counts != (task.Counts{Requested: 2}) {
		t.Fatalf("intervals %+v", spans)
	}
	reasons, err := w.s.Reasons(t.Context(), w.task.ID, "")
	w.must(err)
	if n := reasons[task.Ignored][task.Superseded]; n != 3 {
		t.Fatalf("%d superseded, want 3", n)
	}
	if n := w.work(synced); n.Ended != 3 {
		t.Fatalf("settled %+v, want 3", n)
	}
	w.total(task.Counts{Requested: 6, Ignored: 3, Synced: 3, Bytes: 30})
}

func testAcceptRefuses(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	accept := func(b queue.Batch) error {
		_, err := w.in.Accept(t.Context(), b)
		return err
	}
	wantKind(t, "unknown task", accept(queue.Batch{Task: task.NewID(), Entries: entries("a")}), task.NotFound)
	wantKind(t, "empty batch", accept(queue.Batch{Task: w.task.ID}), task.Invalid)
	wantKind(t, "empty key", accept(queue.Batch{Task: w.task.ID, Entries: entries("a", "")}), task.Invalid)
	wantKind(t, "long key", accept(queue.Batch{Task: w.task.ID, Entries: entries(strings.Repeat("k", task.MaxKeyBytes+1))}), task.Invalid)
	wantKind(t, "many keys", accept(queue.Batch{Task: w.task.ID, Entries: entries(numbered("k", task.MaxBatchKeys+1)...)}), task.Invalid)
	wantKind(t, "unknown job", accept(queue.Batch{Task: w.task.ID, Job: task.NewJobID(time.Now()), Entries: entries("a")}), task.NotFound)
	w.total(task.Counts{})

	w.setState(task.Paused)
	w.accept("kept while paused")
	w.setState(task.Stopped)
	wantKind(t, "stopped task", accept(queue.Batch{Task: w.task.ID, Entries: entries("a")}), task.Conflict)
	w.total(task.Counts{Requested: 1})

	// One refused batch does not harm the others of its group.
	other := w.newTask("other")
	group := []queue.Batch{{Task: w.task.ID, Entries: entries("a")}, {Task: other.ID, Entries: entries("b")}}
	answers := make([]queue.Answer, 2)
	w.must(w.s.AcceptGroup(t.Context(), group, answers))
	wantKind(t, "stopped task in a group", answers[0].Err, task.Conflict)
	w.must(answers[1].Err)
}

func (w *world) setState(s task.State) {
	w.Helper()
	w.change(func(k *task.Task) { k.State = s })
}

func testAcceptRollsJobs(t *testing.T, open Open) {
	if testing.Short() {
		t.Skip("short: many records")
	}
	w := newWorld(t, open, db.Config{})
	first := w.accept("a")
	for i := range task.EventsJobRecords / task.MaxBatchKeys {
		group := []queue.Batch{{Task: w.task.ID, Entries: entries(numbered("k", task.MaxBatchKeys)...)}}
		answers := make([]queue.Answer, 1)
		w.must(w.s.AcceptGroup(t.Context(), group, answers))
		w.must(answers[0].Err)
		last := i == task.EventsJobRecords/task.MaxBatchKeys-1
		if (answers[0].Receipt.Job != first.Job) != last {
			t.Fatalf("batch %d went to job %s", i, answers[0].Receipt.Job)
		}
	}
	j, err := w.s.Job(t.Context(), first.Job)
	w.must(err)
	if j.State != task.JobClosed || j.Counts.Requested > task.EventsJobRecords {
		t.Fatalf("job %+v", j)
	}
	w.prove()
}

func testAcceptManifest(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	j, err := w.s.StartJob(t.Context(), queue.JobStart{Task: w.task.ID, Kind: task.ManifestJob}, task.Actor{Key: "k"})
	w.must(err)
	b := queue.Batch{Task: w.task.ID, Job: j.ID, Entries: entries("a", "b")}
	r, err := w.in.Accept(t.Context(), b)
	w.must(err)
	if r.Job != j.ID {
		t.Fatalf("went to job %s", r.Job)
	}
	w.must(w.s.CloseJob(t.Context(), j.ID))
	_, err = w.in.Accept(t.Context(), b)
	wantKind(t, "closed job", err, task.Conflict)
	other := w.newTask("other")
	_, err = w.in.Accept(t.Context(), queue.Batch{Task: other.ID, Job: j.ID, Entries: entries("a")})
	wantKind(t, "job of another task", err, task.Conflict)
	w.work(synced)
	ended, err := w.s.EndJobs(t.Context())
	w.must(err)
	if len(ended) != 1 || ended[0].ID != j.ID || ended[0].State != task.JobDone {
		t.Fatalf("ended %+v", ended)
	}
	w.total(task.Counts{Requested: 2, Synced: 2, Bytes: 20})
}
