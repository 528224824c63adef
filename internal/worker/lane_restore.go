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
	since := w.rec.RestoringAt
	if since.IsZero() {
		since = time.Now()
		if err := w.ends.Src.Restore(ctx, w.rec.Key, restoreDays); err != nil {
			w.notRestored(err)
			return
		}
	}
	waited := time.Since(since)
	if waited >= w.patience.Archived {
		w.err = atSource(fmt.Errorf("%w, and was not restored within %v", objstore.ErrArchived, w.patience.Archived))
		return
	}
	w.err = nil
	w.d.Outcome, w.d.Reason = task.Pending, task.SourceRestoring
	w.d.NextAt, w.d.RestoringAt = time.Now().Add(restoreWait(waited, w.patience.Archived)), since
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
// short at first, minutes later, and never past the end.
func restoreWait(waited, total time.Duration) time.Duration {
	return min(max(waited/4, min(total/18, 10*time.Second)), 5*time.Minute, total-waited)
}
