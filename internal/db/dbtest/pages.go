package dbtest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// scan starts a scan and leases its first partition.
func (w *world) scan(start queue.JobStart) queue.Partition {
	w.Helper()
	start.Task, start.Kind = w.task.ID, task.ScanJob
	j, err := w.s.StartJob(w.Context(), start, task.Actor{})
	w.must(err)
	return w.partition(j.ID)
}

func (w *world) partition(job task.JobID) queue.Partition {
	w.Helper()
	ps, err := w.s.ClaimPartitions(w.Context(), node, 1, time.Minute)
	w.must(err)
	if len(ps) != 1 || ps[0].Job != job {
		w.Fatalf("claimed %+v, want one of job %s", ps, job)
	}
	return ps[0]
}

func found(keys ...string) []queue.Found {
	fs := make([]queue.Found, len(keys))
	for i, k := range keys {
		fs[i] = queue.Found{Key: k, Known: queue.Known{
			Verb: plan.Copy, Rule: i, Src: queue.Side{Listed: true, Size: 7, ETag: "e", ModTime: time.Unix(1e9, 5).UTC()},
			Dst: queue.Side{Listed: true, Absent: true},
		}}
	}
	return fs
}

// endScan ends a scan whose partitions are done, and wants it to have these counts.
func (w *world) endScan(id task.JobID, want task.Counts) {
	w.Helper()
	ended, err := w.s.EndJobs(w.Context())
	w.must(err)
	if !slices.ContainsFunc(ended, func(j task.Job) bool { return j.ID == id && j.State == task.JobDone }) {
		w.Fatalf("ended %+v without %s", ended, id)
	}
	w.job(id, want)
	w.prove()
}

func testPageCommits(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("b")
	p := w.scan(queue.JobStart{})
	page := queue.Page{
		After: "f", Enqueue: found("a", "b", "c"), Unchanged: 100, Source: 103, Destination: 100,
		Ended: []queue.Ended{{Key: "d", Reason: task.Excluded, Rule: 2, Size: 9}, {Key: "e", Reason: task.UpToDateButDifferent}},
	}
	w.must(w.s.CommitPage(t.Context(), &p, page))
	if p.After != "f" {
		t.Fatalf("partition %+v", p)
	}
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{
		After: "h", Done: true, Unchanged: 2,
		Named: []queue.Ended{{Key: "g", Reason: task.UpToDate}, {Key: "h", Reason: task.UpToDate}},
	}))
	// The event's record of b goes on; the scan's has ended.
	w.job(p.Job, task.Counts{Requested: 107, Ignored: 105, Unchanged: 102, Flagged: 1})
	w.prove()
	if err := w.s.CommitPage(t.Context(), &p, queue.Page{After: "i"}); !errors.Is(err, queue.ErrStale) {
		t.Fatalf("a partition that is done went on: %v", err)
	}
	totals, err := w.s.ScanTotals(t.Context(), p.Job)
	w.must(err)
	if totals != (queue.ScanTotals{Partitions: 1, Source: 103, Destination: 100}) {
		t.Fatalf("totals %+v", totals)
	}
	w.work(func(r queue.Record) queue.Settlement {
		if r.Key == "b" != (r.Class == queue.ByEvent) {
			t.Errorf("record %+v", r)
		}
		if want := found("a", "b", "c")[r.Key[0]-'a'].Known; r.Class == queue.ByScan && r.Known != want {
			t.Errorf("known %+v, want %+v", r.Known, want)
		}
		return synced(r)
	})
	w.endScan(p.Job, task.Counts{Requested: 107, Ignored: 105, Unchanged: 102, Flagged: 1, Synced: 2, Bytes: 20})
	// What clients named is apart from what the scan found.
	named, err := w.s.Total(t.Context(), w.task.ID, true)
	w.must(err)
	if named != (task.Counts{Requested: 1, Synced: 1, Bytes: 10}) {
		t.Fatalf("named %+v", named)
	}
	_, err = w.s.StartJob(t.Context(), queue.JobStart{Task: w.task.ID, Kind: task.ScanJob}, task.Actor{})
	w.must(err)
	_, err = w.s.StartJob(t.Context(), queue.JobStart{Task: w.task.ID, Kind: task.ScanJob}, task.Actor{})
	wantKind(t, "a second scan", err, task.Conflict)
}

func testPageStale(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	old := w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &old, queue.Page{After: "b", Enqueue: found("a")}))
	w.clock.Skip(2 * time.Minute)
	p := w.partition(old.Job)
	if p.After != "b" || p.Epoch <= old.Epoch {
		t.Fatalf("taken over as %+v", p)
	}
	err := w.s.CommitPage(t.Context(), &old, queue.Page{After: "d", Enqueue: found("c"), Unchanged: 5})
	if !errors.Is(err, queue.ErrStale) {
		t.Fatalf("committed with an old epoch: %v", err)
	}
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "d", Enqueue: found("c"), Unchanged: 5, Done: true}))
	w.total(task.Counts{Requested: 7, Ignored: 5, Unchanged: 5})
	if err := w.s.CommitPage(t.Context(), &p, queue.Page{After: "a"}); err == nil {
		t.Fatal("a page went backwards")
	}
}

func testPageSplit(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	p := w.scan(queue.JobStart{Ranges: []queue.Range{{Until: "t"}}})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "b", Split: "m"}))
	if p.After != "b" || p.Until != "m" {
		t.Fatalf("left with %+v", p)
	}
	q := w.partition(p.Job)
	if q.After != "m" || q.Until != "t" {
		t.Fatalf("cut off %+v", q)
	}
	for _, at := range []string{"a", "b", "m", "z"} {
		if err := w.s.CommitPage(t.Context(), &p, queue.Page{After: "b", Split: at}); err == nil {
			t.Fatalf("split (b, m] at %q", at)
		}
	}
	w.must(w.s.CommitPage(t.Context(), &q, queue.Page{After: "t", Done: true}))
	if ended, err := w.s.EndJobs(t.Context()); err != nil || len(ended) != 0 {
		t.Fatalf("ended %+v with a partition open, %v", ended, err)
	}
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "m", Done: true}))
	w.endScan(p.Job, task.Counts{})
	w.must(w.s.ReleasePartitions(t.Context(), []queue.Partition{p, q}))
	if ps, err := w.s.ClaimPartitions(t.Context(), node, 9, time.Minute); err != nil || len(ps) != 0 {
		t.Fatalf("claimed %+v of an ended scan, %v", ps, err)
	}
}

func testPageWaits(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{MaxScanPending: 3})
	p := w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "c", Enqueue: found("a", "b"), Delete: found("c")}))
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "e", Enqueue: found("d")}))
	page := queue.Page{After: "g", Enqueue: found("f"), Unchanged: 1}
	if err := w.s.CommitPage(t.Context(), &p, page); !errors.Is(err, queue.ErrFull) || p.After != "e" {
		t.Fatalf("committed above the limit: %v, %+v", err, p)
	}
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "f", Unchanged: 1})) // needs no room
	w.total(task.Counts{Requested: 5, Ignored: 1, Unchanged: 1})
	w.work(synced)
	page.After = "h"
	w.must(w.s.CommitPage(t.Context(), &p, page))
}

// A key of which no event told counts as missed once it is repaired, unless something
// did tell of it: a record that waits, or an open failure.
func testPageMissed(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("failed")
	w.work(failed)
	w.accept("waiting", "x1", "x2", "x3", "x4")
	p := w.scan(queue.JobStart{})
	fs := found("failed", "missed", "same", "waiting")
	for i := range fs {
		fs[i].Unheard = true
	}
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Enqueue: fs, Done: true}))
	w.work(func(r queue.Record) queue.Settlement {
		if r.Key == "same" {
			return ignored(r)
		}
		return synced(r)
	})
	w.endScan(p.Job, task.Counts{Requested: 4, Synced: 2, Ignored: 2, Missed: 1, Bytes: 20})

	marks, err := w.s.Watermarks(t.Context(), w.task.ID)
	w.must(err)
	if marks.Missed != 0 {
		t.Fatalf("the first scan told of %v missed", marks.Missed)
	}
	w.clock.Skip(time.Hour)
	w.accept("y1", "y2", "y3")
	w.work(synced)
	p = w.scan(queue.JobStart{})
	fs = found("z")
	fs[0].Unheard = true
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Enqueue: fs, Done: true}))
	w.work(synced)
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	marks, err = w.s.Watermarks(t.Context(), w.task.ID)
	w.must(err)
	if marks.Missed != 0.25 {
		t.Fatalf("missed %v, want 1 of 4", marks.Missed)
	}
	w.prove()
}

// The first page that tells the source's clock is believed, and none that is not committed.
// What has failed holds the proof back as far as it lies before the scan.
func testPageSourceTime(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("failed")
	w.clock.Skip(time.Hour)
	p := w.scan(queue.JobStart{})
	says := func(at time.Duration, page queue.Page) queue.Page {
		page.SourceTime = w.clock.Now().Add(at).Truncate(time.Microsecond)
		return page
	}
	stale := p
	stale.Epoch--
	if err := w.s.CommitPage(t.Context(), &stale, says(-time.Hour, queue.Page{After: "a"})); !errors.Is(err, queue.ErrStale) {
		t.Fatal(err)
	}
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "a"}))
	if j := w.job(p.Job, task.Counts{}); !j.SourceTime.IsZero() {
		t.Fatalf("source time %v, nobody said so", j.SourceTime)
	}
	told := says(-2*time.Hour, queue.Page{After: "b"})
	w.must(w.s.CommitPage(t.Context(), &p, told))
	w.must(w.s.CommitPage(t.Context(), &p, says(-3*time.Hour, queue.Page{After: "z", Done: true})))
	j := w.job(p.Job, task.Counts{})
	if !j.SourceTime.Equal(told.SourceTime) {
		t.Fatalf("source time %v, want %v", j.SourceTime, told.SourceTime)
	}
	_, err := w.s.EndJobs(t.Context())
	w.must(err)
	proven := func() time.Time {
		m, err := w.s.Watermarks(t.Context(), w.task.ID)
		w.must(err)
		return m.Proven
	}
	if got := proven(); !got.Equal(told.SourceTime) {
		t.Fatalf("proven to %v, want %v", got, told.SourceTime)
	}
	w.work(failed)
	if got := told.SourceTime.Sub(proven()); got < time.Hour || got > time.Hour+time.Minute {
		t.Fatalf("held back by %v, want the hour that lies between", got)
	}
}

func testDeletesReleased(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	p := w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Delete: found("a", "b", "c"), Destination: 3, Done: true}))
	w.total(task.Counts{Requested: 3})
	if n := w.work(synced); n.Ended != 0 {
		t.Fatal("a delete was worked on before the guard agreed")
	}
	if ended, err := w.s.EndJobs(t.Context()); err != nil || len(ended) != 0 {
		t.Fatalf("ended %+v with deletes staged, %v", ended, err)
	}
	w.accept("b")
	if more, err := w.s.ReleaseDeletes(t.Context(), p.Job, 2); err != nil || !more {
		t.Fatalf("released: %v, %v", more, err)
	}
	w.prove()
	if more, err := w.s.ReleaseDeletes(t.Context(), p.Job, 2); err != nil || more {
		t.Fatalf("released: %v, %v", more, err)
	}
	w.work(func(r queue.Record) queue.Settlement {
		return queue.Settlement{Record: r, Outcome: task.Synced, Reason: task.Deleted}
	})
	// The event's record of b went before the scan's.
	w.endScan(p.Job, task.Counts{Requested: 3, Synced: 2, Deleted: 2, Ignored: 1})
}

func testDeletesRefused(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	p := w.scan(queue.JobStart{Ranges: []queue.Range{{Until: "m"}, {After: "m"}}})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "m", Delete: found("a", "b", "c"), Enqueue: found("d"), Done: true}))
	q := w.partition(p.Job)
	w.must(w.s.EndJob(t.Context(), p.Job, task.JobStopped, "more than 2 deletes"))
	if err := w.s.CommitPage(t.Context(), &q, queue.Page{After: "z", Delete: found("x")}); !errors.Is(err, queue.ErrStale) {
		t.Fatalf("a stopped scan went on: %v", err)
	}
	w.total(task.Counts{Requested: 4, Ignored: 3})
	w.work(synced)
	ended, err := w.s.EndJobs(t.Context())
	w.must(err)
	if len(ended) != 1 || ended[0].State != task.JobStopped || ended[0].Why != "more than 2 deletes" {
		t.Fatalf("ended %+v", ended)
	}
	w.total(task.Counts{Requested: 4, Ignored: 3, Synced: 1, Bytes: 10})
	reasons, err := w.s.Reasons(t.Context(), w.task.ID, p.Job)
	w.must(err)
	if reasons[task.Ignored][task.GuardStopped] != 3 {
		t.Fatalf("reasons %v", reasons)
	}
}

func testDeletesReserved(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	at := time.Date(2026, 5, 4, 10, 59, 0, 0, time.UTC)
	for i, c := range []struct{ n, limit, want int64 }{{6, 10, 6}, {6, 10, 4}, {1, 10, 0}, {1, 8, 0}, {5, -1, 5}} {
		got, err := w.s.ReserveDeletes(t.Context(), w.task.ID, at, c.n, c.limit)
		w.must(err)
		if got != c.want {
			t.Fatalf("reservation %d: %d, want %d", i, got, c.want)
		}
	}
	if got, err := w.s.ReserveDeletes(t.Context(), w.task.ID, at.Add(time.Minute), 3, 10); err != nil || got != 3 {
		t.Fatalf("next hour: %d, %v", got, err)
	}
}
