package db

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

var _ queue.Schedules = (*Store)(nil)

// putSchedule keeps the row of a task like its options. A schedule that changed begins
// anew: starts that were due by the old one are nobody's.
func putSchedule(ctx context.Context, t *txn, num int64, s task.Schedule) error {
	if s.Cron == "" {
		_, err := t.exec(ctx, "DELETE FROM schedules WHERE task = $1", num)
		return err
	}
	now, err := t.e.leaseTime(ctx, t)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO schedules (task, cron, zone, missed, set_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (task) DO UPDATE SET cron = excluded.cron, zone = excluded.zone, missed = excluded.missed, set_at = excluded.set_at,
		next_at = CASE WHEN schedules.cron = excluded.cron AND schedules.zone = excluded.zone THEN schedules.next_at ELSE 0 END`,
		num, s.Cron, s.Zone, s.Missed, now.UnixMicro())
	return err
}

// DueSchedules implements queue.Schedules.
func (s *Store) DueSchedules(ctx context.Context, limit int) (due []queue.Due, now, next time.Time, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		due = nil
		if now, err = s.eng.leaseTime(ctx, t); err != nil {
			return err
		}
		if err := each(ctx, t, `SELECT k.id, x.cron, x.zone, x.missed, x.next_at, x.set_at FROM schedules x JOIN tasks k ON k.num = x.task
			WHERE x.next_at <= $1 AND k.deleted_at = 0 ORDER BY x.next_at LIMIT $2`, []any{now.UnixMicro(), limit}, func(r rows) error {
			var d queue.Due
			var at, set int64
			err := r.Scan(&d.Task, &d.Schedule.Cron, &d.Schedule.Zone, &d.Schedule.Missed, &at, &set)
			d.At, d.SetAt = fromMicros(at), fromMicros(set)
			due = append(due, d)
			return err
		}); err != nil {
			return err
		}
		var first *int64
		if err := one(ctx, t, "SELECT min(next_at) FROM schedules WHERE next_at > $1", []any{now.UnixMicro()}, &first); err != nil {
			return err
		}
		if first != nil {
			next = fromMicros(*first)
		}
		return nil
	})
	return due, now, next, err
}

// MoveSchedule implements queue.Schedules.
func (s *Store) MoveSchedule(ctx context.Context, m queue.ScheduleMove) (moved bool, last queue.Start, err error) {
	if m.Next.IsZero() {
		m.Next = queue.Never
	}
	err = s.change(ctx, func(ctx context.Context, t *txn) error {
		moved, last = false, queue.Start{}
		k, err := lockTask(ctx, t, m.Task)
		if task.KindOf(err) == task.NotFound {
			return nil // deleted since
		}
		if err != nil {
			return err
		}
		num, err := s.taskNum(ctx, t, m.Task)
		if err != nil {
			return err
		}
		n, err := t.exec(ctx, "UPDATE schedules SET next_at = $1 WHERE task = $2 AND next_at = $3 AND cron = $4 AND zone = $5",
			m.Next.UnixMicro(), num, micros(m.At), m.Schedule.Cron, m.Schedule.Zone)
		if err != nil || n == 0 {
			return err
		}
		moved = true
		if m.At.IsZero() {
			return nil
		}
		last, err = s.scheduledStart(ctx, t, k, num, m)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, "UPDATE schedules SET last_at = $1, last = $2, last_job = $3, why = $4 WHERE task = $5",
			micros(last.At), last.Outcome, string(last.Job), last.Why, num)
		return err
	})
	return moved, last, err
}

// scheduledStart starts the scan that is due, or says why not.
func (s *Store) scheduledStart(ctx context.Context, t *txn, k task.Task, num int64, m queue.ScheduleMove) (queue.Start, error) {
	start := queue.Start{At: m.At, Outcome: queue.StartSkipped, Why: m.Skip}
	var busy *task.Error
	switch err := noScan(ctx, t, num); {
	case m.Skip != "":
	case k.State != task.Active:
		start.Why = "the task was " + string(k.State)
	case errors.As(err, &busy):
		start.Why = busy.Text
	case err != nil:
		return start, err
	}
	detail := map[string]any{"task": k.ID, "due": m.At}
	if start.Why != "" {
		detail["why"] = start.Why
		if err := trouble(ctx, t, num, task.Notice{Event: task.NoticeScheduleSkipped, Project: k.Project, Why: start.Why}); err != nil {
			return start, err
		}
		return start, t.audit(ctx, task.Actor{}, k.Project, "schedule.skip", string(k.ID), detail)
	}
	id, err := s.insertScan(ctx, t, newJob{task: num, project: k.Project, kind: task.ScanJob, at: s.now()}, nil)
	if err != nil {
		return start, err
	}
	if _, err := t.exec(ctx, "DELETE FROM trouble WHERE task = $1 AND event = $2", num, string(task.NoticeScheduleSkipped)); err != nil {
		return start, err
	}
	start.Outcome, start.Job = queue.StartDone, id
	detail["kind"] = task.ScanJob
	return start, t.audit(ctx, task.Actor{}, k.Project, "job.start", string(id), detail)
}

// ScheduleState returns the next start of a task and what became of the last one. Next is
// zero while nobody has worked it out, or when there will be none.
func (s *Store) ScheduleState(ctx context.Context, id task.ID) (next time.Time, last queue.Start, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		var at, lastAt int64
		err := one(ctx, t, `SELECT x.next_at, x.last_at, x.last, x.last_job, x.why FROM schedules x JOIN tasks k ON k.num = x.task WHERE k.id = $1`,
			[]any{string(id)}, &at, &lastAt, &last.Outcome, &last.Job, &last.Why)
		next, last.At = fromMicros(at), fromMicros(lastAt)
		if next.Equal(queue.Never) {
			next = time.Time{}
		}
		return ignoreNoRow(err)
	})
	return next, last, err
}
