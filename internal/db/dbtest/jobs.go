package dbtest

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func testJobsEnd(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	r := w.accept("a", "b")
	w.work(failed)
	ended, err := w.s.EndJobs(t.Context())
	w.must(err)
	if len(ended) != 0 {
		t.Fatalf("ended %+v while it takes records", ended)
	}
	w.clock.Skip(task.EventsJobAge)
	ended, err = w.s.EndJobs(t.Context())
	w.must(err)
	if len(ended) != 1 || ended[0].ID != r.Job || ended[0].State != task.JobDone || ended[0].EndedAt.IsZero() || ended[0].ClosedAt.IsZero() {
		t.Fatalf("ended %+v", ended)
	}
	if ended, err = w.s.EndJobs(t.Context()); err != nil || len(ended) != 0 {
		t.Fatalf("ended again %+v, %v", ended, err)
	}
	again := w.accept("c")
	if again.Job == r.Job {
		t.Fatal("an ended job took a record")
	}
	w.prove()
	jobs, err := w.s.Jobs(t.Context(), "p", db.JobFilter{Limit: 1})
	w.must(err)
	if len(jobs) != 1 || jobs[0].ID != again.Job {
		t.Fatalf("first page %+v", jobs)
	}
	jobs, err = w.s.Jobs(t.Context(), "p", db.JobFilter{Before: again.Job, Kind: task.EventsJob, Task: w.task.ID})
	w.must(err)
	if len(jobs) != 1 || jobs[0].ID != r.Job {
		t.Fatalf("second page %+v", jobs)
	}
	_, err = w.s.Job(t.Context(), task.NewJobID(time.Now()))
	wantKind(t, "unknown job", err, task.NotFound)
}

func testJobsCancel(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("failed", "failed too")
	w.work(failed)
	w.accept("event")
	p := w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "s", Enqueue: found(append(numbered("k", 2500), "failed too")...), Delete: found("d1", "d2")}))
	retry := w.retry(queue.Retry{})
	l := w.claim()[task.ShardOf("event", w.task.Shards)]
	slice, err := w.s.Slice(t.Context(), l.LaneID, 1000, nil)
	w.must(err)

	w.must(w.s.CancelJob(t.Context(), p.Job, "not now", task.Actor{Key: "k"}))
	j := w.job(p.Job, task.Counts{Requested: 2503, Ignored: 2503})
	if j.State != task.JobCancelled || j.Why != "not now" {
		t.Fatalf("job %+v", j)
	}
	w.must(w.s.CancelJob(t.Context(), retry.ID, "", task.Actor{}))
	w.job(retry.ID, task.Counts{Requested: 1, Ignored: 1})
	w.total(task.Counts{Requested: 2506, Ignored: 2503, Failed: 2})
	wantKind(t, "cancel twice", w.s.CancelJob(t.Context(), p.Job, "", task.Actor{}), task.Conflict)

	// What a lane held of it is gone; the event is not.
	var done []queue.Settlement
	for _, r := range slice.Records {
		done = append(done, synced(r))
	}
	n, err := w.s.Settle(t.Context(), l, done)
	w.must(err)
	if n.Ended != 1 || n.Moved != len(done)-1 {
		t.Fatalf("settled %+v", n)
	}
	w.total(task.Counts{Requested: 2506, Ignored: 2503, Failed: 2, Synced: 1, Bytes: 10})
	w.job(w.retry(queue.Retry{}).ID, task.Counts{Requested: 2}) // both failures are still open
}

// A manifest or retry whose sender died is ended, a day after the last that happened to it.
func testJobsAbandoned(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	manifest := w.openManifest([]string{"a"})
	retry, err := w.s.StartJob(t.Context(), queue.JobStart{Task: w.task.ID, Kind: task.RetryJob}, task.Actor{})
	w.must(err)
	w.work(synced)
	w.clock.Skip(20 * time.Hour)
	_, err = w.in.Accept(t.Context(), queue.Batch{Task: w.task.ID, Job: manifest, Entries: entries("b")})
	w.must(err)
	w.clock.Skip(5 * time.Hour)
	ended, err := w.s.EndJobs(t.Context())
	w.must(err)
	if len(ended) != 1 || ended[0].ID != retry.ID || ended[0].State != task.JobFailed || ended[0].Why == "" {
		t.Fatalf("ended %+v", ended)
	}
	w.clock.Skip(20 * time.Hour)
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	w.work(synced) // what it had taken is synced all the same
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	if j := w.job(manifest, task.Counts{Requested: 2, Synced: 2, Bytes: 20}); j.State != task.JobFailed || j.Why == "" {
		t.Fatalf("job %+v", j)
	}
	w.prove()
}

// openManifest starts a job that names keys, as many batches as there are.
func (w *world) openManifest(batches ...[]string) task.JobID {
	w.Helper()
	j, err := w.s.StartJob(w.Context(), queue.JobStart{Task: w.task.ID, Kind: task.ManifestJob}, task.Actor{})
	w.must(err)
	for _, keys := range batches {
		_, err = w.in.Accept(w.Context(), queue.Batch{Task: w.task.ID, Job: j.ID, Entries: entries(keys...)})
		w.must(err)
	}
	return j.ID
}

// A cancelled job takes along only what it alone asked for. A key that another job had
// named goes on as an event, with its other key, whoever took its place meanwhile, and
// whatever the state of the task.
func testJobsCancelKeepsEvents(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	events := w.accept("event", "event twice", "done")
	_, err := w.in.Accept(t.Context(), queue.Batch{Task: w.task.ID, Entries: []queue.Entry{{Key: "pl us", Otherwise: "pl+us"}}})
	w.must(err)
	lanes := w.claim()
	l := lanes[task.ShardOf("event", w.task.Shards)]
	stale, err := w.s.Slice(t.Context(), l.LaneID, 1000, nil) // a lane works on it while all this happens
	w.must(err)

	first := w.openManifest([]string{"event twice", "manifest alone", "manifest twice"})
	second := w.openManifest([]string{"event", "event twice", "pl us"}, []string{"manifest twice", "event", "mine", "mine"})
	w.job(events.Job, task.Counts{Requested: 4, Ignored: 3})
	w.setState(task.Stopped)
	w.must(w.s.CancelJob(t.Context(), second, "not now", task.Actor{}))

	if j := w.job(second, task.Counts{Requested: 7, Ignored: 7}); j.State != task.JobCancelled {
		t.Fatalf("job %+v", j)
	}
	w.job(events.Job, task.Counts{Requested: 8, Ignored: 3}) // it is open still, and takes the four
	w.total(task.Counts{Requested: 18, Ignored: 12})
	w.must(w.s.CancelJob(t.Context(), first, "not now", task.Actor{}))
	w.job(first, task.Counts{Requested: 3, Ignored: 3})
	w.job(events.Job, task.Counts{Requested: 8, Ignored: 3})
	if n := strings.Count(w.listText(queue.ListReceived), "\n"); n != 18 {
		t.Errorf("%d names received, want 18", n)
	}

	w.setState(task.Active)
	var late []queue.Settlement
	for _, r := range stale.Records {
		if r.Key == "event" {
			late = append(late, synced(r))
		}
	}
	if n, err := w.s.Settle(t.Context(), l, late); err != nil || n.Ended != 0 || n.Moved != 1 {
		t.Fatalf("what was read before the cancelling settled %+v, %v", n, err)
	}
	w.must(w.s.ReleaseLanes(t.Context(), slices.Collect(maps.Values(lanes))))
	got := map[string]string{}
	w.work(func(r queue.Record) queue.Settlement {
		got[r.Key] = r.Known.Otherwise
		return synced(r)
	})
	want := map[string]string{"event": "", "event twice": "", "done": "", "pl us": "pl+us", "manifest twice": ""}
	if !maps.Equal(got, want) {
		t.Errorf("worked on %q, want %q", got, want)
	}
	w.total(task.Counts{Requested: 18, Ignored: 13, Synced: 5, Bytes: 50})
}

// A job of events that is cancelled, too, leaves what an earlier one had accepted, in a job
// that can take it; cancelled in turn, that one leaves nothing. Retries that were displaced
// stay failures, and what a scan found goes with the job that displaced it.
func testJobsCancelOnce(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("failed")
	w.work(failed)
	w.retry(queue.Retry{})
	p := w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Enqueue: found("found"), Done: true}))
	first := w.accept("a", "b")
	w.clock.Skip(10 * time.Minute)
	second := w.accept("a", "failed", "found", "c")
	if second.Job == first.Job {
		t.Fatal("the job took records after 10 minutes")
	}
	w.must(w.s.CancelJob(t.Context(), second.Job, "", task.Actor{}))
	w.job(second.Job, task.Counts{Requested: 4, Ignored: 4})
	third := w.accept("d")
	if third.Job == second.Job {
		t.Fatal("a cancelled job took a record")
	}
	w.job(third.Job, task.Counts{Requested: 2})
	w.total(task.Counts{Requested: 10, Failed: 1, Ignored: 6})
	w.open(1)
	w.must(w.s.CancelJob(t.Context(), third.Job, "", task.Actor{}))
	w.total(task.Counts{Requested: 10, Failed: 1, Ignored: 8})
	got := []string{}
	w.work(func(r queue.Record) queue.Settlement { got = append(got, r.Key); return synced(r) })
	if !slices.Equal(got, []string{"b"}) {
		t.Errorf("worked on %q, want b alone", got)
	}
	w.prove()
}

func testTaskDeleted(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("failed before", "b")
	w.work(failed)
	w.accept(numbered("k", 50)...)
	w.accept("b")
	w.retry(queue.Retry{Key: "failed before"})
	p := w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "s", Enqueue: found("n"), Delete: found("d")}))
	wantKind(t, "delete an active task", w.s.DeleteTask(t.Context(), w.task.ID, task.Actor{}), task.Conflict)
	lanes := w.claim()
	w.setState(task.Stopped)
	w.must(w.s.DeleteTask(t.Context(), w.task.ID, task.Actor{}))
	_, err := w.s.Task(t.Context(), w.task.ID)
	wantKind(t, "deleted task", err, task.NotFound)
	_, err = w.in.Accept(t.Context(), queue.Batch{Task: w.task.ID, Entries: entries("a")})
	wantKind(t, "event for a deleted task", err, task.NotFound)
	for _, l := range lanes {
		if kept, err := w.s.RenewLanes(t.Context(), []queue.Lane{l}, time.Minute); err != nil || len(kept) != 0 {
			t.Fatalf("renewed %+v, %v", kept, err)
		}
	}
	w.total(task.Counts{Requested: 55, Failed: 54, Ignored: 1})
	jobs, err := w.s.Jobs(t.Context(), "p", db.JobFilter{})
	w.must(err)
	for _, j := range jobs {
		if !j.State.Ended() {
			t.Fatalf("job %+v goes on", j)
		}
	}
	w.newTask("main") // name and destination are free again
}

// Lists of a deleted task have in every failed line what those of its dialect have.
func testTaskDeletedLines(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	for origin, want := range map[task.Dialect]string{task.Native: "\ta\ta\t\n", task.OMS: "\tb\tb\tTASK_DELETED\n"} {
		k, err := w.s.CreateTask(t.Context(), task.Task{
			Project: "p", Name: "of " + string(origin), Shards: 1, Origin: origin, Source: w.task.Source,
			Destination: task.Location{Endpoint: "dst", Bucket: "b", Prefix: string(origin) + "/"},
		}, task.Actor{})
		w.must(err)
		_, err = w.in.Accept(t.Context(), queue.Batch{Task: k.ID, Entries: entries(want[1:2])})
		w.must(err)
		k.State = task.Stopped
		_, err = w.s.ChangeTask(t.Context(), k, task.Actor{})
		w.must(err)
		w.must(w.s.DeleteTask(t.Context(), k.ID, task.Actor{}))
		if got := w.listText(queue.ListFailed); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want a line that ends in %q", origin, got, want)
		}
	}
}

func testWatermarks(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	marks := func() (heard, proven time.Time) {
		m, err := w.s.Watermarks(t.Context(), w.task.ID)
		w.must(err)
		return m.Heard, m.Proven
	}
	if heard, proven := marks(); w.clock.Now().Sub(heard) > 5*time.Second || !proven.IsZero() {
		t.Fatalf("an idle task has heard to %v, is proven to %v", heard, proven)
	}
	first := w.accept("a").At
	w.clock.Skip(time.Minute)
	second := w.accept("b").At
	if heard, _ := marks(); !heard.Equal(first) {
		t.Fatalf("heard to %v, want %v", heard, first)
	}
	if m, err := w.s.Watermarks(t.Context(), w.task.ID); err != nil || len(m.Delayed) != 0 || m.Broken != "" {
		t.Fatalf("delayed %v, broken %q of records that nobody has tried, %v", m.Delayed, m.Broken, err)
	}
	// A record that is tried again later holds it back by its acceptance, not its turn.
	later := w.clock.Now().Add(time.Hour)
	w.work(func(r queue.Record) queue.Settlement {
		return queue.Settlement{Record: r, Outcome: task.Pending, Reason: task.DestinationThrottled, NextAt: later}
	})
	if m, err := w.s.Watermarks(t.Context(), w.task.ID); err != nil || m.Delayed[task.DestinationThrottled] != 2 {
		t.Fatalf("delayed %v, want two that were throttled, %v", m.Delayed, err)
	}
	if heard, _ := marks(); !heard.Equal(first) {
		t.Fatalf("heard to %v, want %v", heard, first)
	}
	w.clock.Skip(2 * time.Hour)
	w.work(func(r queue.Record) queue.Settlement {
		if r.Key == "b" {
			return failed(r)
		}
		return synced(r)
	})
	if heard, _ := marks(); !heard.Equal(second) {
		t.Fatalf("heard to %v beside a failure of %v", heard, second)
	}

	// What a scan found does not hold back what events told.
	source := w.clock.Now().Add(-time.Second).Truncate(time.Microsecond)
	p := w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Enqueue: found("c"), Done: true, SourceTime: source}))
	w.retry(queue.Retry{})
	w.work(synced)
	if _, err := w.s.EndJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard, proven := marks()
	if !proven.Equal(source) || w.clock.Now().Sub(heard) > 5*time.Second {
		t.Fatalf("heard to %v, proven to %v, want now and %v", heard, proven, source)
	}
	// A scan with a failure proves nothing.
	w.clock.Skip(time.Hour)
	p = w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Enqueue: found("d"), Done: true}))
	w.work(failed)
	if _, err := w.s.EndJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, proven := marks(); !proven.Equal(source) {
		t.Fatalf("proven to %v, want %v", proven, source)
	}
}

// Outcomes belong to the interval and month of the acceptance.
func testStatistics(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	now := w.clock.Now()
	w.clock.Skip(time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC).Add(-30 * time.Second).Sub(now))
	before := w.accept("a", "b").At
	w.clock.Skip(10 * time.Minute)
	after := w.accept("c").At
	w.work(synced)
	for _, c := range []struct {
		at   time.Time
		want task.Counts
	}{{before, task.Counts{Requested: 2, Synced: 2, Bytes: 20}}, {after, task.Counts{Requested: 1, Synced: 1, Bytes: 10}}, {after.AddDate(0, 2, 0), task.Counts{}}} {
		got, err := w.s.Month(t.Context(), w.task.ID, c.at, true)
		w.must(err)
		if got != c.want {
			t.Fatalf("month of %v: %+v, want %+v", c.at, got, c.want)
		}
		spans, err := w.s.Intervals(t.Context(), w.task.ID, c.at.Truncate(task.Interval), c.at.Truncate(task.Interval).Add(task.Interval), false)
		w.must(err)
		if c.want == (task.Counts{}) {
			if len(spans) != 0 {
				t.Fatalf("an empty interval is there: %+v", spans)
			}
			continue
		}
		if len(spans) != 1 || spans[0].Counts != c.want || !spans[0].At.Equal(c.at.Truncate(task.Interval)) {
			t.Fatalf("interval of %v: %+v", c.at, spans)
		}
	}
	w.prove()
}
