package db

import (
	"context"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Retry implements queue.Jobs. The records stay failed, in the job that requested
// them, until the new attempt ends; the retry job counts attempts.
func (s *Store) Retry(ctx context.Context, job task.JobID, r queue.Retry, from int64, limit int) (next int64, err error) {
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		j, err := lockJob(ctx, t, job, "FOR SHARE")
		if err != nil {
			return err
		}
		if j.kind != task.RetryJob || j.state != task.JobOpen {
			return task.Errorf(task.Conflict, "job %s takes no records to retry", job)
		}
		rs, last, err := failedRecords(ctx, t, j, r, from, limit)
		if err != nil {
			return err
		}
		if len(rs) < limit {
			next = 0
		} else {
			next = last
		}
		if len(rs) == 0 {
			return nil
		}
		kept, err := t.e.insert(ctx, t, rs)
		if err != nil {
			return err
		}
		y := newTally(t.e)
		for i, ok := range kept {
			if ok {
				y.attempt(j.num, rs[i].shard).Requested++
				t.wakeLane(queue.LaneID{Task: j.taskID, Shard: rs[i].shard})
			}
		}
		return y.flush(ctx, t)
	})
	return next, err
}

// failedRecords reads open failures as rows to be enqueued for the retry job j.
func failedRecords(ctx context.Context, t *txn, j jobRow, r queue.Retry, from int64, limit int) (rs []row, last int64, err error) {
	where, args, err := failuresWhere(ctx, t, j.task, history.FailureFilter{Job: r.Job, Reason: r.Reason, Key: r.Key, OpenOnly: true})
	if err != nil {
		return nil, 0, err
	}
	args = append(args, from, limit)
	n := len(args)
	now := t.s.now().UnixMicro()
	err = each(ctx, t, `SELECT num, shard, key, seq, job, class, accepted_at, missed, otherwise FROM failures f WHERE `+where+
		` AND f.num > $`+strconv.Itoa(n-1)+` ORDER BY f.num LIMIT $`+strconv.Itoa(n), args, func(q rows) error {
		x := row{laneNum: laneNum{task: j.task}, rank: rankRest, nextAt: now, retry: j.num}
		var key, otherwise []byte
		var missed int
		err := q.Scan(&last, &x.shard, &key, &x.failedSeq, &x.job, &x.class, &x.acceptedAt, &missed, &otherwise)
		x.key, x.missed, x.known = string(key), missed != 0, queue.Known{Otherwise: string(otherwise)}.Append(nil)
		rs = append(rs, x)
		return err
	})
	return rs, last, err
}
