package worker

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// RefusedError says that one end of a task cannot be opened.
type RefusedError struct {
	Task task.Task
	err  error
}

// Refused is what Stores.Open answers when a bucket of a task cannot be opened.
func Refused(k task.Task, at transfer.Side, err error) error {
	return &RefusedError{k, &transfer.SideError{Side: at, Err: err}}
}

func (e *RefusedError) Error() string { return e.err.Error() }
func (e *RefusedError) Unwrap() error { return e.err }

// endRefused ends waiting events of an OMS task failed when a store has refused the task
// for long: its keys were revoked, or a bucket is gone. It reports whether it ended any.
// A store that merely does not answer is waited for.
func (l *lane) endRefused(ctx context.Context, cause error) bool {
	refused, ok := errors.AsType[*RefusedError](cause)
	if !ok || refused.Task.Origin != task.OMS || refused.Task.State != task.Active || !refuses(cause) {
		l.refused = time.Time{}
		return false
	}
	now := time.Now()
	if l.refused.IsZero() {
		l.refused = now
	}
	if now.Sub(l.refused) < l.r.cfg.Refused || !l.quiet() {
		return false
	}
	got, err := l.r.cfg.Queue.Slice(ctx, l.lease.LaneID, maxSlice, nil)
	if err != nil {
		return false // the taker meets it again
	}
	reason, _ := Classify(cause)
	ended := false
	for _, rec := range got.Records {
		if !rec.Class.Named() {
			continue
		}
		l.mu.Lock()
		l.busy[rec.Key] = struct{}{}
		l.mu.Unlock()
		ended = true
		l.finish(queue.Settlement{
			Record: rec, Outcome: task.Failed, Reason: reason, Cause: "no work could begin: " + cause.Error(),
			Code: history.OMSCode(reason, storeCode(cause)), At: now, Unstarted: true,
		}, true)
	}
	return ended
}

// refuses says whether an error is a store's word about the task and no passing trouble.
func refuses(err error) bool {
	return errors.Is(err, objstore.ErrBucketNotFound) || errors.Is(err, objstore.ErrCredentials) || errors.Is(err, objstore.ErrDenied)
}
