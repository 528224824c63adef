package db

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// taskNum is the store's own number of a task, deleted ones included.
func (s *Store) taskNum(ctx context.Context, t *txn, id task.ID) (int64, error) {
	if n, ok := s.nums.Load(id); ok {
		return n.(int64), nil
	}
	var num int64
	err := one(ctx, t, "SELECT num FROM tasks WHERE id = $1", []any{string(id)}, &num)
	if errors.Is(err, errNoRow) {
		return 0, task.Errorf(task.NotFound, "there is no task %s", id)
	}
	if err == nil {
		s.nums.Store(id, num)
	}
	return num, err
}

// ClaimLanes implements queue.Lanes.
func (s *Store) ClaimLanes(ctx context.Context, node task.NodeID, limit int, lease time.Duration) (claimed []queue.Lane, err error) {
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		claimed = nil
		now, err := s.eng.leaseTime(ctx, t)
		if err != nil {
			return err
		}
		until := now.Add(lease)
		const due = "EXISTS (SELECT 1 FROM pending p WHERE p.task = l.task AND p.shard = l.shard AND p.rank = "
		return each(ctx, t, `UPDATE lanes SET owner = $1, epoch = epoch + 1, expires = $2 WHERE (task, shard) IN (
			SELECT l.task, l.shard FROM lanes l JOIN tasks k ON k.num = l.task
			WHERE (l.owner = '' OR l.expires <= $3) AND k.state = 'active' AND k.deleted_at = 0
			AND (`+due+`0 AND p.next_at <= $4) OR `+due+`1 AND p.next_at <= $4))
			LIMIT $5`+s.eng.lock("FOR NO KEY UPDATE OF l SKIP LOCKED")+`)
			RETURNING (SELECT id FROM tasks WHERE num = lanes.task), shard, epoch`,
			[]any{string(node), until.UnixMicro(), now.UnixMicro(), s.now().UnixMicro(), limit}, func(r rows) error {
				l := queue.Lane{Owner: node, Expires: until}
				err := r.Scan(&l.Task, &l.Shard, &l.Epoch)
				claimed = append(claimed, l)
				return err
			})
	})
	return claimed, err
}

// RenewLanes implements queue.Lanes.
func (s *Store) RenewLanes(ctx context.Context, lanes []queue.Lane, lease time.Duration) (kept []queue.Lane, err error) {
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		kept = nil
		now, err := s.eng.leaseTime(ctx, t)
		if err != nil {
			return err
		}
		for _, l := range lanes {
			num, err := s.taskNum(ctx, t, l.Task)
			if err != nil {
				return err
			}
			l.Expires = now.Add(lease)
			n, err := t.exec(ctx, "UPDATE lanes SET expires = $1 WHERE task = $2 AND shard = $3 AND epoch = $4 AND owner = $5",
				l.Expires.UnixMicro(), num, l.Shard, l.Epoch, string(l.Owner))
			if err != nil {
				return err
			}
			if n == 1 {
				kept = append(kept, l)
			}
		}
		return nil
	})
	return kept, err
}

// ReleaseLanes implements queue.Lanes.
func (s *Store) ReleaseLanes(ctx context.Context, lanes []queue.Lane) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		for _, l := range lanes {
			num, err := s.taskNum(ctx, t, l.Task)
			if err != nil {
				return err
			}
			if _, err := t.exec(ctx, "UPDATE lanes SET owner = '', expires = 0 WHERE task = $1 AND shard = $2 AND epoch = $3 AND owner = $4",
				num, l.Shard, l.Epoch, string(l.Owner)); err != nil {
				return err
			}
		}
		return nil
	})
}

// holdLane checks that l is still leased to its owner, and keeps it so until the
// transaction has ended.
func holdLane(ctx context.Context, t *txn, num laneNum, l queue.Lane) error {
	var held int
	err := one(ctx, t, "SELECT 1 FROM lanes WHERE task = $1 AND shard = $2 AND epoch = $3 AND owner = $4"+t.e.lock("FOR SHARE"),
		[]any{num.task, num.shard, l.Epoch, string(l.Owner)}, &held)
	if errors.Is(err, errNoRow) {
		return queue.ErrStale
	}
	return err
}

// Slice implements queue.Lanes. A quarter of it is kept for what is not an event, so
// that neither waits for the other's end.
func (s *Store) Slice(ctx context.Context, lane queue.LaneID, limit int, busy map[string]struct{}) (out queue.Slice, err error) {
	err = s.peek(ctx, func(ctx context.Context, t *txn) error {
		num, err := s.taskNum(ctx, t, lane.Task)
		if err != nil {
			return err
		}
		l, now := laneNum{num, lane.Shard}, s.now().UnixMicro()
		events, first, err := t.e.slice(ctx, t, l, rankEvents, now, limit, busy)
		if err != nil {
			return err
		}
		rest, second, err := t.e.slice(ctx, t, l, rankRest, now, max(limit-len(events), (limit+3)/4), busy)
		if err != nil {
			return err
		}
		out.Records = append(events[:min(len(events), limit-len(rest))], rest...)
		if first == 0 || second != 0 && second < first {
			first = second
		}
		out.Next = fromMicros(first)
		return nil
	})
	return out, err
}
