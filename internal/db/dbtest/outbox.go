package dbtest

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (w *world) text(f queue.ListFile) string {
	w.Helper()
	var b bytes.Buffer
	for piece, err := range w.s.ListText(w.Context(), f) {
		w.must(err)
		b.Write(piece)
	}
	return b.String()
}

// listText seals what waits and returns the text of all lists of a kind.
func (w *world) listText(kind queue.ListKind) string {
	w.Helper()
	_, err := w.s.SealLists(w.Context(), 0, 1)
	w.must(err)
	files, err := w.s.SealedLists(w.Context(), 1000)
	w.must(err)
	var b strings.Builder
	for _, f := range files {
		if f.Kind == kind {
			b.WriteString(w.text(f))
		}
	}
	return b.String()
}

func testOutbox(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	r := w.accept("a b", "c+d", "a b", "e")
	w.work(func(r queue.Record) queue.Settlement {
		if r.Key == "e" {
			return failed(r)
		}
		return synced(r)
	})
	if n, err := w.s.SealLists(t.Context(), time.Hour, 100); err != nil || n != 0 {
		t.Fatalf("sealed %d young lists, %v", n, err)
	}
	w.clock.Skip(time.Hour)
	n, err := w.s.SealLists(t.Context(), time.Hour, 100)
	w.must(err)
	files, err := w.s.SealedLists(t.Context(), 100)
	w.must(err)
	if n != 4 || len(files) != 4 {
		t.Fatalf("sealed %d, %+v", n, files)
	}
	for _, f := range files {
		if f.Job != r.Job || f.Task != w.task.ID || f.JobStart.IsZero() {
			t.Fatalf("file %+v", f)
		}
		text := w.text(f)
		if again := w.text(f); again != text {
			t.Fatal("a sealed file changed")
		}
		if int64(strings.Count(text, "\n")) != f.Lines {
			t.Fatalf("file %+v has text %q", f, text)
		}
		if f.Kind == queue.ListReceived && text != "a%20b\nc%2Bd\na%20b\ne\n" {
			t.Fatalf("received %q", text)
		}
		if f.Kind == queue.ListSynced {
			for line := range strings.Lines(text) {
				if l, err := history.ParseSyncedLine([]byte(strings.TrimSuffix(line, "\n"))); err != nil || l.Size != 10 {
					t.Fatalf("line %q: %+v, %v", line, l, err)
				}
			}
		}
		w.prove()
		o := queue.ListObject{Name: "x", Bytes: int64(len(text)), SHA256: sha256.Sum256([]byte(text))}
		for range 2 { // a confirmation may be repeated
			w.must(w.s.ConfirmList(t.Context(), f, o))
			w.prove()
		}
	}
	if jobs, err := w.s.UnlistedJobs(t.Context(), 10); err != nil || len(jobs) != 0 {
		t.Fatalf("unlisted %+v, %v", jobs, err)
	}
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	w.manifest(r.Job)
	lists, err := w.s.JobLists(t.Context(), r.Job)
	w.must(err)
	if len(lists) != 4 || lists[0].Name != "x" || lists[0].SHA256 == [32]byte{} {
		t.Fatalf("lists %+v", lists)
	}

	// A retry adds lists to a job that has ended; its manifest is due again.
	w.retry(queue.Retry{})
	w.work(synced)
	n, err = w.s.SealLists(t.Context(), time.Hour, 100)
	w.must(err)
	files, err = w.s.SealedLists(t.Context(), 100)
	w.must(err)
	kinds := []queue.ListKind{}
	for _, f := range files {
		kinds = append(kinds, f.Kind)
		w.must(w.s.ConfirmList(t.Context(), f, queue.ListObject{}))
	}
	slices.Sort(kinds)
	if n != 2 || !slices.Equal(kinds, []queue.ListKind{queue.ListSynced, queue.ListRetried}) {
		t.Fatalf("sealed %d, %v", n, kinds)
	}
	w.manifest(r.Job)
	w.total(task.Counts{Requested: 4, Synced: 3, Ignored: 1, Bytes: 30})
}

// manifest wants one job to be due for its manifest, and takes it off.
func (w *world) manifest(want task.JobID) {
	w.Helper()
	jobs, err := w.s.UnlistedJobs(w.Context(), 10)
	w.must(err)
	if len(jobs) != 1 || jobs[0].ID != want || jobs[0].Listed {
		w.Fatalf("unlisted %+v", jobs)
	}
	w.must(w.s.ManifestWritten(w.Context(), want))
	if jobs, err = w.s.UnlistedJobs(w.Context(), 10); err != nil || len(jobs) != 0 {
		w.Fatalf("unlisted %+v, %v", jobs, err)
	}
}

func testOutboxRolls(t *testing.T, open Open) {
	if testing.Short() {
		t.Skip("short: many records")
	}
	w := newWorld(t, open, db.Config{MaxScanPending: 1 << 30})
	p := w.scan(queue.JobStart{})
	const pages, lines = 120, 2000
	named := make([]queue.Ended, lines)
	for i, k := range numbered("k", lines) {
		named[i] = queue.Ended{Key: k, Reason: task.UpToDate}
	}
	for range pages {
		w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "z", Unchanged: lines, Named: named}))
	}
	n, err := w.s.SealLists(t.Context(), time.Hour, 1)
	w.must(err)
	files, err := w.s.SealedLists(t.Context(), 100)
	w.must(err)
	var total int64
	times := map[time.Time]bool{}
	for _, f := range files {
		total += f.Lines
		times[f.SealedAt] = true
		if f.Lines > 100_000+lines || f.SealedAt.Truncate(time.Millisecond) != f.SealedAt {
			t.Fatalf("file %+v", f)
		}
	}
	if n != 3 || len(times) != 3 || total != pages*lines {
		t.Fatalf("sealed %d files at %v with %d lines", n, times, total)
	}
	w.prove()
}
