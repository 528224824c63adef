package control

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Proof is a recount, with what came of it.
type Proof struct {
	Task   task.ID
	Job    task.JobID // empty: of the whole task
	Counts task.Counts
	// Broken is the first equality that does not hold; empty: all do.
	Broken string
	Rows   Rows
}

// Rows are what was counted again.
type Rows struct {
	Waiting, Staged, Failures int64
	Stored, Uploaded          Lines // list lines in the outbox and in the destination
	// Unlisted is the part of ignored that no list names.
	Unlisted int64
	// RetiredFailures and Retired are what retention has removed.
	RetiredFailures int64
	Retired         Lines
}

// Lines count list lines by list.
type Lines struct{ Received, Synced, Failed, Ignored, Retried int64 }

func linesOf(m map[queue.ListKind]int64) Lines {
	return Lines{m[queue.ListReceived], m[queue.ListSynced], m[queue.ListFailed] + m[queue.ListUnstarted], m[queue.ListIgnored], m[queue.ListRetried]}
}

// ProveTask counts everything that is recorded of a task again.
func (c *Control) ProveTask(ctx context.Context, who Caller, ref string) (Proof, error) {
	k, err := c.reading(ctx, who, ref)
	if err != nil {
		return Proof{}, err
	}
	p, err := c.store.ProveTask(ctx, k.ID)
	return proofOf(k.ID, "", p), err
}

// ProveJob counts everything that is recorded of a job again.
func (c *Control) ProveJob(ctx context.Context, who Caller, id task.JobID) (Proof, error) {
	j, err := c.Job(ctx, who, id)
	if err != nil {
		return Proof{}, err
	}
	if j.Kind == task.ExternalJob {
		return Proof{}, &task.Error{
			Kind: task.Conflict, Code: "JOB_EXTERNAL", Text: "the job was done by another program, which alone knows what it counted",
			Next: "prove jobs of other kinds",
		}
	}
	p, err := c.store.ProveJob(ctx, j.ID)
	return proofOf(j.Task, j.ID, p), err
}

func proofOf(id task.ID, job task.JobID, p history.Proof) Proof {
	out := Proof{Task: id, Job: job, Counts: p.Counted, Rows: Rows{
		Waiting: p.Waiting, Staged: p.Staged, Failures: p.Failures, Unlisted: p.Unlisted,
		Stored: linesOf(p.Stored), Uploaded: linesOf(p.Uploaded), RetiredFailures: p.Retired.Failures, Retired: linesOf(p.Retired.Lines),
	}}
	if err := p.Check(); err != nil {
		out.Broken = err.Error()
	}
	return out
}
