package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// restoreDays is how long an object that was asked back stays readable.
const restoreDays = 3

func archivedAtSource(err error) bool {
	return errors.Is(err, objstore.ErrArchived) && sideOfError(err) == transfer.Source
}

// restore asks for the archived object of a key and has the key wait for it in the
// queue: it holds no slot and no memory meanwhile, and other keys of the lane go on. A
// key that has waited long enough fails; the store goes on restoring, so that a later
// attempt at the key finds the object.
func (w *keyWork) restore(ctx context.Context) {
	since := time.Now()
	if w.rec.Reason == task.SourceRestoring {
		since = waitingSince(w.rec.NextAt)
	} else if err := w.ends.Src.Restore(ctx, w.rec.Key, restoreDays); err != nil {
		w.notRestored(err)
		return
	}
	waited := time.Since(since)
	if waited >= w.patience.Archived {
		w.err = atSource(fmt.Errorf("%w, and was not restored within %v", objstore.ErrArchived, w.patience.Archived))
		return
	}
	w.err = nil
	w.d.Outcome, w.d.Reason = task.Pending, task.SourceRestoring
	w.d.NextAt = waitUntil(since, time.Now().Add(restoreWait(waited, w.patience.Archived)))
}

// notRestored sorts a refusal to restore: what is for good is the archive's.
func (w *keyWork) notRestored(err error) {
	switch {
	case errors.Is(err, objstore.ErrNotFound):
		w.err, w.again = nil, true // deleted just now
	case errors.Is(err, objstore.ErrUnsupported), errors.Is(err, objstore.ErrDenied),
		errors.Is(err, objstore.ErrInvalid), errors.Is(err, objstore.ErrArchived):
		w.err = atSource(fmt.Errorf("%w and cannot be restored: %w", objstore.ErrArchived, err))
	default:
		w.err = atSource(err)
	}
}

// restoreWait is how long to leave a key that has waited for so long, of so long in all:
// short at first, and never past the end.
func restoreWait(waited, total time.Duration) time.Duration {
	return min(max(waited/2, total/36), total/6, total-waited)
}

// A row of the queue has no column for the moment since when its key waits for a store,
// so the time it is next due at tells: it is a whole second, and the microseconds above
// it count the milliseconds that the key will have waited by that second. Both are kept
// over restarts and when a lane moves.

// waitUntil is the next due time of a key that waits since a moment, not before due.
func waitUntil(since, due time.Time) time.Time {
	whole := due.Truncate(time.Second).Add(time.Second)
	const most = int64(time.Second/time.Microsecond) - 1
	return whole.Add(time.Duration(min(whole.Sub(since).Milliseconds(), most)) * time.Microsecond)
}

// waitingSince is the moment that waitUntil was told.
func waitingSince(nextAt time.Time) time.Time {
	whole := nextAt.Truncate(time.Second)
	return whole.Add(-time.Duration(nextAt.Sub(whole).Microseconds()) * time.Millisecond)
}
