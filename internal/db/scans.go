package db

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

var _ queue.Scans = (*Store)(nil)

// inScope is true of the scans j that looked at what the task's scans look at now.
const inScope = "j.started_at >= (SELECT k.scope_at FROM tasks k WHERE k.num = j.task)"

// changeScope says that what scans of a task look at, or how, becomes another. Every scan
// so far is of what was before, whatever the clocks of the nodes that started them say.
func changeScope(ctx context.Context, t *txn, num int64) error {
	var last int64
	if err := one(ctx, t, "SELECT coalesce(max(started_at), 0) FROM jobs WHERE task = $1 AND kind = 'scan'", []any{num}, &last); err != nil {
		return err
	}
	_, err := t.exec(ctx, "UPDATE tasks SET scope_at = $1 WHERE num = $2", max(t.s.now().UnixMicro(), last+1), num)
	return err
}

// leavePlaces is changeScope for a task whose places change. It cancels a scan that has not
// ended: half of it would be of one pair of places and half of another, and what it
// found would be deleted where nobody has looked. Its records are still to be ended.
func leavePlaces(ctx context.Context, t *txn, k task.Task, by task.Actor) (running []jobRow, err error) {
	num, err := t.s.taskNum(ctx, t, k.ID)
	if err != nil {
		return nil, err
	}
	if err := changeScope(ctx, t, num); err != nil {
		return nil, err
	}
	var ids []task.JobID
	if err := each(ctx, t, "SELECT id FROM jobs WHERE task = $1 AND kind = 'scan' AND ended_at = 0", []any{num}, func(r rows) error {
		var id task.JobID
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}); err != nil {
		return nil, err
	}
	const why = "the places of the task changed"
	for _, id := range ids {
		j, err := lockJob(ctx, t, id, "FOR NO KEY UPDATE")
		if err != nil {
			return nil, err
		}
		if running = append(running, j); j.state == task.JobCancelling {
			continue
		}
		if err := endingJob(ctx, t, j, task.JobCancelling, task.JobCancelled, why); err != nil {
			return nil, err
		}
		if err := t.audit(ctx, by, k.Project, "job.cancel", string(id), map[string]any{"why": why}); err != nil {
			return nil, err
		}
	}
	return running, nil
}

// endLeft ends the records of the scans that leavePlaces cancelled, once that is committed;
// EndJobs goes on with it after a crash.
func (s *Store) endLeft(ctx context.Context, scans []jobRow) error {
	for _, j := range scans {
		if err := s.endCancelled(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// HearsEvents implements queue.Scans.
func (s *Store) HearsEvents(ctx context.Context, scan task.JobID) (hears bool, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		j, err := lockJob(ctx, t, scan, "")
		if err != nil {
			return err
		}
		var scans, events int
		const earlier = "(SELECT count(*) FROM (SELECT 1 FROM jobs j WHERE j.task = $1 AND j.num < $2 AND j.kind = "
		if err := one(ctx, t, "SELECT "+earlier+"'scan' AND j.state = 'done' AND "+inScope+" LIMIT 1) s), "+earlier+"'events' LIMIT 1) e)",
			[]any{j.task, j.num}, &scans, &events); err != nil {
			return err
		}
		hears = scans > 0 && events > 0
		return nil
	})
	return hears, err
}

// ComparedScans implements queue.Scans. A scan that is being cancelled is left to
// EndJobs.
func (s *Store) ComparedScans(ctx context.Context, limit int) (out []task.JobID, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		return each(ctx, t, `SELECT j.id FROM jobs j WHERE j.kind = 'scan' AND j.kind <> 'external' AND j.ended_at = 0 AND j.state IN ('open', 'closed')
			AND EXISTS (SELECT 1 FROM staged x WHERE x.job = j.num)
			AND NOT EXISTS (SELECT 1 FROM partitions p WHERE p.job = j.num AND p.done = 0) ORDER BY j.num LIMIT $1`,
			[]any{limit}, func(r rows) error {
				var id task.JobID
				err := r.Scan(&id)
				out = append(out, id)
				return err
			})
	})
	return out, err
}
