package db_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/db/dbtest/pgserver"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// recordsBefore are a failed record and one that waits for a manifest job, as the sixth
// version of the schema has them. KEY and WAITS are their keys.
var recordsBefore = []string{
	olderTask,
	`INSERT INTO lanes (task, shard) VALUES (1, 0)`,
	`INSERT INTO jobs (num, id, task, project, kind, state, started_at) VALUES (101, 'events', 1, 'p', 'events', 'closed', 10),
		(102, 'manifest', 1, 'p', 'manifest', 'open', 10)`,
	`INSERT INTO failures (task, shard, key, seq, job, class, accepted_at, first_at, last_at, attempts, reason, cause, code, size, missed, open)
		VALUES (1, 0, KEY, 1, 101, 0, 10, 20, 20, 1, 'SOURCE_GONE', '', '', 0, 0, 1)`,
	`INSERT INTO pending (seq, task, shard, key, rank, next_at, job, class, accepted_at) VALUES (2, 1, 0, WAITS, 1, 10, 102, 1, 10)`,
	`INSERT INTO job_counts (job, shard, requested, synced, failed, ignored, unchanged, deleted, flagged, missed, bytes, unlisted) VALUES
		(101, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0), (102, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)`,
}

// Failed records from before have no other key, and waiting ones belong to their job alone.
func TestRecordsFromBeforeAreRetried(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, cfg db.Config, exec func(string)) {
		t.Helper()
		if err := db.MigrateTo(t.Context(), cfg, 6); err != nil {
			t.Fatal(err)
		}
		for _, sql := range recordsBefore {
			exec(sql)
		}
		cfg.Migrate = true
		retryBefore(t, open(t, cfg))
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lockstep.db")
		check(t, db.Config{Path: path}, func(sql string) {
			d := rawSQLite(t, path)
			defer func() { _ = d.Close() }()
			if _, err := d.ExecContext(t.Context(), keysAs(sql, "x'612062'", "x'77'")); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgserver.Shared(t).Database(t)
		check(t, db.Config{URL: url}, func(sql string) { execPostgres(t, url, keysAs(sql, `'\x612062'`, `'\x77'`)) })
	})
}

// keysAs puts the keys into a statement, as an engine writes bytes.
func keysAs(sql, failed, waits string) string {
	return strings.NewReplacer("KEY", failed, "WAITS", waits).Replace(sql)
}

func retryBefore(t *testing.T, s *db.Store) {
	t.Helper()
	const id = "00000000000000000000000001"
	if err := s.CancelJob(t.Context(), "manifest", "", task.Actor{}); err != nil {
		t.Fatal(err)
	}
	j, err := s.StartJob(t.Context(), queue.JobStart{Task: id, Kind: task.RetryJob}, task.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Retry(t.Context(), j.ID, queue.Retry{}, 0, 10); err != nil {
		t.Fatal(err)
	}
	lanes, err := s.ClaimLanes(t.Context(), "n", 10, time.Minute)
	if err != nil || len(lanes) != 1 {
		t.Fatalf("lanes %+v, %v", lanes, err)
	}
	slice, err := s.Slice(t.Context(), lanes[0].LaneID, 10, nil)
	if err != nil || len(slice.Records) != 1 {
		t.Fatalf("slice %+v, %v; want the failed record alone", slice, err)
	}
	r := slice.Records[0]
	if r.Key != "a b" || r.Known != (queue.Known{}) {
		t.Fatalf("record %+v", r)
	}
	if n, err := s.Settle(t.Context(), lanes[0], []queue.Settlement{{Record: r, Outcome: task.Synced, Reason: task.Copied}}); err != nil || n.Ended != 1 {
		t.Fatalf("settled %+v, %v", n, err)
	}
}
