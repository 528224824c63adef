package control

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Event asks for one key of a task to be synced. Keys are as the task sees them, without
// the source's prefix.
type Event = queue.Entry

// Accepted says what became of events.
type Accepted struct {
	// Job is the job they belong to; empty when every key was skipped.
	Job task.JobID
	At  time.Time
	// Keys is how many records there are now.
	Keys int
	// Skipped counts keys of lists that Lockstep itself writes, which no task ever sees.
	Skipped int
}

// taskRef is how a client named a task.
type taskRef struct {
	project task.ProjectID
	ref     string
}

type seenTask struct {
	task.Task
	at time.Time
}

// taskSeen is how long a task is remembered for events, which then cost no read. Stale or
// not, the transaction that accepts them asks for the state.
const taskSeen = 5 * time.Second

// AcceptEvents enqueues up to task.MaxBatchKeys events of a task, all of them or none.
// When it returns they are on disk. Invalid: a bad key; Conflict: the task is stopped;
// Unavailable: too much is waiting to be written, or the database cannot write.
func (c *Control) AcceptEvents(ctx context.Context, who Caller, ref string, events []Event) (Accepted, error) {
	if err := who.may(maySend); err != nil {
		return Accepted{}, err
	}
	k, err := c.seenTask(ctx, who, ref)
	if err != nil {
		return Accepted{}, err
	}
	return c.accept(ctx, k, "", events)
}

// accept enqueues keys for a job; empty: the open one of kind events.
func (c *Control) accept(ctx context.Context, k task.Task, job task.JobID, events []Event) (Accepted, error) {
	if len(events) == 0 {
		return Accepted{}, invalid("NO_KEYS", "no key is named", "name 1 to 1000 keys")
	}
	if len(events) > task.MaxBatchKeys {
		return Accepted{}, invalid("TOO_MANY_KEYS", "more than 1000 keys are named at once", "send them in several requests, or as a manifest")
	}
	kept, skipped, err := c.dropLists(ctx, k, events)
	switch {
	case err != nil:
		return Accepted{}, err
	case len(kept) == 0 && k.State == task.Stopped: // nothing else will ask for the state
		return Accepted{}, &task.Error{Kind: task.Conflict, Code: CodeNotRunning, Text: "the task is stopped", Next: "start it first"}
	case len(kept) == 0:
		return Accepted{Skipped: skipped}, nil
	}
	r, err := c.cfg.Accept.Accept(ctx, queue.Batch{Task: k.ID, Job: job, Entries: kept})
	if err != nil {
		return Accepted{}, err
	}
	return Accepted{Job: r.Job, At: r.At, Keys: len(kept), Skipped: skipped}, nil
}

// seenTask is task for the hot path.
func (c *Control) seenTask(ctx context.Context, who Caller, ref string) (task.Task, error) {
	key := taskRef{who.Project, ref}
	if v, ok := c.seen.Load(key); ok {
		if s := v.(seenTask); c.cfg.Now().Sub(s.at) < taskSeen {
			return s.Task, nil
		}
	}
	at := c.cfg.Now()
	k, err := c.task(ctx, who, ref)
	if err != nil {
		c.seen.Delete(key)
		return k, err
	}
	c.seen.Store(key, seenTask{k, at})
	return k, nil
}

// forget drops a task that was changed from what is remembered.
func (c *Control) forget(k task.Task) {
	c.forgetHooks(k.ID)
	c.seen.Range(func(key, v any) bool {
		if v.(seenTask).ID == k.ID {
			c.seen.Delete(key)
		}
		return true
	})
}

// holdsLists says whether a key, or all below a prefix, are lists of one of our tasks, in
// whichever project.
func (c *Control) holdsLists(ctx context.Context, prefix, key string) (bool, error) {
	id, ok := history.ListOwner(prefix + key)
	if !ok {
		return false, nil
	}
	_, err := c.store.Task(ctx, id)
	if task.KindOf(err) == task.NotFound {
		return false, nil
	}
	return err == nil, err
}

// dropLists leaves out keys of our own lists: they are invisible to every task.
func (c *Control) dropLists(ctx context.Context, k task.Task, events []Event) (kept []Event, skipped int, err error) {
	for i, e := range events {
		inside, err := c.holdsLists(ctx, k.Source.Prefix, e.Key)
		if err != nil {
			return nil, 0, err
		}
		switch {
		case inside && kept == nil:
			kept = append(make([]Event, 0, len(events)), events[:i]...)
			skipped++
		case inside:
			skipped++
		case kept != nil:
			kept = append(kept, e)
		}
	}
	if skipped == 0 {
		return events, 0, nil
	}
	return kept, skipped, nil
}
