package queue

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Batch is what one client asks for in one request. All of it is accepted, or
// nothing.
type Batch struct {
	Task task.ID
	// Job is the open manifest job that the keys belong to. Empty: events, which go to
	// the task's open job of kind events.
	Job     task.JobID
	Entries []Entry // at most task.MaxBatchKeys
}

// Entry is a key that somebody named.
type Entry struct {
	Key string
	// Otherwise is the key to sync when the source does not hold Key; empty: none.
	Otherwise string
	// NotBefore delays the work on the key; zero does not.
	NotBefore time.Time
}

// Receipt says what became of an accepted batch.
type Receipt struct {
	Job task.JobID
	At  time.Time // the acceptance: what the statistics' intervals go by
}

// Acceptor takes events and manifests.
type Acceptor interface {
	// Accept enqueues the keys of b, each as a record of its own. When it returns nil
	// they are on disk: no crash loses them. A key that is pending already, or stands
	// twice in b, is coalesced: the earlier record ends ignored SUPERSEDED in the
	// same transaction.
	//
	// Errors: task.Invalid for a bad key; task.NotFound for an unknown task or job;
	// task.Conflict for a stopped task or a job that takes no more; task.Unavailable,
	// at once, when too much is waiting to be written, or the database cannot write.
	Accept(ctx context.Context, b Batch) (Receipt, error)
}

// GroupAcceptor accepts many batches in one transaction. Committer makes an
// Acceptor of it.
type GroupAcceptor interface {
	// AcceptGroup accepts each batch or refuses it, in order, and stores them in
	// answers, which is as long as group. An error means that the whole group failed.
	AcceptGroup(ctx context.Context, group []Batch, answers []Answer) error
}

// Answer is how one batch of a group fared.
type Answer struct {
	Receipt Receipt
	Err     error
}
