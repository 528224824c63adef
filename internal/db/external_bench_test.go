package db_test

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

var externalRows = flag.Int("external-rows", 1_000_000, "jobs that BenchmarkExternalLists lists")

// seed writes jobs in the shape that reports give them: three apps, one failure in a
// thousand, all of those among the oldest tenth.
func seed(b *testing.B, s *db.Store) {
	b.Helper()
	const step = 2_000 // a transaction that changes one counter very often is slow on PostgreSQL
	for from := 0; from < *externalRows; from += step {
		to := min(from+step, *externalRows)
		if err := s.Exec(b.Context(), fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO jobs (id, task, project, kind, state, started_at, ended_at, ext, origin, subject, reported_type, reported_status, reported_at)
			SELECT 'id' || i, 0, 'p', 'external', 'done', 1000000 + i, 1000000 + i,
				'{"didspaces":{"source":"s","target":"t","totalCount":3,"errorCount":0,"successCount":3,"size":9,"duration":1}}', 'didspaces',
				CASE WHEN i %% 10 = 0 THEN 'small' WHEN i %% 100 = 1 THEN 'tiny' ELSE 'app' END, 'app-objects-sync',
				CASE WHEN i %% 1000 = 0 AND i < %d THEN 'failed' WHEN i %% 7 = 0 THEN 'pending' ELSE 'succeeded' END, 1000000 + i FROM n`,
			from+1, to, *externalRows/10)); err != nil {
			b.Fatal(err)
		}
		if err := s.Exec(b.Context(), fmt.Sprintf(`INSERT INTO job_counts (job, shard, requested, synced, failed, ignored, unchanged, deleted, flagged, missed, bytes, unlisted)
			SELECT num, 0, 3, 3, 0, 0, 0, 0, 0, 0, 9, 0 FROM jobs WHERE num > %d AND num <= %d`, from, to)); err != nil {
			b.Fatal(err)
		}
	}
}

// Any page of the first 10,000 rows of any list, with a million jobs in the project.
func BenchmarkExternalLists(b *testing.B) {
	for _, e := range []struct {
		name string
		open func(testing.TB, db.Config) *db.Store
	}{{"sqlite", openSQLite}, {"postgres", openPostgres}} {
		b.Run(e.name, func(b *testing.B) {
			s := e.open(b, db.Config{})
			seed(b, s)
			for name, f := range map[string]history.ExternalFilter{
				"project": {}, "app": {Subject: "app"}, "failed": {Subject: "small", Statuses: []string{"failed"}},
				"two statuses": {Subject: "app", Statuses: []string{"pending", "succeeded"}}, "by status": {Subject: "app", Sort: history.SortStatus},
				"changed": {Subject: "app", Sort: history.SortChanged}, "oldest first": {Subject: "app", Ascending: true}, "type": {Types: []string{"app-objects-sync"}},
			} {
				f.Origin, f.Managed = task.DIDSpaces, true
				for _, offset := range []int{0, 9_900} {
					b.Run(fmt.Sprintf("%s/%d", name, offset), func(b *testing.B) { listPage(b, s, f, offset) })
				}
			}
		})
	}
}

func listPage(b *testing.B, s *db.Store, f history.ExternalFilter, offset int) {
	var took []time.Duration
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		start := time.Now()
		if _, _, err := s.ExternalJobs(b.Context(), "p", f, offset, 100); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric((float64(after.HeapInuse)-float64(before.HeapInuse))/(1<<20), "heap-grown-MiB")
}

// How the jobs of a hundred tasks stand, with a thousand jobs each.
func BenchmarkListTaskSyncs(b *testing.B) {
	for _, e := range []struct {
		name string
		open func(testing.TB, db.Config) *db.Store
	}{{"sqlite", openSQLite}, {"postgres", openPostgres}} {
		b.Run(e.name, func(b *testing.B) {
			s := e.open(b, db.Config{})
			ids := seedTasks(b, s, 100, 1_000)
			if e.name == "postgres" { // it does so itself sooner or later, and plans by what it found
				if err := s.Exec(b.Context(), "ANALYZE"); err != nil {
					b.Fatal(err)
				}
			}
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if all, err := s.TaskSyncs(b.Context(), "p", ids); err != nil || len(all) != len(ids) {
					b.Fatal(len(all), err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// seedTasks makes tasks with jobs: every tenth is a scan, every hundredth a manifest.
func seedTasks(b *testing.B, s *db.Store, tasks, jobs int) (ids []task.ID) {
	b.Helper()
	for i := range tasks {
		k, err := s.CreateTask(b.Context(), task.Task{
			Project: "p", Name: fmt.Sprint("t", i), Source: task.Location{Endpoint: "src", Bucket: "b"},
			Destination: task.Location{Endpoint: "dst", Bucket: "b", Prefix: fmt.Sprint("t", i, "/")},
		}, task.Actor{})
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, k.ID)
	}
	const step = 20 // a transaction that changes one counter very often is slow on PostgreSQL
	for from := 0; from < jobs; from += step {
		if err := s.Exec(b.Context(), fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO jobs (id, task, project, kind, state, started_at, closed_at, ended_at, subject)
			SELECT k.id || '-' || n.i, k.num, k.project, CASE WHEN n.i %% 100 = 1 THEN 'manifest' WHEN n.i %% 10 = 2 THEN 'scan' ELSE 'events' END, 'done',
				1000000 + n.i, 2000000 + n.i, 3000000 + n.i, k.id FROM n, tasks k ORDER BY n.i, k.num`, from+1, min(from+step, jobs))); err != nil {
			b.Fatal(err)
		}
	}
	return ids
}
