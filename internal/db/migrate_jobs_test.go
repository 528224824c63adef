package db_test

import (
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/db/dbtest/pgserver"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// jobsBefore are rows as the first version of the schema has them.
var jobsBefore = []string{
	`INSERT INTO tasks (num, id, project, name, description, state, shards, origin, src_endpoint, src_bucket, src_prefix, dst_endpoint, dst_bucket, dst_prefix,
		options, ext, created_at, started_at, changed_at, version) VALUES (1, 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', 'p', 'n', '', 'active', 4, 'native',
		'e', 'b', '', 'e', 'c', '', '{}', '{}', 1, 1, 1, 1)`,
	`INSERT INTO jobs (num, id, task, project, kind, state, started_at, ended_at) VALUES
		(1, 'failed', 1, 'p', 'scan', 'done', 10, 20), (2, 'clean', 1, 'p', 'events', 'done', 11, 21), (3, 'cancelled', 1, 'p', 'retry', 'cancelled', 12, 22),
		(4, 'open', 1, 'p', 'manifest', 'open', 13, 0), (5, 'strange', 0, 'p', 'external', 'open', 14, 0)`,
	`INSERT INTO job_counts (job, shard, requested, synced, failed, ignored, unchanged, deleted, flagged, missed, bytes, unlisted) VALUES
		(1, 0, 2, 1, 1, 0, 0, 0, 0, 0, 1, 0), (2, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0)`,
}

// migrateFirst brings an empty database to the first version.
func migrateFirst(t *testing.T, dialect goose.Dialect, dir string, d *sql.DB) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("migrations", dir, "00001_first.sql"))
	if err != nil {
		t.Fatal(err)
	}
	var files fs.FS = fstest.MapFS{"00001_first.sql": {Data: text}}
	p, err := goose.NewProvider(dialect, d, files, goose.WithTableName("schema_version"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, stmt := range jobsBefore {
		if dir == "sqlite" {
			stmt = strings.ReplaceAll(stmt, "''", "x''")
			stmt = strings.Replace(stmt, "'n', x''", "'n', ''", 1)
		}
		if _, err := d.ExecContext(t.Context(), stmt); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// Jobs from before external ones are in lists and tallies like those made since.
func TestJobsFromBeforeAreTallied(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, s *db.Store) {
		t.Helper()
		for status, want := range map[string]task.JobID{"error": "failed", "completed": "clean", "canceled": "cancelled", "in_progress": "open"} {
			jobs, total, err := s.ExternalJobs(t.Context(), "p", history.ExternalFilter{Managed: true, Statuses: []string{status}}, 0, 10)
			if err != nil || total != 1 || len(jobs) != 1 || jobs[0].ID != want || jobs[0].Subject != "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa" {
				t.Errorf("%s: %+v of %d, %v", status, jobs, total, err)
			}
		}
		if err := s.CancelJob(t.Context(), "open", "", task.Actor{}); err != nil {
			t.Fatal(err)
		}
		if _, total, err := s.ExternalJobs(t.Context(), "p", history.ExternalFilter{Managed: true, Statuses: []string{"canceled"}}, 0, 10); err != nil || total != 2 {
			t.Errorf("%d cancelled, %v", total, err)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lockstep.db")
		d, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		migrateFirst(t, goose.DialectSQLite3, "sqlite", d)
		check(t, open(t, db.Config{Path: path}))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgserver.Shared(t).Database(t)
		d, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		migrateFirst(t, goose.DialectPostgres, "postgres", d)
		check(t, open(t, db.Config{URL: url, Migrate: true}))
	})
}
