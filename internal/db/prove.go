package db

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// ProveJob recounts a job in one snapshot.
func (s *Store) ProveJob(ctx context.Context, id task.JobID) (p history.Proof, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		j, err := lockJob(ctx, t, id, "")
		if err != nil {
			return err
		}
		c, err := jobCounts(ctx, t, j.num)
		if err != nil {
			return err
		}
		if p, err = recount(ctx, t, "job = $1", j.num, c); err != nil {
			return err
		}
		if queue.ClassOf(j.kind).Named() {
			p.Named = c.Requested
		}
		p.Attempts = j.kind == task.RetryJob
		waiting := "job = $2 AND retry = 0"
		if p.Attempts {
			waiting = "retry = $2"
		}
		return one(ctx, t, "SELECT count(*) FROM pending WHERE task = $1 AND "+waiting, []any{j.task, j.num}, &p.Waiting)
	})
	return p, err
}

// ProveTask recounts a task, over all its jobs, in one snapshot.
func (s *Store) ProveTask(ctx context.Context, id task.ID) (p history.Proof, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		num, err := s.taskNum(ctx, t, id)
		if err != nil {
			return err
		}
		var c, byEvents counts
		if err := one(ctx, t, "SELECT "+sumColumns+" FROM month_counts WHERE task = $1", []any{num}, c.into()...); err != nil {
			return err
		}
		if p, err = recount(ctx, t, "task = $1", num, c); err != nil {
			return err
		}
		if err := one(ctx, t, "SELECT "+sumColumns+" FROM interval_counts WHERE task = $1 AND class IN "+classList(true),
			[]any{num}, byEvents.into()...); err != nil {
			return err
		}
		p.Named = byEvents.Requested + p.Retired.Named
		return one(ctx, t, "SELECT count(*) FROM pending WHERE task = $1 AND retry = 0", []any{num}, &p.Waiting)
	})
	return p, err
}

// recount counts all rows but the waiting ones.
func recount(ctx context.Context, t *txn, where string, num int64, c counts) (p history.Proof, err error) {
	p = history.Proof{Counted: c.Counts, Unlisted: c.unlisted, Stored: map[queue.ListKind]int64{}, Uploaded: map[queue.ListKind]int64{}}
	staged := "job = $1"
	if where != staged {
		staged = "job IN (SELECT num FROM jobs WHERE task = $1 AND ended_at = 0)"
	}
	if err := one(ctx, t, "SELECT (SELECT count(*) FROM staged WHERE "+staged+"), (SELECT count(*) FROM failures WHERE "+where+")",
		[]any{num}, &p.Staged, &p.Failures); err != nil {
		return p, err
	}
	if err := each(ctx, t, "SELECT kind, data FROM outbox WHERE "+where, []any{num}, func(r rows) error {
		var kind queue.ListKind
		var stored []byte
		if err := r.Scan(&kind, &stored); err != nil {
			return err
		}
		data, err := unpack(stored)
		p.Stored[kind] += countLines(data)
		return err
	}); err != nil {
		return p, err
	}
	if err := each(ctx, t, "SELECT kind, CAST(sum(lines) AS BIGINT) FROM list_files WHERE "+where+" AND uploaded_at <> 0 GROUP BY kind",
		[]any{num}, func(r rows) error {
			var kind queue.ListKind
			var n int64
			err := r.Scan(&kind, &n)
			p.Uploaded[kind] = n
			return err
		}); err != nil {
		return p, err
	}
	if p.Retired, err = remains(ctx, t, where, num); err != nil {
		return p, err
	}
	p.ByReason, err = reasons(ctx, t, where, num)
	return p, err
}

// KeyState is what the database knows of one key of a task: the record that waits, if
// any, and the failures that are kept.
func (s *Store) KeyState(ctx context.Context, id task.ID, key string) (waiting *queue.Record, failed []history.Failure, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		num, err := s.taskNum(ctx, t, id)
		if err != nil {
			return err
		}
		var r queue.Record
		var known []byte
		var accepted, next, restoring int64
		var missed int
		err = one(ctx, t, `SELECT p.seq, p.class, p.accepted_at, p.next_at, p.attempts, p.reason, p.missed, p.known, p.job, p.retry, p.failed_seq, p.restoring_at
			FROM lanes l JOIN pending p ON p.task = l.task AND p.shard = l.shard WHERE l.task = $1 AND p.key = $2`, []any{num, []byte(key)},
			&r.Seq, &r.Class, &accepted, &next, &r.Attempts, &r.Reason, &missed, &known, &r.JobNum, &r.RetryNum, &r.FailedSeq, &restoring)
		if err != nil {
			return ignoreNoRow(err)
		}
		r.Key, r.AcceptedAt, r.NextAt, r.Missed = key, fromMicros(accepted), fromMicros(next), missed != 0
		r.RestoringAt = fromMicros(restoring)
		waiting = &r
		r.Known, err = queue.ParseKnown(known)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	failed, err = s.Failures(ctx, id, history.FailureFilter{Key: key}, 0, 100)
	return waiting, failed, err
}
