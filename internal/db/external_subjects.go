package db

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

const subjectColumns = "origin, subject, name, every, created_at, reported_at, succeeded_at"

// noteSubject keeps what the last report of a job says of its subject; an empty name stays
// what it was. A success that a client's clock puts into the future is one of now: else its
// subject would not be late for so long.
func noteSubject(ctx context.Context, t *txn, j history.ExternalJob, name string) error {
	now := t.s.now().UnixMicro()
	var succeeded int64
	if j.State == task.JobDone {
		if succeeded = micros(j.EndedAt); succeeded == 0 || succeeded > now {
			succeeded = now
		}
	}
	_, err := t.exec(ctx, `INSERT INTO external_subjects (project, origin, subject, name, reported_at, succeeded_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $5) ON CONFLICT (project, origin, subject) DO UPDATE SET
		name = CASE WHEN excluded.name <> '' THEN excluded.name ELSE external_subjects.name END,
		reported_at = excluded.reported_at,
		succeeded_at = CASE WHEN excluded.succeeded_at > external_subjects.succeeded_at THEN excluded.succeeded_at ELSE external_subjects.succeeded_at END`,
		string(j.Project), string(j.Origin), j.Subject, clean(name), now, succeeded)
	return err
}

// ExpectExternal says what a subject is called and how often it is to sync; 0: nobody
// knows. It makes the subject when there is none.
func (s *Store) ExpectExternal(ctx context.Context, project task.ProjectID, origin task.Dialect, subject, name string, every time.Duration) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		_, err := t.exec(ctx, `INSERT INTO external_subjects (project, origin, subject, name, every, created_at)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project, origin, subject) DO UPDATE SET name = excluded.name, every = excluded.every`,
			string(project), string(origin), subject, clean(name), every.Microseconds(), s.now().UnixMicro())
		return err
	})
}

// ForgetExternal takes a subject away; its jobs stay.
func (s *Store) ForgetExternal(ctx context.Context, project task.ProjectID, origin task.Dialect, subject string) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		_, err := t.exec(ctx, "DELETE FROM external_subjects WHERE project = $1 AND origin = $2 AND subject = $3", string(project), string(origin), subject)
		return err
	})
}

// ExternalSubjects returns up to limit subjects, those that reported last first.
func (s *Store) ExternalSubjects(ctx context.Context, project task.ProjectID, limit int) (out []history.ExternalSubject, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		return each(ctx, t, "SELECT "+subjectColumns+" FROM external_subjects WHERE project = $1 ORDER BY reported_at DESC LIMIT $2",
			[]any{string(project), limit}, func(r rows) error {
				e, err := scanSubject(r)
				out = append(out, e)
				return err
			})
	})
	return out, err
}

// ExternalSubject returns a subject. NotFound.
func (s *Store) ExternalSubject(ctx context.Context, project task.ProjectID, origin task.Dialect, subject string) (out history.ExternalSubject, err error) {
	found := false
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		return each(ctx, t, "SELECT "+subjectColumns+" FROM external_subjects WHERE project = $1 AND origin = $2 AND subject = $3",
			[]any{string(project), string(origin), subject}, func(r rows) (err error) {
				found = true
				out, err = scanSubject(r)
				return err
			})
	})
	if err == nil && !found {
		err = task.Errorf(task.NotFound, "nothing was reported of %s", subject)
	}
	return out, err
}

func scanSubject(r rows) (e history.ExternalSubject, err error) {
	var every, created, reported, succeeded int64
	err = r.Scan(&e.Origin, &e.ID, &e.Name, &every, &created, &reported, &succeeded)
	e.Every = time.Duration(every) * time.Microsecond
	e.CreatedAt, e.ReportedAt, e.SucceededAt = fromMicros(created), fromMicros(reported), fromMicros(succeeded)
	return e, err
}

// ExternalTally returns how many external jobs there are, from counters.
func (s *Store) ExternalTally(ctx context.Context, project task.ProjectID) (out []history.ExternalTally, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		return each(ctx, t, `SELECT origin, status, CAST(sum(n) AS BIGINT) FROM job_tally WHERE project = $1 AND origin <> ''
			GROUP BY origin, status ORDER BY origin, status`, []any{string(project)}, func(r rows) error {
			var n history.ExternalTally
			err := r.Scan(&n.Origin, &n.Status, &n.Jobs)
			out = append(out, n)
			return err
		})
	})
	return out, err
}
