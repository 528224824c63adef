package queue

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Lanes leases lanes to nodes and settles what they worked on.
type Lanes interface {
	// ClaimLanes leases up to limit lanes of active tasks that have due keys and no
	// owner, or one whose lease has expired. Every claim raises the epoch.
	ClaimLanes(ctx context.Context, node task.NodeID, limit int, lease time.Duration) ([]Lane, error)
	// RenewLanes extends leases and returns those still held, with their new end.
	RenewLanes(ctx context.Context, lanes []Lane, lease time.Duration) ([]Lane, error)
	// ReleaseLanes gives lanes back at once; those taken over are left alone.
	ReleaseLanes(ctx context.Context, lanes []Lane) error

	// Slice returns up to limit keys of the lane that are due, without locking them:
	// events first, but never only events while others wait; each kind in order of
	// next_at, then of acceptance. Keys in busy are left out: the caller works on them.
	Slice(ctx context.Context, lane LaneID, limit int, busy map[string]struct{}) (Slice, error)

	// Settle records how records of the lane ended, or that they are to be tried again,
	// with counters, failures and list lines, in one transaction. Records that were
	// superseded or settled before stay as they are. ErrStale: nothing was changed.
	Settle(ctx context.Context, lane Lane, done []Settlement) (Settled, error)
}

// Slice is a part of a lane.
type Slice struct {
	Records []Record
	// Next is when the first key that is not due yet will be; zero when none waits.
	Next time.Time
}

// Settlement is how the work on one record ended.
type Settlement struct {
	Record  Record
	Outcome task.Outcome // task.Pending: try again at NextAt
	Reason  task.Reason
	Rule    int       // number of the filter rule that decided; 0 when none did
	Cause   string    // of a failure, in words, without secrets
	Code    string    // of a failure: the store's own error code
	Size    int64     // bytes at the destination when synced, else at the source
	At      time.Time // when the work ended
	NextAt  time.Time // when Outcome is Pending
	// RestoringAt is kept for the next attempt when Outcome is Pending.
	RestoringAt time.Time
	// Unstarted: it failed before any work on it, because a store refuses the task.
	Unstarted bool
}

// Settled says what a settlement changed.
type Settled struct {
	Ended       int // records with a final outcome
	Rescheduled int
	Moved       int // records that were superseded or settled before: not counted here
}
