package db_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/db/dbtest/pgserver"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// scansBefore are scans as the seventh version of the schema has them, of a task that has
// left the places of its scan and of one that has not.
var scansBefore = []string{
	olderTask,
	strings.NewReplacer("00000000000000000000000001", "00000000000000000000000002", "'n', ''", "'m', ''", "'b', ''", "'c', ''").Replace(olderTask),
	`INSERT INTO jobs (id, task, project, kind, state, ending, started_at, ended_at) VALUES ('left', 1, 'p', 'scan', 'done', 'left', 1000, 2000),
		('kept', 2, 'p', 'scan', 'done', 'done', 1000, 2000)`,
}

// Scans that proved nothing before the update prove nothing after it, and the others do.
func TestScansFromBeforeProve(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, cfg db.Config, exec func(string)) {
		t.Helper()
		if err := db.MigrateTo(t.Context(), cfg, 7); err != nil {
			t.Fatal(err)
		}
		for _, sql := range scansBefore {
			exec(sql)
		}
		cfg.Migrate = true
		s := open(t, cfg)
		for id, want := range map[task.ID]bool{"00000000000000000000000001": false, "00000000000000000000000002": true} {
			if m, err := s.Watermarks(t.Context(), id); err != nil || m.Proven.IsZero() == want {
				t.Errorf("%s: %+v, %v", id, m, err)
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lockstep.db")
		check(t, db.Config{Path: path}, func(sql string) {
			d := rawSQLite(t, path)
			defer func() { _ = d.Close() }()
			if _, err := d.ExecContext(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgserver.Shared(t).Database(t)
		check(t, db.Config{URL: url}, func(sql string) { execPostgres(t, url, sql) })
	})
}
