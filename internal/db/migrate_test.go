package db_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/db/dbtest/pgserver"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func fill(t *testing.T, s *db.Store) {
	t.Helper()
	if _, err := s.CreateTask(t.Context(), task.Task{Project: "p", Name: "n"}, task.Actor{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantTask(t *testing.T, s *db.Store) {
	t.Helper()
	if _, err := s.TaskNamed(t.Context(), "p", "n"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *task.Error
	if !asError(err, &e) || e.Code != code || e.Next == "" {
		t.Fatalf("error %v, want %s with advice", err, code)
	}
}

// A database that holds data is copied before it is migrated, and only then.
func TestSQLiteIsCopiedBeforeMigration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b%?.db")
	fill(t, open1(t, path))
	wantTask(t, open1(t, path)) // nothing to migrate, no copy
	copies := func() []string {
		found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.v*-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if got := copies(); len(got) != 0 {
		t.Fatalf("copies %v of a database that is up to date", got)
	}
	olderSQLite(t, path)
	wantTask(t, open1(t, path))
	got := copies()
	if len(got) != 1 {
		t.Fatalf("copies %v", got)
	}
	for _, f := range []string{path, got[0]} {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v, %v", f, info.Mode(), err)
		}
	}
	wantTask(t, open1(t, got[0]))
}

// olderSQLite takes the last migration of the job tables back.
func olderSQLite(t *testing.T, path string) {
	t.Helper()
	d := rawSQLite(t, path)
	m, err := rivermigrate.New(riversqlite.New(d), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Migrate(t.Context(), rivermigrate.DirectionDown, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func rawSQLite(t *testing.T, path string) *sql.DB {
	t.Helper()
	if err := os.Symlink(path, filepath.Join(filepath.Dir(path), "raw.db")); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	d, err := sql.Open("sqlite", filepath.Join(filepath.Dir(path), "raw.db"))
	if err != nil {
		t.Fatal(err)
	}
	d.SetMaxOpenConns(1)
	return d
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	const newer = "INSERT INTO schema_version (version_id, is_applied) VALUES (999, "
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lockstep.db")
		fill(t, open1(t, path))
		d := rawSQLite(t, path)
		if _, err := d.ExecContext(t.Context(), newer+"1)"); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := db.Open(t.Context(), db.Config{Path: path})
		wantCode(t, err, "SCHEMA_TOO_NEW")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgserver.Shared(t).Database(t)
		fill(t, open1(t, url))
		execPostgres(t, url, newer+"true)")
		_, err := db.Open(t.Context(), db.Config{URL: url, Migrate: true})
		wantCode(t, err, "SCHEMA_TOO_NEW")
	})
}

func execPostgres(t *testing.T, url, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// A PostgreSQL schema that holds data is migrated only on request.
func TestPostgresMigratesOnRequest(t *testing.T) {
	t.Parallel()
	url := pgserver.Shared(t).Database(t)
	fill(t, open1(t, url))
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Migrate(t.Context(), rivermigrate.DirectionDown, nil); err != nil {
		t.Fatal(err)
	}
	pool.Close()
	_, err = db.Open(t.Context(), db.Config{URL: url})
	wantCode(t, err, "MIGRATION_NEEDED")
	s, err := db.Open(t.Context(), db.Config{URL: url, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	wantTask(t, s)
	wantTask(t, open1(t, url))
}

// Nodes that boot at the same moment migrate once.
func TestBootAtOnce(t *testing.T) {
	t.Parallel()
	boot := func(t *testing.T, where string) {
		t.Parallel()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				s, err := db.Open(t.Context(), config(where))
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	t.Run("sqlite", func(t *testing.T) { boot(t, filepath.Join(t.TempDir(), "lockstep.db")) })
	t.Run("postgres", func(t *testing.T) { boot(t, pgserver.Shared(t).Database(t)) })
}

func TestBackup(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, db.Config{})
	if _, err := s.CreateTask(t.Context(), task.Task{Project: "p", Name: "n"}, task.Actor{}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := s.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	wantTask(t, open1(t, file))
	if err := s.Backup(t.Context(), file); err == nil {
		t.Fatal("a backup overwrote a file")
	}
	p := openPostgres(t, db.Config{})
	wantCode(t, p.Backup(t.Context(), file), "BACKUP_UNSUPPORTED")
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []db.Config{{}, {URL: "mysql://x"}} {
		if _, err := db.Open(t.Context(), c); task.KindOf(err) != task.Invalid {
			t.Fatalf("%+v: %v", c, err)
		}
	}
	_, err := db.Open(t.Context(), db.Config{URL: "postgres://user:s3cret@127.0.0.1:1/x?connect_timeout=1"})
	if task.KindOf(err) != task.Unavailable {
		t.Fatalf("no server: %v", err)
	}
}
