package db

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// ReleaseDeletes implements queue.Partitions.
func (s *Store) ReleaseDeletes(ctx context.Context, job task.JobID, limit int) (more bool, err error) {
	err = s.unstage(ctx, job, limit, &more, func(ctx context.Context, c *pageCommit, rs []row) error {
		kept, err := c.t.e.insert(ctx, c.t, rs)
		if err != nil {
			return err
		}
		for i, r := range rs {
			if kept[i] {
				c.t.wakeLane(queue.LaneID{Task: c.h.taskID, Shard: r.shard})
				continue
			}
			c.ended(accountOf(r.laneNum, queue.ByScan, r.job, r.acceptedAt),
				queue.Ended{Key: r.key, Reason: task.AlreadyPending})
		}
		return nil
	})
	return more, err
}

// RefuseDeletes implements queue.Partitions.
func (s *Store) RefuseDeletes(ctx context.Context, job task.JobID, limit int) (more bool, err error) {
	return s.dropDeletes(ctx, job, task.GuardStopped, limit)
}

// dropDeletes ends up to limit staged deletes ignored.
func (s *Store) dropDeletes(ctx context.Context, job task.JobID, why task.Reason, limit int) (more bool, err error) {
	err = s.unstage(ctx, job, limit, &more, func(_ context.Context, c *pageCommit, rs []row) error {
		for _, r := range rs {
			c.ended(accountOf(r.laneNum, queue.ByScan, r.job, r.acceptedAt), queue.Ended{Key: r.key, Reason: why})
		}
		return nil
	})
	return more, err
}

// unstage takes up to limit staged deletes off the table and hands them to f, which
// counts what becomes of them.
func (s *Store) unstage(ctx context.Context, job task.JobID, limit int, more *bool, f func(context.Context, *pageCommit, []row) error) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		*more = false
		j, err := lockJob(ctx, t, job, "FOR NO KEY UPDATE")
		if err != nil {
			return err
		}
		c := &pageCommit{t: t, now: s.now(), tally: newTally(s.eng), lines: lines{}}
		c.h.job, c.h.task, c.h.taskID = j.num, j.task, j.taskID
		var rs []row
		var gone [][]any
		err = each(ctx, t, "SELECT shard, key, accepted_at, missed, known FROM staged WHERE job = $1 ORDER BY shard, key LIMIT $2",
			[]any{j.num, limit}, func(q rows) error {
				r := row{class: queue.ByScan, rank: rankRest, job: j.num, nextAt: c.now.UnixMicro()}
				r.task = j.task
				var key, known []byte
				var missed int
				err := q.Scan(&r.shard, &key, &r.acceptedAt, &missed, &known)
				r.key, r.missed, r.known = string(key), missed != 0, append([]byte(nil), known...)
				rs, gone = append(rs, r), append(gone, []any{j.num, r.shard, []byte(r.key)})
				return err
			})
		if err != nil || len(rs) == 0 {
			return err
		}
		if err := t.many(ctx, "DELETE FROM staged WHERE job = $1 AND shard = $2 AND key = $3", gone); err != nil {
			return err
		}
		if err := f(ctx, c, rs); err != nil {
			return err
		}
		if err := c.tally.flush(ctx, t); err != nil {
			return err
		}
		*more = len(rs) == limit
		return c.lines.flush(ctx, t, c.now.UnixMicro())
	})
}

// ReserveDeletes implements queue.Partitions.
func (s *Store) ReserveDeletes(ctx context.Context, id task.ID, at time.Time, n, limit int64) (granted int64, err error) {
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		num, err := s.taskNum(ctx, t, id)
		if err != nil {
			return err
		}
		key := []any{num, at.Unix() / 3600}
		if _, err := t.exec(ctx, "INSERT INTO delete_hours (task, hour, deletes) VALUES ($1, $2, 0) ON CONFLICT (task, hour) DO NOTHING", key...); err != nil {
			return err
		}
		var booked int64
		err = one(ctx, t, "SELECT deletes FROM delete_hours WHERE task = $1 AND hour = $2"+s.eng.lock("FOR UPDATE"), key, &booked)
		if err != nil && !errors.Is(err, errNoRow) {
			return err
		}
		granted = n
		if limit >= 0 {
			granted = max(0, min(n, limit-booked))
		}
		_, err = t.exec(ctx, "UPDATE delete_hours SET deletes = deletes + $3 WHERE task = $1 AND hour = $2", append(key, granted)...)
		return err
	})
	return granted, err
}
