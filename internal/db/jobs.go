package db

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// jobRow is a job as transactions see it.
type jobRow struct {
	num    int64
	id     task.JobID
	task   int64
	taskID task.ID
	kind   task.JobKind
	state  task.JobState
}

// lockJob reads a job, and locks it with the clause unless that is empty.
func lockJob(ctx context.Context, t *txn, id task.JobID, clause string) (j jobRow, err error) {
	if clause != "" {
		clause = t.e.lock(clause)
	}
	err = one(ctx, t, `SELECT num, id, task, kind, state FROM jobs WHERE id = $1`+clause, []any{string(id)},
		&j.num, &j.id, &j.task, &j.kind, &j.state)
	if errors.Is(err, errNoRow) {
		return j, task.Errorf(task.NotFound, "there is no job %s", id)
	}
	if err == nil && j.task != 0 {
		err = one(ctx, t, "SELECT id FROM tasks WHERE num = $1", []any{j.task}, &j.taskID)
	}
	return j, err
}

type newJob struct {
	task    int64
	project task.ProjectID
	kind    task.JobKind
	at      time.Time
	ext     map[task.Dialect][]byte
}

func insertJob(ctx context.Context, t *txn, j newJob) (id task.JobID, num int64, err error) {
	ext, err := encodeExt(j.ext)
	if err != nil {
		return "", 0, err
	}
	id = task.NewJobID(j.at)
	err = one(ctx, t, `INSERT INTO jobs (id, task, project, kind, state, started_at, ext, subject)
		VALUES ($1, $2, $3, $4, 'open', $5, $6, coalesce((SELECT k.id FROM tasks k WHERE k.num = $2), '')) RETURNING num`,
		[]any{string(id), j.task, string(j.project), string(j.kind), micros(j.at), ext}, &num)
	return id, num, err
}

// insertScan opens a scan with its partitions, and notes how many event records the task
// has had: the rate of missed events goes by what came between two scans.
func (s *Store) insertScan(ctx context.Context, t *txn, j newJob, ranges []queue.Range) (task.JobID, error) {
	id, num, err := insertJob(ctx, t, j)
	if err != nil {
		return "", err
	}
	if _, err := t.exec(ctx, `UPDATE jobs SET heard = (SELECT CAST(coalesce(sum(c.requested), 0) AS BIGINT) FROM month_counts c
		WHERE c.task = $1 AND c.class = $2) WHERE num = $3`, j.task, int(queue.ByEvent), num); err != nil {
		return "", err
	}
	return id, insertPartitions(ctx, t, num, j.task, ranges)
}

// StartJob implements queue.Jobs.
func (s *Store) StartJob(ctx context.Context, start queue.JobStart, by task.Actor) (job task.Job, err error) {
	err = s.change(ctx, func(ctx context.Context, t *txn) error {
		k, err := lockTask(ctx, t, start.Task)
		if err != nil {
			return err
		}
		if k.State == task.Stopped {
			return &task.Error{Kind: task.Conflict, Code: "TASK_STOPPED", Text: "the task is stopped", Next: "start it first"}
		}
		num, err := s.taskNum(ctx, t, k.ID)
		if err != nil {
			return err
		}
		if start.Kind == task.ScanJob {
			if err := noScan(ctx, t, num); err != nil {
				return err
			}
		}
		var id task.JobID
		j := newJob{num, k.Project, start.Kind, s.now(), start.Ext}
		if start.Kind == task.ScanJob {
			id, err = s.insertScan(ctx, t, j, start.Ranges)
		} else {
			id, _, err = insertJob(ctx, t, j)
		}
		if err != nil {
			return err
		}
		if job, err = readJob(ctx, t, "j.id = $1", string(id)); err != nil {
			return err
		}
		return t.audit(ctx, by, k.Project, "job.start", string(id), map[string]any{"task": k.ID, "kind": start.Kind})
	})
	return job, err
}

// noScan refuses a second scan of a task.
func noScan(ctx context.Context, t *txn, num int64) error {
	var id task.JobID
	err := one(ctx, t, "SELECT id FROM jobs WHERE task = $1 AND kind = 'scan' AND ended_at = 0", []any{num}, &id)
	switch {
	case errors.Is(err, errNoRow):
		return nil
	case err != nil:
		return err
	}
	return &task.Error{
		Kind: task.Conflict, Code: "SCAN_RUNNING", Text: "scan " + string(id) + " of the task has not ended",
		Next: "wait for it or cancel it",
	}
}

// CloseJob implements queue.Jobs.
func (s *Store) CloseJob(ctx context.Context, id task.JobID) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		j, err := lockJob(ctx, t, id, "FOR NO KEY UPDATE")
		if err != nil {
			return err
		}
		return closeJob(ctx, t, j.num, s.now())
	})
}

// closeJob lets an open job take no more records.
func closeJob(ctx context.Context, t *txn, num int64, now time.Time) error {
	_, err := t.exec(ctx, "UPDATE jobs SET state = 'closed', closed_at = $1 WHERE num = $2 AND state = 'open'", now.UnixMicro(), num)
	return err
}

const jobColumns = `j.id, coalesce((SELECT k.id FROM tasks k WHERE k.num = j.task), ''), j.project, j.kind, j.state, j.started_at,
	j.closed_at, j.ended_at, j.source_time, j.why, j.manifest_due, j.ext, j.origin, j.subject, j.num`

// scanJob reads jobColumns.
func scanJob(r rows) (j task.Job, num int64, err error) {
	var started, closed, ended, source int64
	var due int
	var ext string
	err = r.Scan(&j.ID, &j.Task, &j.Project, &j.Kind, &j.State, &started, &closed, &ended, &source, &j.Why, &due, &ext, &j.Origin, &j.Subject, &num)
	if err != nil {
		return j, 0, err
	}
	j.StartedAt, j.ClosedAt, j.EndedAt, j.SourceTime = fromMicros(started), fromMicros(closed), fromMicros(ended), fromMicros(source)
	j.Listed = ended != 0 && due == 0
	j.Ext, err = decodeExt(ext)
	return j, num, err
}

// readJob reads the one job that fits, with its counts.
func readJob(ctx context.Context, t *txn, where string, args ...any) (task.Job, error) {
	jobs, err := readJobs(ctx, t, jobColumns, "WHERE "+where, args...)
	switch {
	case err != nil:
		return task.Job{}, err
	case len(jobs) == 0:
		return task.Job{}, task.Errorf(task.NotFound, "there is no such job")
	}
	return jobs[0], nil
}

// readJobs reads jobs with their counts. columns are jobColumns.
func readJobs(ctx context.Context, t *txn, columns, rest string, args ...any) (jobs []task.Job, err error) {
	var nums []int64
	err = each(ctx, t, "SELECT "+columns+" FROM jobs j "+rest, args, func(r rows) error {
		j, num, err := scanJob(r)
		jobs, nums = append(jobs, j), append(nums, num)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, num := range nums {
		c, err := jobCounts(ctx, t, num)
		if err != nil {
			return nil, err
		}
		jobs[i].Counts = c.Counts
	}
	return jobs, nil
}

func jobCounts(ctx context.Context, t *txn, num int64) (c counts, err error) {
	err = one(ctx, t, "SELECT "+sumColumns+" FROM job_counts WHERE job = $1", []any{num}, c.into()...)
	return c, err
}

// Job returns a job with its counts. NotFound.
func (s *Store) Job(ctx context.Context, id task.JobID) (job task.Job, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		job, err = readJob(ctx, t, "j.id = $1", string(id))
		return err
	})
	return job, err
}

// JobFilter selects jobs of a project.
type JobFilter = history.JobFilter

// Jobs returns jobs, newest first, without what dialects keep beside external ones.
func (s *Store) Jobs(ctx context.Context, project task.ProjectID, f JobFilter) (jobs []task.Job, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		where, args := "j.project = $1", []any{string(project)}
		and := func(cond string, value any) {
			args = append(args, value)
			where += " AND " + cond + strconv.Itoa(len(args))
		}
		if f.Task != "" {
			num, err := s.taskNum(ctx, t, f.Task)
			if err != nil {
				return err
			}
			and("j.task = $", num)
		}
		if f.Kind != "" {
			and("j.kind = $", string(f.Kind))
		}
		if f.Before != "" {
			before, err := lockJob(ctx, t, f.Before, "")
			if err != nil {
				return err
			}
			and("j.num < $", before.num)
		}
		limit := f.Limit
		if limit == 0 {
			limit = 100
		}
		args = append(args, limit)
		jobs, err = readJobs(ctx, t, bare(jobColumns), "WHERE "+where+" ORDER BY j.num DESC LIMIT $"+strconv.Itoa(len(args)), args...)
		return err
	})
	return jobs, err
}

// encodeExt writes the dialects' own fields as one JSON object, as long as they are: < > &
// stay what they are.
func encodeExt(ext map[task.Dialect][]byte) (string, error) {
	raw := make(map[task.Dialect]json.RawMessage, len(ext))
	for d, b := range ext {
		raw[d] = b
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(raw)
	return strings.TrimSuffix(out.String(), "\n"), err
}

func decodeExt(text string) (map[task.Dialect][]byte, error) {
	var raw map[task.Dialect]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil || len(raw) == 0 {
		return nil, err
	}
	ext := make(map[task.Dialect][]byte, len(raw))
	for d, b := range raw {
		ext[d] = b
	}
	return ext, nil
}
