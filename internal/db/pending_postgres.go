package db

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Rows travel as one array for each column.

// columns are rows in the order of postgresColumns.
func columns(rs []row) []any {
	n := len(rs)
	tasks, nexts, jobs, accepted := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	retries, failed := make([]int64, n), make([]int64, n)
	shards, attempts := make([]int32, n), make([]int32, n)
	ranks, classes, missed, shared := make([]int16, n), make([]int16, n), make([]int16, n), make([]int16, n)
	keys, known := make([][]byte, n), make([][]byte, n)
	for i := range rs {
		r := &rs[i]
		tasks[i], shards[i], keys[i], ranks[i], nexts[i] = r.task, int32(r.shard), []byte(r.key), int16(r.rank), r.nextAt
		jobs[i], classes[i], accepted[i], attempts[i] = r.job, int16(r.class), r.acceptedAt, int32(r.attempts)
		missed[i], retries[i], failed[i], known[i] = int16(bit(r.missed)), r.retry, r.failedSeq, r.known
		shared[i] = int16(bit(r.shared))
	}
	return []any{tasks, shards, keys, ranks, nexts, jobs, classes, accepted, attempts, missed, retries, failed, known, shared}
}

const postgresInsert = `INSERT INTO pending
	(seq, task, shard, key, rank, next_at, job, class, accepted_at, attempts, missed, retry, failed_seq, known, shared)
	SELECT nextval('pending_seq'), u.* FROM unnest($1::bigint[], $2::int[], $3::bytea[], $4::smallint[], $5::bigint[],
		$6::bigint[], $7::smallint[], $8::bigint[], $9::int[], $10::smallint[], $11::bigint[], $12::bigint[], $13::bytea[], $14::smallint[]) u
	ON CONFLICT (task, shard, key) DO `

func (e *postgresEngine) insert(ctx context.Context, t *txn, rs []row) (kept []bool, err error) {
	kept = make([]bool, len(rs))
	at := make(map[string]int, len(rs))
	for i := range rs {
		at[rs[i].key] = i // rows to be inserted are of one task
	}
	err = each(ctx, t, postgresInsert+"NOTHING RETURNING key", columns(rs), func(r rows) error {
		var key []byte
		err := r.Scan(&key)
		kept[at[string(key)]] = true
		return err
	})
	return kept, err
}

// Known and shared become what row.inherit says. The row itself takes along what it displaces, since RETURNING shows the new version
// alone: no other node can come between reading the old record and replacing it.
func (e *postgresEngine) upsert(ctx context.Context, t *txn, rs []row) (old []displaced, err error) {
	err = each(ctx, t, "WITH up AS ("+postgresInsert+`UPDATE SET
		was_job = pending.job, was_accepted_at = pending.accepted_at, was_class = pending.class, was_retry = pending.retry,
		seq = excluded.seq, rank = excluded.rank, next_at = excluded.next_at, job = excluded.job, class = excluded.class,
		accepted_at = excluded.accepted_at, attempts = excluded.attempts, missed = excluded.missed, retry = excluded.retry,
		failed_seq = excluded.failed_seq, reason = '', restoring_at = 0, known = CASE WHEN excluded.known IS NULL
			AND length(pending.known) > 1 AND get_byte(pending.known, 0) = 2 THEN pending.known ELSE excluded.known END,
		shared = CASE WHEN pending.retry = 0 AND pending.class <> 2 AND pending.job <> excluded.job THEN 1
			ELSE greatest(pending.shared, excluded.shared) END
		RETURNING task, shard, key, was_job, was_accepted_at, was_class, was_retry)
		SELECT * FROM up WHERE was_job <> 0`, columns(rs), func(r rows) error {
		var d displaced
		var key []byte
		err := r.Scan(&d.task, &d.shard, &key, &d.job, &d.acceptedAt, &d.class, &d.retry)
		d.key = string(key)
		old = append(old, d)
		return err
	})
	return old, err
}

// named are removals as arrays, after their lane.
func named(rs []removal) []any {
	n := len(rs)
	keys, seqs, jobs, accepted := make([][]byte, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i := range rs {
		keys[i], seqs[i], jobs[i], accepted[i] = []byte(rs[i].key), rs[i].seq, rs[i].job, rs[i].acceptedAt
	}
	return []any{rs[0].task, int32(rs[0].shard), keys, seqs, jobs, accepted}
}

const postgresNamed = ` WHERE p.task = $1 AND p.shard = $2 AND p.key = u.key AND p.seq = u.seq AND p.job = u.job
	AND p.accepted_at = u.accepted_at RETURNING u.ord`

func (e *postgresEngine) remove(ctx context.Context, t *txn, rs []removal) (removed []bool, err error) {
	if len(rs) == 0 {
		return nil, nil
	}
	return ordinals(ctx, t, len(rs), `DELETE FROM pending p USING unnest($3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[])
		WITH ORDINALITY u (key, seq, job, accepted_at, ord)`+postgresNamed, named(rs))
}

func (e *postgresEngine) postpone(ctx context.Context, t *txn, rs []removal, later []delay) (postponed []bool, err error) {
	if len(rs) == 0 {
		return nil, nil
	}
	nexts, reasons, restoring, tried := make([]int64, len(rs)), make([]string, len(rs)), make([]int64, len(rs)), make([]int64, len(rs))
	for i, d := range later {
		nexts[i], reasons[i], restoring[i], tried[i] = d.nextAt, string(d.reason), d.restoringAt, d.tried
	}
	return ordinals(ctx, t, len(rs), `UPDATE pending p SET attempts = p.attempts + u.tried, next_at = u.next_at, reason = u.reason, restoring_at = u.restoring_at
		FROM unnest($3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[])
		WITH ORDINALITY u (key, seq, job, accepted_at, next_at, reason, restoring_at, tried, ord)`+postgresNamed, append(named(rs), nexts, reasons, restoring, tried))
}

// ordinals runs a statement that returns the ordinals, from 1, of n rows it changed.
func ordinals(ctx context.Context, t *txn, n int, sql string, args []any) (changed []bool, err error) {
	changed = make([]bool, n)
	err = each(ctx, t, sql, args, func(r rows) error {
		var ord int64
		err := r.Scan(&ord)
		changed[ord-1] = err == nil
		return err
	})
	return changed, err
}

func (e *postgresEngine) slice(ctx context.Context, t *txn, l laneNum, rank int, now int64, limit int, skip map[string]struct{}) (
	rs []queue.Record, next int64, err error,
) {
	if limit == 0 {
		return nil, 0, nil
	}
	var key, known []byte
	var acceptedAt, nextAt, restoringAt int64
	var missed int16
	var reason string
	// The caller's own keys are among the rows: that many more are read, and one that may
	// not be due.
	err = each(ctx, t, `SELECT seq, key, class, accepted_at, next_at, attempts, reason, missed, known, job, retry, failed_seq, restoring_at
		FROM pending WHERE task = $1 AND shard = $2 AND rank = $3 ORDER BY next_at, seq LIMIT $4`,
		[]any{l.task, l.shard, rank, limit + len(skip) + 1}, func(q rows) error {
			var r queue.Record
			if err := q.Scan(&r.Seq, &key, &r.Class, &acceptedAt, &nextAt, &r.Attempts, &reason, &missed, &known,
				&r.JobNum, &r.RetryNum, &r.FailedSeq, &restoringAt); err != nil {
				return err
			}
			_, busy := skip[string(key)]
			switch {
			case nextAt > now && next == 0:
				next = nextAt
				return nil
			case nextAt > now, busy, len(rs) == limit:
				return nil
			}
			r.Key, r.AcceptedAt, r.NextAt, r.RestoringAt = string(key), fromMicros(acceptedAt), fromMicros(nextAt), fromMicros(restoringAt)
			r.Reason, r.Missed = task.Reason(reason), missed != 0
			var err error
			r.Known, err = queue.ParseKnown(known)
			rs = append(rs, r)
			return err
		})
	return rs, next, err
}
