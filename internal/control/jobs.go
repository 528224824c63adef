package control

import (
	"context"
	"errors"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// StartScan begins to compare the whole task. Conflict: it is stopped, or a scan of it
// has not ended.
func (c *Control) StartScan(ctx context.Context, who Caller, ref string) (task.Job, error) {
	if err := who.may(mayOperate); err != nil {
		return task.Job{}, err
	}
	k, err := c.task(ctx, who, ref)
	if err != nil {
		return task.Job{}, err
	}
	return c.store.StartJob(ctx, queue.JobStart{Task: k.ID, Kind: task.ScanJob}, who.Actor)
}

// Retry selects failed records of a task; empty fields select all.
type Retry = queue.Retry

// retryStep is how many records one transaction of a retry makes pending again.
const retryStep = 1000

// Retry makes failed records of a task pending again, in a job of their own whose
// Requested counts them. The end of ctx does not interrupt it.
func (c *Control) Retry(ctx context.Context, who Caller, ref string, r Retry) (task.Job, error) {
	if err := who.may(mayOperate); err != nil {
		return task.Job{}, err
	}
	k, err := c.task(ctx, who, ref)
	if err != nil {
		return task.Job{}, err
	}
	if err := task.CheckFailureReason(r.Reason); err != nil {
		return task.Job{}, err
	}
	if r.Job != "" {
		if err := c.checkJob(ctx, who, k, r.Job); err != nil {
			return task.Job{}, err
		}
	}
	ctx = context.WithoutCancel(ctx)
	job, err := c.store.StartJob(ctx, queue.JobStart{Task: k.ID, Kind: task.RetryJob}, who.Actor)
	if err != nil {
		return task.Job{}, err
	}
	for from := int64(0); err == nil; {
		if from, err = c.store.Retry(ctx, job.ID, r, from, retryStep); from == 0 {
			break
		}
	}
	if err := errors.Join(err, c.store.CloseJob(ctx, job.ID)); err != nil {
		return job, err
	}
	return c.store.Job(ctx, job.ID)
}

// CancelJob ends what waits of a job ignored CANCELLED. Conflict: it has ended.
func (c *Control) CancelJob(ctx context.Context, who Caller, id task.JobID) (task.Job, error) {
	if err := who.may(mayOperate); err != nil {
		return task.Job{}, err
	}
	job, err := c.job(ctx, who, id)
	if err != nil {
		return task.Job{}, err
	}
	if job.Kind == task.ExternalJob {
		return task.Job{}, &task.Error{Kind: task.Conflict, Code: "JOB_EXTERNAL", Text: "the job is done by another program", Next: "cancel it there"}
	}
	if err := c.store.CancelJob(ctx, id, "a client asked for it", who.Actor); err != nil {
		return task.Job{}, err
	}
	return c.store.Job(ctx, id)
}

// Job returns a job of the caller's project with its counts.
func (c *Control) Job(ctx context.Context, who Caller, id task.JobID) (task.Job, error) {
	if err := who.may(mayRead); err != nil {
		return task.Job{}, err
	}
	return c.job(ctx, who, id)
}

func (c *Control) job(ctx context.Context, who Caller, id task.JobID) (task.Job, error) {
	j, err := c.store.Job(ctx, id)
	if task.KindOf(err) == task.NotFound || err == nil && j.Project != who.Project {
		return task.Job{}, notFound("JOB_NOT_FOUND", "there is no such job", "list them with: lockstep job list")
	}
	return j, err
}

// checkJob refuses a job that is not the task's.
func (c *Control) checkJob(ctx context.Context, who Caller, k task.Task, id task.JobID) error {
	j, err := c.job(ctx, who, id)
	if err == nil && j.Task != k.ID {
		err = notFound("JOB_NOT_FOUND", "the task has no such job", "list them with: lockstep job list")
	}
	return err
}

// JobFilter selects jobs.
type JobFilter struct {
	Task   string // id or name; empty: of all tasks, and of none
	Kind   task.JobKind
	Before task.JobID // the page after this job
	Limit  int
}

// Jobs returns jobs of the caller's project, newest first.
func (c *Control) Jobs(ctx context.Context, who Caller, f JobFilter) ([]task.Job, error) {
	if err := who.may(mayRead); err != nil {
		return nil, err
	}
	in := history.JobFilter{Kind: f.Kind, Before: f.Before, Limit: f.Limit}
	if f.Task != "" {
		k, err := c.task(ctx, who, f.Task)
		if err != nil {
			return nil, err
		}
		in.Task = k.ID
	}
	if f.Before != "" {
		if _, err := c.job(ctx, who, f.Before); err != nil {
			return nil, err
		}
	}
	return c.store.Jobs(ctx, who.Project, in)
}
