package history

import (
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Span is a part of a task's statistics. Records belong to the time they were
// accepted, however late they end.
type Span struct {
	At     time.Time // the beginning of the interval, hour or month, UTC
	Counts task.Counts
}

// Watermarks say how far behind a task is. The two are never mixed: the first
// cannot see lost events, the second is as old as the last scan.
type Watermarks struct {
	// Heard: every event accepted before it is settled, and none of those is failed.
	Heard time.Time
	// Proven: the start, by the source's clock, of the last scan that ended complete
	// and without open failures or deletes that a guard refused; held back by failures left open since. Zero: no scan.
	Proven time.Time
	// Missed is the share of changes since the scan before the last one that no event
	// told of: missed / (missed + event records). Zero when there were none.
	Missed float64
	// Delayed says why the last attempts ended of records that wait for another, of up to
	// 1,000 of them.
	Delayed map[task.Reason]int64
	// Broken is why the last scan was stopped or failed: CODE or reason, colon, sentence.
	// Empty when it ended well, was cancelled, or goes on.
	Broken string
	// Scan is the scan that goes on; empty: none does.
	Scan task.JobID
	// Open is how many failures are open, counted to MaxOpen: the rest of the failed
	// records have been followed by a record of their key that ended otherwise.
	Open int64
	// Lag is that of the last hour, seconds old.
	Lag Lag
}

// MaxOpen is how far open failures are counted.
const MaxOpen = 100_000

// Failure is a failed record, kept until retention removes it.
type Failure struct {
	Num        int64 // a cursor: rises with every failure of the database
	Task       task.ID
	Job        task.JobID
	Key        string
	Reason     task.Reason
	Cause      string // in words, without secrets
	Code       string // the store's own error code
	Attempts   int
	AcceptedAt time.Time
	FirstAt    time.Time // when the record failed first
	LastAt     time.Time
	Size       int64
	// Open says that no later record of the key has ended: it may be retried, and
	// holds the watermarks back.
	Open bool
}

// FailureFilter selects failures; empty fields select all.
type FailureFilter struct {
	Job      task.JobID
	Reason   task.Reason
	Key      string
	OpenOnly bool
}

// JobFilter selects jobs of a project; empty fields select all.
type JobFilter struct {
	Task   task.ID
	Kind   task.JobKind
	Before task.JobID // the page after this job
	Limit  int        // 0: 100
}
