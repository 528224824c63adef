package worker

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// Patience is how often and how long a key is tried again. The zero value tries for
// five minutes or more.
type Patience struct {
	Attempts int           // of a key whose store is away; 0: 15
	Base     time.Duration // before the second attempt; 0: 2 s
	Max      time.Duration // between any two; 0: 1 min
	// Archived is how long a key waits in all for an archived object that was asked
	// back; 0: 3 min, and 15 min at most.
	Archived time.Duration
}

func (p Patience) withDefaults() Patience {
	if p.Attempts == 0 {
		p.Attempts = 15
	}
	if p.Base == 0 {
		p.Base = 2 * time.Second
	}
	if p.Max == 0 {
		p.Max = time.Minute
	}
	if p.Archived == 0 {
		p.Archived = 3 * time.Minute
	}
	p.Archived = min(p.Archived, 15*time.Minute)
	return p
}

// fewAttempts is for refusals that a person may mend within seconds, or that pass
// when somebody else stops writing.
const fewAttempts = 4

// attempts is how often a key is tried in all before the reason is final.
func (p Patience) attempts(err error, reason task.Reason, again bool) int {
	switch {
	case again,
		errors.Is(err, objstore.ErrCredentials), errors.Is(err, objstore.ErrClockSkew),
		errors.Is(err, objstore.ErrBucketNotFound), errors.Is(err, objstore.ErrFull):
		return p.Attempts
	}
	switch reason {
	case task.SourceDenied, task.DestinationDenied, task.SourceChanging, task.DestinationConflict, task.ChecksumMismatch, task.DestinationInconsistent:
		return min(fewAttempts, p.Attempts)
	}
	return 1
}

// wait is how long to leave a key after its attempt-th failure (from 0).
func (p Patience) wait(attempt int, err error) time.Duration {
	d := p.Max
	if attempt < 16 && p.Base<<attempt < p.Max {
		d = p.Base << attempt
	}
	return max(jittered(d), min(objstore.RetryAfter(err), p.Max))
}

// jittered is between half of d and d, so that keys which failed together do not
// come back together.
func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// failed records why the work on a key failed, and whether it is to be tried again.
func (p Patience) failed(d *queue.Settlement, err error) {
	reason, again := Classify(err)
	d.Reason, d.Cause, d.Code = reason, err.Error(), storeCode(err)
	d.Outcome = task.Failed
	if d.Record.Attempts+1 < p.attempts(err, reason, again) {
		d.Outcome = task.Pending
		d.NextAt = d.At.Add(p.wait(d.Record.Attempts, err))
	}
}

// storeCode is the store's own code of a failure, e.g. AccessDenied.
func storeCode(err error) string {
	if e, ok := errors.AsType[*objstore.Error](err); ok {
		return e.Code
	}
	return ""
}

func atSource(err error) error { return &transfer.SideError{Side: transfer.Source, Err: err} }

func atDestination(err error) error { return &transfer.SideError{Side: transfer.Destination, Err: err} }
