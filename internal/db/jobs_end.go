package db

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// endStep is how many waiting records one transaction of a cancellation ends.
const endStep = 1000

// EndJob implements queue.Jobs.
func (s *Store) EndJob(ctx context.Context, id task.JobID, state task.JobState, why string) error {
	err := s.write(ctx, func(ctx context.Context, t *txn) error {
		j, err := lockJob(ctx, t, id, "FOR NO KEY UPDATE")
		if err != nil {
			return err
		}
		return endingJob(ctx, t, j, task.JobClosed, state, why)
	})
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		more, err = s.RefuseDeletes(ctx, id, endStep)
	}
	return err
}

// endingJob says what j will be once its records have ended, and stops its partitions:
// their owners' epochs are over.
func endingJob(ctx context.Context, t *txn, j jobRow, now, then task.JobState, why string) error {
	if j.state.Ended() {
		return &task.Error{Kind: task.Conflict, Code: "JOB_ENDED", Text: "the job has ended", Next: "see how it ended with: lockstep job show JOB"}
	}
	if _, err := t.exec(ctx, `UPDATE jobs SET state = $1, ending = $2, why = $3,
		closed_at = CASE WHEN closed_at = 0 THEN $4 ELSE closed_at END WHERE num = $5`,
		string(now), string(then), clean(why), t.s.now().UnixMicro(), j.num); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "UPDATE tasks SET open_job = 0 WHERE num = $1 AND open_job = $2", j.task, j.num); err != nil {
		return err
	}
	_, err := t.exec(ctx, "UPDATE partitions SET done = 1, epoch = epoch + 1, owner = '', expires = 0 WHERE job = $1 AND done = 0", j.num)
	return err
}

// CancelJob implements queue.Jobs.
func (s *Store) CancelJob(ctx context.Context, id task.JobID, why string, by task.Actor) error {
	var j jobRow
	err := s.change(ctx, func(ctx context.Context, t *txn) (err error) {
		// Accepting locks the task before it looks for the job.
		if j, err = lockJob(ctx, t, id, ""); err != nil {
			return err
		}
		if j.task != 0 {
			if _, err := lockTask(ctx, t, j.taskID); err != nil {
				return err
			}
		}
		if j, err = lockJob(ctx, t, id, "FOR NO KEY UPDATE"); err != nil {
			return err
		}
		if err := endingJob(ctx, t, j, task.JobCancelling, task.JobCancelled, why); err != nil {
			return err
		}
		var project task.ProjectID
		if err := one(ctx, t, "SELECT project FROM jobs WHERE num = $1", []any{j.num}, &project); err != nil {
			return err
		}
		return t.audit(ctx, by, project, "job.cancel", string(id), map[string]any{"why": why})
	})
	if err != nil {
		return err
	}
	if err := s.endCancelled(ctx, j); err != nil {
		return err
	}
	_, err = s.EndJobs(ctx)
	return err
}

// endCancelled ends what waits of a job that is being cancelled. It may be repeated.
func (s *Store) endCancelled(ctx context.Context, j jobRow) error {
	for more := true; more; {
		var err error
		if more, err = s.dropDeletes(ctx, j.id, task.Cancelled, endStep); err != nil {
			return err
		}
	}
	return s.endWaiting(ctx, j.task, j.taskID, func(r queue.Record) (queue.Settlement, bool) {
		return queue.Settlement{Record: r, Outcome: task.Ignored, Reason: task.Cancelled}, r.JobNum == j.num && r.RetryNum == 0 || r.RetryNum == j.num
	})
}

// ending says which waiting records end, and how.
type ending func(queue.Record) (d queue.Settlement, ends bool)

// endWaiting walks over all waiting records of a task and ends those that end names.
// Keys that another job had asked for go on as events of the task again; when that is
// empty they do not.
func (s *Store) endWaiting(ctx context.Context, num int64, again task.ID, end ending) error {
	if num == 0 {
		return nil
	}
	var shards int
	err := s.read(ctx, func(ctx context.Context, t *txn) error {
		return one(ctx, t, "SELECT shards FROM tasks WHERE num = $1", []any{num}, &shards)
	})
	for shard := 0; shard < shards && err == nil; shard++ {
		after, more := "", true
		for more && err == nil {
			var last string
			err = s.write(ctx, func(ctx context.Context, t *txn) (err error) {
				last, more, err = endSome(ctx, t, laneNum{num, shard}, after, again, end)
				return err
			})
			after = last
		}
	}
	return err
}

// endSome looks at the records after a key and returns the last it saw.
func endSome(ctx context.Context, t *txn, l laneNum, after string, again task.ID, end ending) (last string, more bool, err error) {
	events := newAcceptance(t, true)
	if again != "" { // accepting locks the task before the records
		if err := events.load(ctx, []queue.Batch{{Task: again}}); err != nil {
			return after, false, err
		}
	}
	var done []queue.Settlement
	kept := map[int64]queue.Entry{} // by seq: keys that others had asked for
	seen := 0
	last = after
	err = each(ctx, t, `SELECT key, seq, class, accepted_at, attempts, missed, job, retry, failed_seq, known, shared FROM pending
		WHERE task = $1 AND shard = $2 AND key > $3 ORDER BY key LIMIT $4`, []any{l.task, l.shard, []byte(after), endStep},
		func(rs rows) error {
			var r queue.Record
			var key, known []byte
			var accepted int64
			var missed, shared int
			err := rs.Scan(&key, &r.Seq, &r.Class, &accepted, &r.Attempts, &missed, &r.JobNum, &r.RetryNum, &r.FailedSeq, &known, &shared)
			if err != nil {
				return err
			}
			if r.Known, err = queue.ParseKnown(known); err != nil {
				return err
			}
			r.Key, r.AcceptedAt, r.Missed = string(key), fromMicros(accepted), missed != 0
			last = r.Key
			seen++
			if d, ok := end(r); ok {
				done = append(done, d)
				if shared != 0 && again != "" {
					kept[r.Seq] = queue.Entry{Key: r.Key, Otherwise: r.Known.Otherwise}
				}
			}
			return nil
		})
	var still []queue.Entry
	if err == nil && len(kept) > 0 {
		still, err = lockShared(ctx, t, l, after, last, kept)
	}
	if err == nil && len(done) > 0 {
		err = settle(ctx, t, l, done)
	}
	if err == nil && len(still) > 0 {
		err = events.again(ctx, again, still)
	}
	return last, seen == endStep, err
}

// lockShared returns those of some records between two keys that nobody has settled since
// they were read, and sees to it that nobody does before this transaction.
func lockShared(ctx context.Context, t *txn, l laneNum, after, last string, kept map[int64]queue.Entry) (still []queue.Entry, err error) {
	err = each(ctx, t, `SELECT seq FROM pending WHERE task = $1 AND shard = $2 AND shared = 1 AND key > $3 AND key <= $4
		ORDER BY key`+t.e.lock("FOR UPDATE"), []any{l.task, l.shard, []byte(after), []byte(last)}, func(rs rows) error {
		var seq int64
		err := rs.Scan(&seq)
		if e, ok := kept[seq]; ok {
			still = append(still, e)
		}
		return err
	})
	return still, err
}

// again accepts keys as events of a task that was loaded, whatever its state: they were
// accepted before. The record of their own was superseded, and the one that took its
// place has just been cancelled.
func (a *acceptance) again(ctx context.Context, id task.ID, keys []queue.Entry) error {
	k := a.tasks[id]
	if k == nil {
		return nil // deleted: nothing of it waits any more
	}
	j, err := a.eventsJob(ctx, k, len(keys))
	if err != nil {
		return err
	}
	a.take(queue.Batch{Task: id, Entries: keys}, j)
	return a.store(ctx)
}

// EndJobs implements queue.Jobs.
func (s *Store) EndJobs(ctx context.Context) (ended []task.Job, err error) {
	var open []jobRow
	orphans := map[task.JobID]bool{} // of tasks that were deleted
	if err := s.read(ctx, func(ctx context.Context, t *txn) error {
		return each(ctx, t, `SELECT j.num, j.id, j.task, coalesce((SELECT k.id FROM tasks k WHERE k.num = j.task), ''), j.kind, j.state,
			(SELECT count(*) FROM tasks k WHERE k.num = j.task AND k.deleted_at <> 0)
			FROM jobs j WHERE j.ended_at = 0 AND j.kind <> 'external' ORDER BY j.num`, nil, func(r rows) error {
			var j jobRow
			var orphan int
			err := r.Scan(&j.num, &j.id, &j.task, &j.taskID, &j.kind, &j.state, &orphan)
			open = append(open, j)
			orphans[j.id] = orphan > 0
			return err
		})
	}); err != nil {
		return nil, err
	}
	for _, j := range open {
		switch {
		case orphans[j.id]:
			err = s.endDeleted(ctx, j.task, []task.JobID{j.id})
			j.state = task.JobClosed
		case j.state == task.JobOpen:
			err = s.closeDue(ctx, &j)
		case j.state == task.JobCancelling:
			err = s.endCancelled(ctx, j)
		}
		if err == nil && j.state != task.JobOpen {
			ended, err = s.endSettled(ctx, j, ended)
		}
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// closeDue closes a job of kind events that is old enough, a scan whose partitions have
// all been compared, and a job that nobody will close.
func (s *Store) closeDue(ctx context.Context, j *jobRow) error {
	if j.kind != task.EventsJob && j.kind != task.ScanJob {
		return s.closeAbandoned(ctx, j)
	}
	due := "NOT EXISTS (SELECT 1 FROM partitions p WHERE p.job = jobs.num AND p.done = 0) AND CAST($2 AS BIGINT) <> 0"
	if j.kind == task.EventsJob {
		due = "started_at <= $2"
	}
	now := s.now()
	args := []any{j.num, now.Add(-task.EventsJobAge).UnixMicro()}
	var some int
	err := s.read(ctx, func(ctx context.Context, t *txn) error {
		return ignoreNoRow(one(ctx, t, "SELECT 1 FROM jobs WHERE num = $1 AND "+due, args, &some))
	})
	if err != nil || some == 0 {
		return err
	}
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		// Accepting locks the task before it looks for the job.
		if _, err := t.exec(ctx, "UPDATE tasks SET open_job = 0 WHERE num = $1 AND open_job = $2", j.task, j.num); err != nil {
			return err
		}
		j.state = task.JobClosed
		return closeJob(ctx, t, j.num, now)
	})
}

// abandonedAge is how long nothing happens to a manifest or retry until its sender is gone:
// the process that took its records died, or could not reach the database to close it.
const abandonedAge = 24 * time.Hour

// closeAbandoned closes such a job as failed: not all that it was for may be in it.
func (s *Store) closeAbandoned(ctx context.Context, j *jobRow) error {
	var last int64
	if err := s.read(ctx, func(ctx context.Context, t *txn) error {
		return one(ctx, t, `SELECT max(x.at) FROM (SELECT started_at AS at FROM jobs WHERE num = $1 UNION ALL SELECT at FROM outbox WHERE job = $1
			UNION ALL SELECT sealed_at FROM list_files WHERE job = $1) x`, []any{j.num}, &last)
	}); err != nil || last > s.now().Add(-abandonedAge).UnixMicro() {
		return err
	}
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		now, err := lockJob(ctx, t, j.id, "FOR NO KEY UPDATE")
		if err != nil || now.state != task.JobOpen {
			return err
		}
		j.state = task.JobClosed
		return endingJob(ctx, t, now, task.JobClosed, task.JobFailed, "the service stopped before all its keys were taken: send them again")
	})
}

// endSettled ends a job that takes no more records if all it has have ended.
func (s *Store) endSettled(ctx context.Context, j jobRow, ended []task.Job) ([]task.Job, error) {
	pending := int64(1)
	if err := s.read(ctx, func(ctx context.Context, t *txn) error {
		c, err := jobCounts(ctx, t, j.num)
		pending = c.Pending()
		return err
	}); err != nil || pending != 0 {
		return ended, err
	}
	var job task.Job
	var here bool
	err := s.change(ctx, func(ctx context.Context, t *txn) error {
		n, err := t.exec(ctx, `UPDATE jobs SET state = CASE WHEN ending = '' THEN 'done' ELSE ending END, ended_at = $1, manifest_due = 1,
			has_failed = CASE WHEN EXISTS (SELECT 1 FROM job_counts c WHERE c.job = $2 AND c.failed > 0) THEN 1 ELSE 0 END
			WHERE num = $2 AND ended_at = 0 AND state <> 'open'`, s.now().UnixMicro(), j.num)
		if here = n == 1; err != nil || !here {
			return err
		}
		if job, err = readJob(ctx, t, "j.num = $1", j.num); err != nil {
			return err
		}
		if err := tellOfJob(ctx, t, j.task, job); err != nil {
			return err
		}
		return t.audit(ctx, task.Actor{}, job.Project, "job.end", string(j.id), map[string]any{"state": job.State, "counts": job.Counts})
	})
	if err == nil && here {
		ended = append(ended, job)
	}
	return ended, err
}
