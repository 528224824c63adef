package didspaces_test

import (
	"database/sql"
	"flag"
	"runtime"
	"slices"
	"testing"
	"time"
)

var entries = flag.Int("entries", 1_000_000, "entries that BenchmarkList lists")

// seed writes entries of the app in the shape that reports give them.
func (w *world) seed(b testing.TB, n int) {
	b.Helper()
	d, err := sql.Open("sqlite", w.path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	const step = 50_000
	for from := 0; from < n; from += step {
		if _, err := d.ExecContext(b.Context(), `WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO jobs (id, task, project, kind, state, started_at, ended_at, ext, origin, subject, reported_type, reported_status, reported_at)
			SELECT 'entry' || i, 0, 'p', 'external', 'done', 1700000000000000 + i, 1700000000000000 + i,
				'{"didspaces":{"source":"s3://photos","target":"did-space","totalCount":3,"errorCount":0,"successCount":3,"size":9,"duration":1,"user":"u"}}',
				'didspaces', ?, 'app-objects-sync', CASE WHEN i % 1000 = 0 THEN 'failed' WHEN i % 7 = 0 THEN 'pending' ELSE 'succeeded' END, 1700000000000000 + i FROM n`,
			from+1, min(from+step, n), w.wallets["app"].did); err != nil {
			b.Fatal(err)
		}
	}
}

// Pages of a log with a million entries, over HTTP, signatures and all.
func BenchmarkList(b *testing.B) {
	w := newWorld(b)
	w.seed(b, *entries)
	for _, query := range []string{
		"size=10&page=0&sort&order=0", "size=100&page=99&sort&order=0", "size=10&page=999&sort=createdAt&order=0", "size=100&page=99&status=succeeded&status=failed",
		"size=100&page=99&sort=status&order=1", "size=100&page=9&status=failed", "size=100&page=99&sort=updatedAt&order=1",
	} {
		b.Run(query, func(b *testing.B) {
			target := w.base("app") + "/audit-log/list?" + query
			var took []time.Duration
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for b.Loop() {
				start := time.Now()
				if a := w.do("app", "GET", target, ""); a.status != 200 {
					b.Fatal(a.status, string(a.body))
				}
				took = append(took, time.Since(start))
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(int64(after.HeapInuse)-int64(before.HeapInuse))/(1<<20), "heap-grown-MiB")
		})
	}
	b.Run("post and put", func(b *testing.B) {
		for b.Loop() {
			w.put(w.post("app"), "succeeded", 3, 0)
		}
	})
}
