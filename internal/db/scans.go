package db

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

var _ queue.Scans = (*Store)(nil)

// HearsEvents implements queue.Scans.
func (s *Store) HearsEvents(ctx context.Context, scan task.JobID) (hears bool, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		j, err := lockJob(ctx, t, scan, "")
		if err != nil {
			return err
		}
		var scans, events int
		const earlier = "(SELECT count(*) FROM (SELECT 1 FROM jobs WHERE task = $1 AND num < $2 AND kind = "
		if err := one(ctx, t, "SELECT "+earlier+"'scan' AND state = 'done' LIMIT 1) s), "+earlier+"'events' LIMIT 1) e)",
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
