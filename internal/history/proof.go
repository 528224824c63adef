package history

import (
	"fmt"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Proof is a recount of a job or task from its rows, taken in one snapshot of the
// database, beside the counters that say the same.
type Proof struct {
	Counted task.Counts // the counters

	Waiting  int64 // rows pending
	Staged   int64 // deletes that wait for the guard
	Failures int64 // failed records kept
	// Unlisted is the part of ignored that no list names, because the task does not
	// list unchanged objects.
	Unlisted int64
	// Named is how many keys acceptances received by event or manifest.
	Named int64
	// Stored and Uploaded are list lines, in the outbox and in the destination.
	Stored, Uploaded map[queue.ListKind]int64
	// ByReason are the outcome counters by reason.
	ByReason map[task.Outcome]map[task.Reason]int64
	// Retired is what retention took away, and counted when it did.
	Retired Retired
	// Attempts says that the records belong to other jobs (kind retry): their
	// failures and list lines are counted there.
	Attempts bool
}

// Retired counts rows that were removed because of their age.
type Retired struct {
	Failures int64 // failed records
	Named    int64 // keys received, of intervals
	// Lines are of lists whose job is gone, and of lists that could not be uploaded.
	Lines map[queue.ListKind]int64
}

// Check reports the first equality that does not hold.
func (p Proof) Check() error {
	if err := p.Counted.Check(); err != nil {
		return err
	}
	c := p.Counted
	sums := []equality{{"pending", c.Pending(), "rows", p.Waiting + p.Staged}}
	if !p.Attempts {
		sums = append(sums,
			equality{"synced", c.Synced, "list lines", p.lines(queue.ListSynced)},
			equality{"failed", c.Failed, "list lines", p.lines(queue.ListFailed) + p.lines(queue.ListUnstarted) - p.lines(queue.ListRetried)},
			equality{"failed", c.Failed, "records", p.Failures + p.Retired.Failures},
			equality{"ignored", c.Ignored - p.Unlisted, "list lines", p.lines(queue.ListIgnored)},
			equality{"received", p.Named, "list lines", p.lines(queue.ListReceived)},
			equality{"synced", c.Synced, "reasons", total(p.ByReason[task.Synced])},
			equality{"failed", c.Failed, "reasons", total(p.ByReason[task.Failed])},
			equality{"ignored", c.Ignored, "reasons", total(p.ByReason[task.Ignored])},
		)
	}
	for _, s := range sums {
		if s.counted != s.recounted {
			return fmt.Errorf("%s: counted %d, %s say %d", s.what, s.counted, s.by, s.recounted)
		}
	}
	return nil
}

type equality struct {
	what      string
	counted   int64
	by        string
	recounted int64
}

func (p Proof) lines(k queue.ListKind) int64 { return p.Stored[k] + p.Uploaded[k] + p.Retired.Lines[k] }

func total(by map[task.Reason]int64) int64 {
	var n int64
	for _, c := range by {
		n += c
	}
	return n
}
