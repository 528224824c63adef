package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// fill records n outcomes of each kind from several goroutines and returns what
// was recorded.
func fill(r *Report, n int, unchanged bool) ReportCounts {
	var workers sync.WaitGroup
	const width = 4
	for w := range width {
		workers.Go(func() {
			for i := w; i < n; i += width {
				key := fmt.Sprintf("dir/%d\t+ä", i)
				r.Synced(key, int64(i), at)
				r.Deleted(key, at)
				r.Failed(key, task.DestinationDenied, objstore.ErrDenied, "AccessDenied", at)
				r.Ignored(key, task.Excluded, 2, int64(i), at)
				if unchanged {
					r.Ignored(key, task.UpToDate, 0, int64(i), at)
				}
			}
		})
	}
	workers.Wait()
	m := int64(n)
	return ReportCounts{
		Requested: 5 * m, Synced: 2 * m, Failed: m, Ignored: 2 * m, Bytes: m * (m - 1) / 2, Deleted: m, Unchanged: m,
		ByReason: map[task.Reason]int64{
			task.Copied: m, task.Deleted: m, task.DestinationDenied: m, task.Excluded: m, task.UpToDate: m, task.Superseded: 0,
		},
		Lost: map[string]int64{"tags": 1}, Complete: true,
	}
}

func TestReportVerifies(t *testing.T) {
	t.Parallel()
	for _, unchanged := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "new", "report")
		r, err := NewReport(dir, ReportMeta{Started: at, Source: "s3://aaa", Destination: "s3://bbb"})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(fill(r, 50, unchanged)); err != nil {
			t.Fatal(err)
		}
		m, err := VerifyReport(dir)
		if err != nil {
			t.Fatal(err)
		}
		wantIgnored, wantUnlisted := int64(50), int64(50)
		if unchanged {
			wantIgnored, wantUnlisted = 100, 0
		}
		if lines(m.Synced) != 100 || lines(m.Failed) != 50 || lines(m.Ignored) != wantIgnored || m.Unlisted[task.UpToDate] != wantUnlisted || m.Job == "" {
			t.Errorf("manifest is %+v", m)
		}
		if name := fmt.Sprintf("success_object_lists/%d.success_list.txt", at.UnixMilli()); m.Synced[0].Name != name {
			t.Errorf("list is called %s, not %s", m.Synced[0].Name, name)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".manifest*")); left != nil {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestEmptyReportVerifies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, err := NewReport(dir, ReportMeta{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(ReportCounts{}); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyReport(dir); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyReportFindsDamage(t *testing.T) {
	t.Parallel()
	list := func(dir, kind string) string {
		names, _ := filepath.Glob(filepath.Join(dir, kind, "*.txt"))
		return names[0]
	}
	edit := func(path string, change func(string) string) error {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(change(string(raw))), 0o600)
	}
	manifest := func(dir, before, after string) error {
		return edit(filepath.Join(dir, ManifestName), func(s string) string { return strings.Replace(s, before, after, 1) })
	}
	for name, damage := range map[string]func(dir string) error{
		"line lost": func(dir string) error {
			return edit(list(dir, FailedDir), func(s string) string { _, rest, _ := strings.Cut(s, "\n"); return rest })
		},
		"byte changed": func(dir string) error {
			return edit(list(dir, SyncedDir), func(s string) string { return strings.Replace(s, "dir", "dIr", 1) })
		},
		"line added": func(dir string) error {
			return edit(list(dir, IgnoredDir), func(s string) string { return s + s[:strings.Index(s, "\n")+1] })
		},
		"last line torn": func(dir string) error {
			return edit(list(dir, IgnoredDir), func(s string) string { return s[:len(s)-1] })
		},
		"list gone":         func(dir string) error { return os.Remove(list(dir, SyncedDir)) },
		"manifest gone":     func(dir string) error { return os.Remove(filepath.Join(dir, ManifestName)) },
		"count changed":     func(dir string) error { return manifest(dir, `"synced": 8`, `"synced": 9`) },
		"requested changed": func(dir string) error { return manifest(dir, `"requested": 20`, `"requested": 21`) },
		"bytes changed":     func(dir string) error { return manifest(dir, `"bytes": 6`, `"bytes": 7`) },
		"deleted changed":   func(dir string) error { return manifest(dir, `"deleted": 4`, `"deleted": 3`) },
		"unlisted changed": func(dir string) error {
			return manifest(dir, "\"unlisted\": {\n    \"UP_TO_DATE\": 4", "\"unlisted\": {\n    \"UP_TO_DATE\": 3")
		},
		"reason changed":     func(dir string) error { return manifest(dir, `"DST_DENIED": 4`, `"DST_FULL": 4`) },
		"list out of reach":  func(dir string) error { return manifest(dir, `"skip_object_lists/`, `"../skip_object_lists/`) },
		"unknown version":    func(dir string) error { return manifest(dir, `"version": 1`, `"version": 2`) },
		"manifest cut short": func(dir string) error { return os.Truncate(filepath.Join(dir, ManifestName), 100) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r, err := NewReport(dir, ReportMeta{Started: at})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Close(fill(r, 4, false)); err != nil {
				t.Fatal(err)
			}
			if _, err := VerifyReport(dir); err != nil {
				t.Fatalf("before the damage: %v", err)
			}
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := VerifyReport(dir); err == nil {
				t.Error("the damage is not found")
			}
		})
	}
}

func TestCloseRefusesOtherCounts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*ReportCounts){
		"synced":    func(c *ReportCounts) { c.Synced++; c.Requested++ },
		"failed":    func(c *ReportCounts) { c.Failed--; c.Requested-- },
		"ignored":   func(c *ReportCounts) { c.Ignored--; c.Requested-- },
		"pending":   func(c *ReportCounts) { c.Requested++ },
		"requested": func(c *ReportCounts) { c.Requested--; c.Complete = false },
		"bytes":     func(c *ReportCounts) { c.Bytes-- },
		"deleted":   func(c *ReportCounts) { c.Deleted-- },
		"a reason":  func(c *ReportCounts) { c.ByReason[task.Copied]--; c.ByReason[task.Deleted]++ },
		// Lines that no count knows of.
		"excluded": func(c *ReportCounts) { c.ByReason[task.Excluded]--; c.Ignored--; c.Requested-- },
		// Only verdicts of the comparison may go without a line.
		"gone": func(c *ReportCounts) { c.ByReason[task.SourceGone]++; c.Ignored++; c.Requested++ },
	} {
		r, err := NewReport(t.TempDir(), ReportMeta{})
		if err != nil {
			t.Fatal(err)
		}
		totals := fill(r, 3, false)
		change(&totals)
		wantCode(t, name, r.Close(totals), "REPORT_MISMATCH")
	}
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var e *task.Error
	if !errors.As(err, &e) || e.Code != code || e.Next == "" {
		t.Errorf("%s: error is %v, want %s", what, err, code)
	}
}

func TestReportRolls(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// A list of another run with the same start must survive.
	stranger := filepath.Join(dir, FailedDir, fmt.Sprintf("%d.failed_list.txt", at.UnixMilli()))
	if err := errors.Join(os.MkdirAll(filepath.Dir(stranger), 0o700), os.WriteFile(stranger, []byte("mine\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	r, err := NewReport(dir, ReportMeta{Started: at})
	if err != nil {
		t.Fatal(err)
	}
	const n = 2*maxListLines + 5
	for range n {
		r.Failed("k", task.TooLarge, nil, "", at)
	}
	if err := r.Close(ReportCounts{Requested: n, Failed: n, ByReason: map[task.Reason]int64{task.TooLarge: n}}); err != nil {
		t.Fatal(err)
	}
	m, err := VerifyReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	ms := at.UnixMilli() + 1
	for i, want := range []List{
		{Name: fmt.Sprintf("failed_object_lists/%d.failed_list.txt", ms), Lines: maxListLines},
		{Name: fmt.Sprintf("failed_object_lists/%d_2.failed_list.txt", ms), Lines: maxListLines},
		{Name: fmt.Sprintf("failed_object_lists/%d_3.failed_list.txt", ms), Lines: 5},
	} {
		if i >= len(m.Failed) || m.Failed[i].Name != want.Name || m.Failed[i].Lines != want.Lines {
			t.Errorf("list %d of %+v is not %s with %d lines", i, m.Failed, want.Name, want.Lines)
		}
	}
	if raw, _ := os.ReadFile(stranger); string(raw) != "mine\n" {
		t.Errorf("the other run's list is now %q", raw)
	}
}

func TestSecondReportKeepsTheFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for run := range 2 {
		r, err := NewReport(dir, ReportMeta{Started: at.Add(time.Duration(run) * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("run %d has a manifest before its end: %v", run, err)
		}
		if err := r.Close(fill(r, 2+run, false)); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := VerifyReport(dir); err != nil || m.Counts.Failed != 3 {
		t.Errorf("second run: %d failed, %v", m.Counts.Failed, err)
	}
	old := filepath.Join(dir, fmt.Sprintf("%d.manifest.json", at.UnixMilli()))
	if err := os.Rename(old, filepath.Join(dir, ManifestName)); err != nil {
		t.Fatal(err)
	}
	if m, err := VerifyReport(dir); err != nil || m.Counts.Failed != 2 {
		t.Errorf("first run: %d failed, %v", m.Counts.Failed, err)
	}
}

func TestReportThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewReport(file, ReportMeta{}); err == nil {
		t.Error("a file is taken for a directory")
	}

	r, err := NewReport(filepath.Join(dir, "report"), ReportMeta{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "report")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a directory that vanishes", r.Close(fill(r, 1, false)), "REPORT_NOT_WRITTEN")

	r, err = NewReport(filepath.Join(dir, "late"), ReportMeta{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(ReportCounts{}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a second close", r.Close(ReportCounts{}), "REPORT_NOT_WRITTEN")
}

func BenchmarkReportSynced(b *testing.B) {
	r, err := NewReport(b.TempDir(), ReportMeta{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Synced("photos/2026/03/04/IMG_20260304_050607.jpg", 4096, at)
	}
}
