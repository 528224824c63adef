package dbtest

import (
	"errors"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// When the places of a task change, what scans have proven of the old ones counts no more,
// and one under way goes no further: what it found is deleted nowhere.
func testWatermarksOfOtherPlaces(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("event")
	p := w.scan(queue.JobStart{})
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Done: true}))
	w.work(synced)
	_, err := w.s.EndJobs(t.Context())
	w.must(err)
	running := w.scan(queue.JobStart{})
	if m, err := w.s.Watermarks(t.Context(), w.task.ID); err != nil || m.Scan != running.Job {
		t.Fatalf("%+v, %v", m, err)
	}
	w.must(w.s.CommitPage(t.Context(), &running, queue.Page{After: "m", Enqueue: found("a"), Delete: found("b")}))
	w.setState(task.Stopped)
	if m, err := w.s.Watermarks(t.Context(), w.task.ID); err != nil || m.Proven.IsZero() {
		t.Fatalf("%+v, %v", m, err)
	}

	w.change(func(k *task.Task) { k.Destination.Bucket = "other" })
	if m, err := w.s.Watermarks(t.Context(), w.task.ID); err != nil || !m.Proven.IsZero() {
		t.Fatalf("of other places %+v is proven, %v", m, err)
	}
	w.setState(task.Active)
	if lanes := w.claim(); len(lanes) != 0 {
		t.Fatalf("lanes %+v have work", lanes)
	}
	if err := w.s.CommitPage(t.Context(), &running, queue.Page{After: "z", Done: true}); !errors.Is(err, queue.ErrStale) {
		t.Fatalf("the scan goes on: %v", err)
	}
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	if j := w.job(running.Job, task.Counts{Requested: 2, Ignored: 2}); j.State != task.JobCancelled || j.Why == "" {
		t.Fatalf("%+v", j)
	}
	w.prove()

	// The first scan of the new places finds nothing that an event should have told of.
	first := w.scan(queue.JobStart{})
	if hears, err := w.s.HearsEvents(t.Context(), first.Job); err != nil || hears {
		t.Fatalf("hears %v, %v", hears, err)
	}
	w.must(w.s.CommitPage(t.Context(), &first, queue.Page{After: "z", Done: true}))
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	if m, err := w.s.Watermarks(t.Context(), w.task.ID); err != nil || m.Proven.IsZero() {
		t.Fatalf("%+v, %v", m, err)
	}
}

// What scans have proven counts no more once scans look at something else, or otherwise;
// what else changes of a task leaves it.
func testWatermarksOfAnotherScope(t *testing.T, open Open) {
	changes := map[string]struct {
		keeps bool
		edit  func(*task.Task)
		place func(*task.Endpoint)
	}{
		"a wider filter":      {edit: func(k *task.Task) { k.Options.Filter = []string{"- a/*"} }},
		"no filter":           {edit: func(k *task.Task) { k.Options.Filter = nil }},
		"deletes":             {edit: func(k *task.Task) { k.Options.Deletes = true }},
		"a comparison":        {edit: func(k *task.Task) { k.Options.Compare = "checksum" }},
		"encryption":          {edit: func(k *task.Task) { k.Options.Encrypt = "aws:kms" }},
		"the URL":             {place: func(e *task.Endpoint) { e.URL = "http://127.0.0.1:2" }},
		"the region":          {place: func(e *task.Endpoint) { e.Region = "other" }},
		"the same comparison": {keeps: true, edit: func(k *task.Task) { k.Options.Compare = "auto" }},
		"name and schedule": {keeps: true, edit: func(k *task.Task) {
			k.Name, k.Description, k.Options.Schedule.Cron = "renamed", "d", "0 0 1 1 *"
		}},
		"how it is done": {keeps: true, edit: func(k *task.Task) {
			k.Options.Bandwidth = []task.Window{{From: "00:00", To: "23:59", BytesPerSecond: 1}}
			k.Options.ListUnchanged, k.Options.Guard.MaxDeletes, k.Options.Restore, k.Sealed = true, 5, true, []byte{1}
		}},
		"credentials and aliases": {keeps: true, place: func(e *task.Endpoint) { e.Sealed, e.Aliases = []byte{2}, []string{"AWS/x"} }},
	}
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, open, db.Config{})
			e, err := w.s.PutEndpoint(t.Context(), task.Endpoint{ID: "src", Project: "p", Provider: "minio", URL: "http://127.0.0.1:1"}, task.Actor{})
			w.must(err)
			w.change(func(k *task.Task) { k.Options.Filter = []string{"- a/*", "- b/*"} })
			w.accept("event")
			for range 2 {
				w.scanned(found("missed")...)
			}
			before, err := w.s.Watermarks(t.Context(), w.task.ID)
			w.must(err)
			if before.Proven.IsZero() || before.Missed != 1 {
				t.Fatalf("before: %+v", before)
			}
			under := w.scan(queue.JobStart{})
			w.clock.Skip(-time.Minute) // another node's clock may be behind

			if c.edit != nil {
				w.change(c.edit)
			} else {
				c.place(&e)
				_, err = w.s.PutEndpoint(t.Context(), e, task.Actor{})
				w.must(err)
			}
			m, err := w.s.Watermarks(t.Context(), w.task.ID)
			w.must(err)
			if c.keeps {
				if !m.Proven.Equal(before.Proven) || m.Missed != before.Missed || m.Scan != under.Job {
					t.Fatalf("%+v, was %+v", m, before)
				}
				return
			}
			if !m.Proven.IsZero() || m.Missed != 0 {
				t.Fatalf("proven before anybody has looked: %+v", m)
			}
			w.clock.Skip(2 * time.Minute)
			if c.edit != nil { // the scan under way goes on, and proves nothing
				w.must(w.s.CommitPage(t.Context(), &under, queue.Page{After: "z", Done: true}))
			}
			w.work(synced)
			_, err = w.s.EndJobs(t.Context())
			w.must(err)
			if m, err := w.s.Watermarks(t.Context(), w.task.ID); err != nil || !m.Proven.IsZero() || m.Scan != "" {
				t.Fatalf("by a scan of half of it: %+v, %v", m, err)
			}
			first := w.scan(queue.JobStart{})
			if hears, err := w.s.HearsEvents(t.Context(), first.Job); err != nil || hears {
				t.Fatalf("the first scan finds what no event told of: %v, %v", hears, err)
			}
			w.must(w.s.CommitPage(t.Context(), &first, queue.Page{After: "z", Done: true}))
			_, err = w.s.EndJobs(t.Context())
			w.must(err)
			if m, err := w.s.Watermarks(t.Context(), w.task.ID); err != nil || m.Proven.IsZero() || m.Missed != 0 {
				t.Fatalf("after a scan: %+v, %v", m, err)
			}
			second := w.scan(queue.JobStart{})
			if hears, err := w.s.HearsEvents(t.Context(), second.Job); err != nil || !hears {
				t.Fatalf("hears %v, %v", hears, err)
			}
		})
	}
}

// Why a scan failed is no longer said once another one is due for another reason.
func testBrokenOfAnotherScope(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	p := w.scan(queue.JobStart{})
	w.must(w.s.EndJob(t.Context(), p.Job, task.JobFailed, "why"))
	_, err := w.s.EndJobs(t.Context())
	w.must(err)
	for _, want := range []string{"why", ""} {
		if m, err := w.s.Watermarks(t.Context(), w.task.ID); err != nil || m.Broken != want {
			t.Fatalf("broken %q, want %q, %v", m.Broken, want, err)
		}
		w.change(func(k *task.Task) { k.Options.Filter = []string{"- a/*"} })
	}
}

// change edits the task.
func (w *world) change(edit func(*task.Task)) {
	w.Helper()
	k, err := w.s.Task(w.Context(), w.task.ID)
	w.must(err)
	edit(&k)
	w.task, err = w.s.ChangeTask(w.Context(), k, task.Actor{})
	w.must(err)
}

// scanned runs a scan that finds keys no event has told of, and all work there is.
func (w *world) scanned(keys ...queue.Found) {
	w.Helper()
	p := w.scan(queue.JobStart{})
	for i := range keys {
		keys[i].Unheard = true
	}
	w.must(w.s.CommitPage(w.Context(), &p, queue.Page{After: "z", Enqueue: keys, Done: true}))
	w.work(synced)
	_, err := w.s.EndJobs(w.Context())
	w.must(err)
}
