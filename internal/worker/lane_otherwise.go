package worker

import (
	"context"
	"errors"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// otherwise ends a record whose key the source does not hold by asking for its other
// key, when the source holds that one. The other key is a record of its own, in its own
// lane: nothing else may write to it. After a crash in between it is asked for twice,
// which counts one record more and changes nothing. It reports whether the record has
// ended so, or cannot be ended now.
func (w *keyWork) otherwise(ctx context.Context) bool {
	other := w.rec.Known.Otherwise
	if other == "" || w.accept == nil || !w.ends.Task.Options.FallbackLiteralPlus || w.ends.Hides(other) {
		return false
	}
	_, err := stat(ctx, w.ends.Src, other)
	if errors.Is(err, objstore.ErrNotFound) {
		return false
	}
	if err != nil {
		w.err = atSource(err)
		return true
	}
	if _, err := w.accept.Accept(ctx, queue.Batch{Task: w.ends.Task.ID, Entries: []queue.Entry{{Key: other}}}); err != nil {
		w.again = true // the task was stopped just now, or the database is busy
		return true
	}
	w.ignore(task.LiteralKey, 0, 0)
	return true
}
