package db

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

var _ queue.Notices = (*Store)(nil)

// repeatTrouble is how long the same trouble of a task is not told again.
const repeatTrouble = time.Hour

// tell stores a notice for all who want it, in the transaction in which it becomes true.
func tell(ctx context.Context, t *txn, taskNum int64, n task.Notice) error {
	all, err := readNotifications(ctx, t, n.Project)
	if err != nil {
		return err
	}
	now := t.s.now()
	n.At = now.UTC()
	if err := ignoreNoRow(one(ctx, t, "SELECT id, name FROM tasks WHERE num = $1", []any{taskNum}, &n.Task, &n.TaskName)); err != nil {
		return err
	}
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	for _, to := range all {
		if len(to.Events) > 0 && !slices.Contains(to.Events, n.Event) {
			continue
		}
		if _, err := t.exec(ctx, "INSERT INTO notices (notification, event, body, made_at, next_at) VALUES ($1, $2, $3, $4, $4)",
			to.ID, string(n.Event), body, micros(now)); err != nil {
			return err
		}
	}
	return nil
}

// trouble tells of trouble of a task, unless the same was told lately and it has not
// recovered since.
func trouble(ctx context.Context, t *txn, taskNum int64, n task.Notice) error {
	now := t.s.now()
	fresh, err := t.exec(ctx, `INSERT INTO trouble (task, event, at) VALUES ($1, $2, $3)
		ON CONFLICT (task, event) DO UPDATE SET at = excluded.at WHERE trouble.at <= $4`,
		taskNum, string(n.Event), micros(now), micros(now.Add(-repeatTrouble)))
	if err != nil || fresh == 0 {
		return err
	}
	return tell(ctx, t, taskNum, n)
}

// tellOfJob tells what the end of a job means to whom its task matters.
func tellOfJob(ctx context.Context, t *txn, taskNum int64, j task.Job) error {
	if taskNum == 0 {
		return nil
	}
	n := task.Notice{Project: j.Project, Job: j.ID, Kind: j.Kind, State: j.State, Counts: &j.Counts, Why: j.Why}
	guarded, err := guardedDeletes(ctx, t, j.ID)
	if err != nil {
		return err
	}
	switch {
	case j.State == task.JobStopped:
		n.Event = task.NoticeGuardStopped
	case j.State == task.JobFailed || j.Counts.Failed > 0:
		n.Event = task.NoticeJobFailed
	case j.State == task.JobDone && guarded > 0:
		n.Event = task.NoticeGuardStopped
		n.Why = strconv.FormatInt(guarded, 10) + " deletes were not made: those of this hour have reached the limit, deletes were turned off, or the source is empty"
	case j.State == task.JobDone:
		return recovered(ctx, t, taskNum, n)
	default: // somebody cancelled it
		return nil
	}
	return trouble(ctx, t, taskNum, n)
}

// guardedDeletes is how many records of a job ended because a guard refused their deletes.
func guardedDeletes(ctx context.Context, t *txn, id task.JobID) (n int64, err error) {
	err = one(ctx, t, `SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM reason_counts
		WHERE job = (SELECT num FROM jobs WHERE id = $1) AND outcome = $2 AND reason = $3`,
		[]any{string(id), int64(task.Ignored), string(task.GuardStopped)}, &n)
	return n, err
}

// recovered ends the trouble of a task that has no failure open any more. A guard's stop
// ends with a scan that was not stopped.
func recovered(ctx context.Context, t *txn, taskNum int64, n task.Notice) error {
	var open int
	if err := one(ctx, t, "SELECT count(*) FROM failures WHERE task = $1 AND open = 1", []any{taskNum}, &open); err != nil || open > 0 {
		return err
	}
	events := []any{taskNum, string(task.NoticeJobFailed), string(task.NoticeJobFailed)}
	if n.Kind == task.ScanJob {
		events[2] = string(task.NoticeGuardStopped)
	}
	ended, err := t.exec(ctx, "DELETE FROM trouble WHERE task = $1 AND event IN ($2, $3)", events...)
	if err != nil || ended == 0 {
		return err
	}
	n.Event = task.NoticeRecovered
	return tell(ctx, t, taskNum, n)
}

// ClaimNotices implements queue.Notices.
func (s *Store) ClaimNotices(ctx context.Context, limit int, lease time.Duration) (out []queue.Notice, err error) {
	var due int
	if err := s.read(ctx, func(ctx context.Context, t *txn) error { // most looks find nothing, and write nothing
		now, err := s.eng.leaseTime(ctx, t)
		if err != nil {
			return err
		}
		return one(ctx, t, "SELECT count(*) FROM notices WHERE next_at <= $1", []any{now.UnixMicro()}, &due)
	}); err != nil || due == 0 {
		return nil, err
	}
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		out = nil
		now, err := s.eng.leaseTime(ctx, t)
		if err != nil {
			return err
		}
		if err := each(ctx, t, `UPDATE notices SET next_at = $1 WHERE num IN (SELECT num FROM notices WHERE next_at <= $2 ORDER BY next_at LIMIT $3`+
			s.eng.lock("FOR UPDATE SKIP LOCKED")+`) RETURNING num, notification, event, body, made_at, attempts`,
			[]any{now.Add(lease).UnixMicro(), now.UnixMicro(), limit}, func(r rows) error {
				var n queue.Notice
				var made int64
				var body []byte
				err := r.Scan(&n.Num, &n.To.ID, &n.Event, &body, &made, &n.Attempts)
				n.Body, n.MadeAt = append([]byte(nil), body...), fromMicros(made)
				out = append(out, n)
				return err
			}); err != nil {
			return err
		}
		for i := range out {
			if err := each(ctx, t, "SELECT "+notificationColumns+" FROM notifications WHERE id = $1", []any{out[i].To.ID}, func(r rows) (err error) {
				out[i].To, err = scanNotification(r)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// EndNotice implements queue.Notices.
func (s *Store) EndNotice(ctx context.Context, n queue.Notice, why string) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		if _, err := t.exec(ctx, "DELETE FROM notices WHERE num = $1", n.Num); err != nil {
			return err
		}
		_, err := t.exec(ctx, "UPDATE notifications SET sent_at = CASE WHEN $1 = '' THEN $2 ELSE sent_at END, error = $1 WHERE id = $3",
			clean(why), s.now().UnixMicro(), n.To.ID)
		return err
	})
}

// DelayNotice implements queue.Notices.
func (s *Store) DelayNotice(ctx context.Context, n queue.Notice, after time.Duration, why string) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		now, err := s.eng.leaseTime(ctx, t)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, "UPDATE notices SET attempts = attempts + 1, next_at = $1 WHERE num = $2", now.Add(after).UnixMicro(), n.Num); err != nil {
			return err
		}
		_, err = t.exec(ctx, "UPDATE notifications SET error = $1 WHERE id = $2", clean(why), n.To.ID)
		return err
	})
}
