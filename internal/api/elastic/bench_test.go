package elastic_test

import (
	"bufio"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // seeding through the API would take hours
)

var (
	benchJobs       = flag.Int("elastic-jobs", 1_000_000, "sync jobs that BenchmarkLists lists")
	benchConnectors = flag.Int("elastic-connectors", 50_000, "connectors that BenchmarkLists lists")
)

// BenchmarkLists is pages of 100 over HTTP, at the beginning and at the end of what can be
// asked for; of tasks those that have had no job, and those with six and with a thousand
// each. An op is one page; p50-ms is what counts.
func BenchmarkLists(b *testing.B) {
	w := newWorld(b)
	w.want("PUT", "/_connector/c", `{"index_name":"i","service_type":"s"}`, 201)
	job := w.want("POST", "/_connector/_sync_job", `{"id":"c"}`, 201)["id"].(string)
	seedLists(b, w, job)
	for i := range 100 {
		w.addTask(fmt.Sprint("t", i))
	}
	for _, path := range []string{
		"/_connector/_sync_job?", "/_connector/_sync_job?status=pending", "/_connector/_sync_job?connector_id=c", "/_connector/_sync_job?connector_id=c&job_type=full",
		"/_connector?", "/_connector?service_type=s", "/_connector?query=number",
	} {
		for _, from := range []int{0, 9_900} {
			b.Run(fmt.Sprintf("%s/%d", strings.TrimPrefix(path, "/"), from), func(b *testing.B) { benchPage(b, w, path+"&from="+strconv.Itoa(from)) })
		}
	}
	had := 0
	for _, jobs := range []int{0, 6, 1_000} {
		seedTaskJobs(b, w, had, jobs)
		had = jobs
		for _, path := range []string{"_connector?service_type=lockstep", "_connector/_sync_job?"} {
			b.Run(fmt.Sprintf("%s/%d-jobs", path, jobs), func(b *testing.B) { benchPage(b, w, "/"+path) })
		}
	}
}

func benchPage(b *testing.B, w *world, path string) {
	here := *w
	here.TB = b
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if r := here.do("viewer", "GET", path, ""); r.status != 200 {
			b.Fatalf("%s: %d %s", path, r.status, r.body)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse)/(1<<20), "heap-MiB")
	if rss := residentMiB(); rss > 0 {
		b.ReportMetric(rss, "rss-MiB")
	}
}

// residentMiB is the memory of this process; 0 where the system does not say.
func residentMiB() float64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kib / 1024
		}
	}
	return 0
}

// seedTaskJobs gives every task as many jobs as that, the had first of which it has: a
// scan, then bursts of events.
func seedTaskJobs(b *testing.B, w *world, had, jobs int) {
	b.Helper()
	if jobs == had {
		return
	}
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(w.path)+"?_pragma=busy_timeout(60000)")
	w.must(err)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(b.Context(), fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO jobs (id, task, project, kind, state, started_at, closed_at, ended_at, subject)
		SELECT k.id || '-' || i, k.num, k.project, CASE WHEN i = 1 THEN 'scan' ELSE 'events' END, 'done',
			1000000 + i, 2000000 + i, 3000000 + i, k.id FROM n, tasks k ORDER BY i, k.num`, had+1, jobs))
	w.must(err)
	_, err = db.ExecContext(b.Context(), `INSERT INTO job_counts (job, shard, requested, synced, failed, ignored, unchanged, deleted, flagged, missed, bytes, unlisted)
		SELECT num, 0, 3, 3, 0, 0, 0, 0, 0, 0, 9, 0 FROM jobs WHERE kind <> 'external' AND num NOT IN (SELECT job FROM job_counts)`)
	w.must(err)
	_, err = db.ExecContext(b.Context(), "PRAGMA wal_checkpoint(TRUNCATE)") // no service writes so much at once
	w.must(err)
}

// seedLists copies one job and one connector, as they were stored, many times.
func seedLists(b *testing.B, w *world, job string) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(w.path)+"?_pragma=busy_timeout(60000)")
	w.must(err)
	defer func() { _ = db.Close() }()
	const step = 5_000
	for from := 0; from < *benchJobs; from += step {
		_, err := db.ExecContext(b.Context(), fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO jobs (id, task, project, kind, state, started_at, ended_at, ext, origin, subject, reported_type, reported_status, reported_at)
			SELECT 'id' || i, 0, project, kind, CASE WHEN i %% 7 = 0 THEN 'open' ELSE 'done' END, 1000000 + i, CASE WHEN i %% 7 = 0 THEN 0 ELSE 1000000 + i END, ext, origin,
				CASE WHEN i %% 5 = 0 THEN 'c' ELSE 'c' || (i %% 1000) END, CASE WHEN i %% 3 = 0 THEN 'full' ELSE 'incremental' END,
				CASE WHEN i %% 7 = 0 THEN 'pending' ELSE 'completed' END, 1000000 + i FROM n, jobs WHERE id = '%s'`, from+1, min(from+step, *benchJobs), job))
		w.must(err)
	}
	for from := 0; from < *benchConnectors; from += step {
		_, err := db.ExecContext(b.Context(), fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO connectors (project, id, unnamed, index_name, name, service_type, description, deleted, doc, changed_at)
			SELECT project, 'c' || i, 0, 'index-' || i, 'Name ' || i, service_type, 'number ' || i, 0, doc, changed_at FROM n, connectors WHERE id = 'c'`, from+1, min(from+step, *benchConnectors)))
		w.must(err)
	}
}
