package db

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// externalColumns are jobColumns and what dialects list beside.
const externalColumns = jobColumns + ", j.type, j.status, j.changed_at"

// bare makes columns of a job without what its dialect keeps beside it.
func bare(columns string) string {
	return strings.Replace(columns, "j.ext", "CASE WHEN j.origin = '' THEN j.ext ELSE '{}' END", 1)
}

// scanExternal reads externalColumns.
func scanExternal(r rows) (j history.ExternalJob, num int64, err error) {
	var changed int64
	j.Job, num, err = scanJob(moreColumns{r, []any{&j.Type, &j.Status, &changed}})
	j.ChangedAt = fromMicros(changed)
	return j, num, err
}

// weight is how many bytes the documents of a page have so far.
type weight int

// add refuses a page that is too large before it is read.
func (w *weight) add(n int) error {
	if *w += weight(n); *w > history.MaxPageBytes {
		return &task.Error{
			Kind: task.Invalid, Code: "PAGE_TOO_LARGE", Text: "the rows of the page have more than " + strconv.Itoa(history.MaxPageBytes>>20) + " MiB",
			Next: "ask for fewer with size",
		}
	}
	return nil
}

// moreColumns scans columns that follow those a reader knows.
type moreColumns struct {
	rows
	dst []any
}

func (m moreColumns) Scan(dst ...any) error {
	return m.rows.Scan(append(append(make([]any, 0, len(dst)+len(m.dst)), dst...), m.dst...)...)
}

// ReportExternal records a job that somebody else's program does. Conflict: its id is
// taken.
func (s *Store) ReportExternal(ctx context.Context, project task.ProjectID, origin task.Dialect, r history.ExternalReport, by task.Actor) (out history.ExternalJob, err error) {
	err = s.change(ctx, func(ctx context.Context, t *txn) error {
		now := s.now()
		j := history.ExternalJob{Type: r.Type, Status: r.Status, Job: task.Job{
			ID: r.ID, Origin: origin, Subject: r.Subject, Project: project, Kind: task.ExternalJob, State: r.State, Counts: r.Counts,
			StartedAt: r.StartedAt, EndedAt: r.EndedAt, Why: r.Why, Ext: map[task.Dialect][]byte{origin: r.Ext},
		}}
		if j.ID == "" {
			j.ID = task.NewJobID(now)
		}
		if j.StartedAt.IsZero() {
			j.StartedAt = now
		}
		if j.State == "" {
			j.State = task.JobOpen
		}
		if len(r.Ext) == 0 {
			j.Ext[origin] = []byte("{}")
		}
		if err := insertExternal(ctx, t, j); err != nil {
			return err
		}
		if err := noteSubject(ctx, t, j, r.Name); err != nil {
			return err
		}
		if out, err = externalJob(ctx, t, project, origin, j.ID); err != nil {
			return err
		}
		return t.audit(ctx, by, project, "job.start", string(j.ID), map[string]any{"kind": j.Kind, "subject": j.Subject, "status": j.Status})
	})
	return out, err
}

func insertExternal(ctx context.Context, t *txn, j history.ExternalJob) error {
	ended, err := endOf(j, t)
	if err != nil {
		return err
	}
	ext, err := encodeExt(j.Ext)
	if err != nil {
		return err
	}
	var num int64
	err = one(ctx, t, `INSERT INTO jobs (id, task, project, kind, state, started_at, ended_at, why, ext, origin, subject, reported_type, reported_status, reported_at)
		VALUES ($1, 0, $2, 'external', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING RETURNING num`,
		[]any{
			string(j.ID), string(j.Project), string(j.State), micros(j.StartedAt), ended, clean(j.Why), ext,
			string(j.Origin), j.Subject, j.Type, j.Status, t.s.now().UnixMicro(),
		}, &num)
	if errors.Is(err, errNoRow) {
		return task.Errorf(task.Conflict, "a job %s exists", j.ID)
	}
	if err != nil {
		return err
	}
	return setCounts(ctx, t, num, j.Counts)
}

// endOf is when a job ended: now unless it says when; 0 while it has not.
func endOf(j history.ExternalJob, t *txn) (int64, error) {
	switch {
	case !j.State.Ended() && !j.EndedAt.IsZero():
		return 0, task.Errorf(task.Internal, "job %s is %s and has ended", j.ID, j.State)
	case j.State.Ended() && j.EndedAt.IsZero():
		return t.s.now().UnixMicro(), nil
	}
	return micros(j.EndedAt), nil
}

// setCounts makes a job's counters what its program says they are.
func setCounts(ctx context.Context, t *txn, num int64, n task.Counts) error {
	if _, err := t.exec(ctx, "DELETE FROM job_counts WHERE job = $1", num); err != nil {
		return err
	}
	c := counts{Counts: n}
	return t.many(ctx, addJobCounts, [][]any{c.args(num, 0)})
}

// externalJob reads a job that a dialect reports. NotFound.
func externalJob(ctx context.Context, t *txn, project task.ProjectID, origin task.Dialect, id task.JobID) (history.ExternalJob, error) {
	jobs, err := readExternal(ctx, t, externalColumns, "j.id = $1 AND j.project = $2 AND j.origin = $3", string(id), string(project), string(origin))
	switch {
	case err != nil:
		return history.ExternalJob{}, err
	case len(jobs) == 0:
		return history.ExternalJob{}, task.Errorf(task.NotFound, "there is no such job")
	}
	return jobs[0].ExternalJob, nil
}

// ExternalJob returns a job that a dialect reports, or with an empty origin one that
// Lockstep does, with its counts. NotFound.
func (s *Store) ExternalJob(ctx context.Context, project task.ProjectID, origin task.Dialect, id task.JobID) (j history.ExternalJob, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		j, err = externalJob(ctx, t, project, origin, id)
		return err
	})
	return j, err
}

// UpdateExternal changes a job as f says, in one transaction with the reading of it: f
// sees what is there, and may run several times. What f makes no change to is not
// written. Its id, task, project, kind and origin stay. The audit chain has every change but
// those of the figures while the job runs. NotFound.
func (s *Store) UpdateExternal(ctx context.Context, project task.ProjectID, origin task.Dialect, id task.JobID, by task.Actor,
	f func(*history.ExternalJob) error,
) (out history.ExternalJob, err error) {
	err = s.change(ctx, func(ctx context.Context, t *txn) error {
		row, err := lockJob(ctx, t, id, "FOR NO KEY UPDATE")
		if err != nil {
			return err
		}
		was, err := externalJob(ctx, t, project, origin, id)
		if err != nil {
			return err
		}
		j := was
		j.Ext = map[task.Dialect][]byte{origin: bytes.Clone(was.Ext[origin])}
		if err := f(&j); err != nil {
			return err
		}
		j.Why = clean(j.Why) // as it is stored: else the same report would never be the same
		if out = was; j.Same(was) {
			return nil
		}
		if err := updateExternal(ctx, t, row.num, j); err != nil {
			return err
		}
		if out, err = externalJob(ctx, t, project, origin, id); err != nil {
			return err
		}
		if j.Status == was.Status && !was.State.Ended() {
			return nil // how far it is: programs say so every few seconds
		}
		return t.audit(ctx, by, project, "job.report", string(id), map[string]any{"status": out.Status, "state": out.State, "counts": out.Counts})
	})
	return out, err
}

func updateExternal(ctx context.Context, t *txn, num int64, j history.ExternalJob) error {
	if !j.State.Ended() {
		j.EndedAt = fromMicros(0)
	}
	ended, err := endOf(j, t)
	if err != nil {
		return err
	}
	ext, err := encodeExt(j.Ext)
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, `UPDATE jobs SET state = $1, started_at = $2, ended_at = $3, why = $4, ext = $5, subject = $6,
		reported_type = $7, reported_status = $8, reported_at = $9 WHERE num = $10`,
		string(j.State), micros(j.StartedAt), ended, clean(j.Why), ext, j.Subject, j.Type, j.Status, t.s.now().UnixMicro(), num); err != nil {
		return err
	}
	j.EndedAt = fromMicros(ended)
	if err := noteSubject(ctx, t, j, ""); err != nil {
		return err
	}
	return setCounts(ctx, t, num, j.Counts)
}

// DeleteExternal takes a job away that a dialect reports. NotFound.
func (s *Store) DeleteExternal(ctx context.Context, project task.ProjectID, origin task.Dialect, id task.JobID, by task.Actor) error {
	return s.change(ctx, func(ctx context.Context, t *txn) error {
		var num int64
		err := one(ctx, t, "DELETE FROM jobs WHERE id = $1 AND project = $2 AND origin = $3 AND kind = 'external' RETURNING num",
			[]any{string(id), string(project), string(origin)}, &num)
		if errors.Is(err, errNoRow) {
			return task.Errorf(task.NotFound, "there is no such job")
		}
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, "DELETE FROM job_counts WHERE job = $1", num); err != nil {
			return err
		}
		return t.audit(ctx, by, project, "job.delete", string(id), nil)
	})
}
