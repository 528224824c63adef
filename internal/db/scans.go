package db

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

var _ queue.Scans = (*Store)(nil)

// leftPlaces is the ending of an ended scan that compared what are no longer the places of
// its task: it proves nothing of the ones the task has.
const leftPlaces = "left"

// leaveScans says so of the scans of a task whose places change, and cancels one that has
// not ended: half of it would be of one pair of places and half of another, and what it
// found would be deleted where nobody has looked. Its records are still to be ended.
func leaveScans(ctx context.Context, t *txn, k task.Task, by task.Actor) (running []jobRow, err error) {
	num, err := t.s.taskNum(ctx, t, k.ID)
	if err != nil {
		return nil, err
	}
	if _, err := t.exec(ctx, "UPDATE jobs SET ending = $1 WHERE task = $2 AND kind = 'scan' AND ended_at <> 0", leftPlaces, num); err != nil {
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

// HearsEvents implements queue.Scans.
func (s *Store) HearsEvents(ctx context.Context, scan task.JobID) (hears bool, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		j, err := lockJob(ctx, t, scan, "")
		if err != nil {
			return err
		}
		var scans, events int
		const earlier = "(SELECT count(*) FROM (SELECT 1 FROM jobs WHERE task = $1 AND num < $2 AND kind = "
		if err := one(ctx, t, "SELECT "+earlier+"'scan' AND state = 'done' AND ending <> '"+leftPlaces+"' LIMIT 1) s), "+earlier+"'events' LIMIT 1) e)",
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
