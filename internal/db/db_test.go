package db_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/db/dbtest"
	"github.com/lockstep-sync/lockstep/internal/db/dbtest/pgserver"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role))
	}
	os.Exit(pgserver.Main(m))
}

func openSQLite(tb testing.TB, with db.Config) *db.Store {
	tb.Helper()
	with.Path = filepath.Join(tb.TempDir(), "lockstep.db")
	empty, err := migrated()
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(with.Path, empty, 0o600); err != nil {
		tb.Fatal(err)
	}
	return open(tb, with)
}

// migrated is an empty SQLite database, migrated once for all tests.
var migrated = sync.OnceValues(func() (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "lockstep-db-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "empty.db")
	s, err := db.Open(context.Background(), db.Config{Path: path})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func openPostgres(tb testing.TB, with db.Config) *db.Store {
	tb.Helper()
	server := pgserver.Shared(tb)
	template := server.Template(tb, func(url string) {
		s, err := db.Open(tb.Context(), db.Config{URL: url})
		if err != nil {
			tb.Fatal(err)
		}
		if err := s.Close(); err != nil {
			tb.Fatal(err)
		}
	})
	with.URL = server.Copy(tb, template)
	return open(tb, with)
}

func open(tb testing.TB, with db.Config) *db.Store {
	tb.Helper()
	s, err := db.Open(tb.Context(), with)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, openSQLite)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	pgserver.Shared(t)
	dbtest.Run(t, openPostgres)
}
