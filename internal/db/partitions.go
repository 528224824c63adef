package db

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func insertPartitions(ctx context.Context, t *txn, job, taskNum int64, ranges []queue.Range) error {
	if len(ranges) == 0 {
		ranges = []queue.Range{{}}
	}
	args := make([][]any, len(ranges))
	for i, r := range ranges {
		args[i] = []any{job, taskNum, []byte(r.After), []byte(r.Until)}
	}
	return t.many(ctx, "INSERT INTO partitions (job, task, after_key, until_key) VALUES ($1, $2, $3, $4)", args)
}

// ClaimPartitions implements queue.Partitions.
func (s *Store) ClaimPartitions(ctx context.Context, node task.NodeID, limit int, lease time.Duration) (claimed []queue.Partition, err error) {
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		claimed = nil
		now, err := s.eng.leaseTime(ctx, t)
		if err != nil {
			return err
		}
		until := now.Add(lease)
		return each(ctx, t, `UPDATE partitions SET owner = $1, epoch = epoch + 1, expires = $2 WHERE num IN (
			SELECT p.num FROM partitions p JOIN tasks k ON k.num = p.task
			WHERE p.done = 0 AND (p.owner = '' OR p.expires <= $3) AND k.state = 'active' AND k.deleted_at = 0
			ORDER BY p.num LIMIT $4`+s.eng.lock("FOR NO KEY UPDATE OF p SKIP LOCKED")+`)
			RETURNING num, (SELECT id FROM jobs WHERE num = partitions.job), (SELECT id FROM tasks WHERE num = partitions.task),
			after_key, until_key, epoch`, []any{string(node), until.UnixMicro(), now.UnixMicro(), limit}, func(r rows) error {
			p := queue.Partition{Owner: node, Expires: until}
			var after, end []byte
			err := r.Scan(&p.Num, &p.Job, &p.Task, &after, &end, &p.Epoch)
			p.After, p.Until = string(after), string(end)
			claimed = append(claimed, p)
			return err
		})
	})
	return claimed, err
}

// RenewPartitions implements queue.Partitions.
func (s *Store) RenewPartitions(ctx context.Context, ps []queue.Partition, lease time.Duration) (kept []queue.Partition, err error) {
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		kept = nil
		now, err := s.eng.leaseTime(ctx, t)
		if err != nil {
			return err
		}
		for _, p := range ps {
			p.Expires = now.Add(lease)
			n, err := t.exec(ctx, "UPDATE partitions SET expires = $1 WHERE num = $2 AND epoch = $3 AND owner = $4 AND done = 0",
				p.Expires.UnixMicro(), p.Num, p.Epoch, string(p.Owner))
			if err != nil {
				return err
			}
			if n == 1 {
				kept = append(kept, p)
			}
		}
		return nil
	})
	return kept, err
}

// ReleasePartitions implements queue.Partitions.
func (s *Store) ReleasePartitions(ctx context.Context, ps []queue.Partition) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		for _, p := range ps {
			if _, err := t.exec(ctx, "UPDATE partitions SET owner = '', expires = 0 WHERE num = $1 AND epoch = $2 AND owner = $3",
				p.Num, p.Epoch, string(p.Owner)); err != nil {
				return err
			}
		}
		return nil
	})
}

// heldPartition is a partition as its owner's transaction sees it.
type heldPartition struct {
	num, job, task int64
	taskID         task.ID
	shards         int
	after, until   string
}

// holdPartition checks that p is still leased to its owner, and locks it.
func holdPartition(ctx context.Context, t *txn, p queue.Partition) (h heldPartition, err error) {
	var after, until []byte
	err = one(ctx, t, `SELECT num, job, task, after_key, until_key FROM partitions
		WHERE num = $1 AND epoch = $2 AND owner = $3 AND done = 0`+t.e.lock("FOR NO KEY UPDATE"),
		[]any{p.Num, p.Epoch, string(p.Owner)}, &h.num, &h.job, &h.task, &after, &until)
	if errors.Is(err, errNoRow) {
		return h, queue.ErrStale
	}
	if err != nil {
		return h, err
	}
	h.after, h.until = string(after), string(until)
	return h, one(ctx, t, "SELECT id, shards FROM tasks WHERE num = $1", []any{h.task}, &h.taskID, &h.shards)
}

// ScanTotals implements queue.Partitions.
func (s *Store) ScanTotals(ctx context.Context, job task.JobID) (out queue.ScanTotals, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		j, err := lockJob(ctx, t, job, "")
		if err != nil {
			return err
		}
		return one(ctx, t, `SELECT count(*), CAST(coalesce(sum(1 - done), 0) AS BIGINT), CAST(coalesce(sum(source), 0) AS BIGINT),
			CAST(coalesce(sum(destination), 0) AS BIGINT), (SELECT count(*) FROM staged WHERE job = $1) FROM partitions WHERE job = $1`,
			[]any{j.num}, &out.Partitions, &out.Unfinished, &out.Source, &out.Destination, &out.Deletes)
	})
	return out, err
}
