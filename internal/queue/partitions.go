package queue

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Partition is a leased key range (After, Until] of a scan.
type Partition struct {
	Num   int64 // the store's own number
	Job   task.JobID
	Task  task.ID
	After string // the last key of the last committed page; "" at the beginning
	Until string // "" for no end

	Owner   task.NodeID
	Epoch   int64
	Expires time.Time
}

// Range is a key range (After, Until]; an empty Until has no end.
type Range struct{ After, Until string }

// Page is what a scan found between the partition's After and its own.
type Page struct {
	After string // the last key compared
	Done  bool   // the partition has been compared to its end

	// Keys of Enqueue and Delete pass task.CheckKey, and no key stands twice.
	Enqueue []Found // keys whose sides differ
	Delete  []Found // keys missing at the source: staged until the guard has judged
	Ended   []Ended // keys that need no work, but for the unchanged ones
	// Unchanged counts keys whose sides are equal; Named holds their list lines when
	// the task lists them, else it is nil.
	Unchanged int64
	Named     []Ended

	// Source and Destination count the objects of both listings, for the guard.
	Source, Destination int64
	// Split, when set, is an existing key in (After, Until) at which the rest of the
	// partition is cut: what follows it becomes a partition that others can claim.
	Split string
	// SourceTime, when set, is what the scan's start was by the source's clock (see
	// task.Job); the first page that says so counts.
	SourceTime time.Time
}

// Found is a difference with what the scan knows about it.
type Found struct {
	Key   string
	Known Known
	// Unheard says that an event should have told of it: the task gets events, the
	// source is old enough, and it is not the first scan. Unless the key is pending or
	// has an open failure, the record counts as missed once it is synced.
	Unheard bool
}

// Ended is a key that a scan ignores for a reason.
type Ended struct {
	Key    string
	Reason task.Reason
	Rule   int   // number of the filter rule that matched; 0 when none did
	Size   int64 // bytes at the source; at the destination when the source has none
}

// Partitions leases the key ranges of scans.
type Partitions interface {
	// ClaimPartitions leases up to limit unfinished partitions that nobody owns, or
	// whose lease has expired. Every claim raises the epoch.
	ClaimPartitions(ctx context.Context, node task.NodeID, limit int, lease time.Duration) ([]Partition, error)
	RenewPartitions(ctx context.Context, ps []Partition, lease time.Duration) ([]Partition, error)
	ReleasePartitions(ctx context.Context, ps []Partition) error

	// CommitPage records a page and moves p.After and, after a split, p.Until, in one
	// transaction. A key that is pending already keeps its record; the scan's ends
	// ignored ALREADY_PENDING. ErrStale and ErrFull: nothing was changed.
	CommitPage(ctx context.Context, p *Partition, page Page) error

	// ScanTotals adds up what the partitions of a scan have found so far.
	ScanTotals(ctx context.Context, job task.JobID) (ScanTotals, error)
	// ReleaseDeletes makes up to limit staged deletes pending, once the guard has
	// agreed; more says that some are left.
	ReleaseDeletes(ctx context.Context, job task.JobID, limit int) (more bool, err error)
	// RefuseDeletes ends up to limit staged deletes ignored GUARD_STOPPED.
	RefuseDeletes(ctx context.Context, job task.JobID, limit int) (more bool, err error)
	// ReserveDeletes books up to n deletes by events of the task in the hour of at,
	// and returns how many fit below limit; negative: no limit.
	ReserveDeletes(ctx context.Context, id task.ID, at time.Time, n, limit int64) (granted int64, err error)
}

// ScanTotals is what the guard judges.
type ScanTotals struct {
	Partitions, Unfinished int64
	Source, Destination    int64 // objects listed
	Deletes                int64 // staged and not judged yet
}
