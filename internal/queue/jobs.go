package queue

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Jobs begins and ends work.
type Jobs interface {
	// StartJob opens a job. Conflict: the task is stopped, or a scan of it runs.
	StartJob(ctx context.Context, s JobStart, by task.Actor) (task.Job, error)
	// CloseJob says that a manifest or retry job takes no more records; it ends with
	// the last of them. Scans close themselves with their last partition.
	CloseJob(ctx context.Context, id task.JobID) error
	// EndJob ends a job at once because a guard stopped it or it cannot go on: state
	// is task.JobStopped or task.JobFailed. Partitions are dropped, staged deletes
	// refused; records that are pending are worked to their end all the same.
	EndJob(ctx context.Context, id task.JobID, state task.JobState, why string) error
	// CancelJob ends the job's waiting records ignored CANCELLED, in steps; EndJobs
	// goes on with it after a crash. Keys being copied now may still be synced. Keys
	// that another job had asked for, whose records were superseded, go on waiting: each
	// is accepted as an event of the task in the transaction that ends its record.
	CancelJob(ctx context.Context, id task.JobID, why string, by task.Actor) error
	// EndJobs closes jobs of kind events that are due, and as failed those that nobody has
	// closed in a day, and ends every closed job whose records have all ended. It is cheap, and called every few seconds by one node.
	EndJobs(ctx context.Context) ([]task.Job, error)
	// Retry makes up to limit failed records of r pending again in the retry job,
	// from a cursor on that starts at zero. Records whose key is pending are left to it.
	Retry(ctx context.Context, job task.JobID, r Retry, from int64, limit int) (next int64, err error)
}

// JobStart is a job to open.
type JobStart struct {
	Task task.ID
	Kind task.JobKind
	// Ranges are the partitions of a scan; none means one over everything.
	Ranges []Range
	Ext    map[task.Dialect][]byte
}

// Retry selects failed records of a task; empty fields select all.
type Retry struct {
	Job    task.JobID
	Reason task.Reason
	Key    string
}
