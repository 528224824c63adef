package worker

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// slice is what the keys of one slice of a lane share.
type slice struct {
	ends     *Ends
	plan     plan.Options
	patience Patience
	booker   *booker
	accept   queue.Acceptor
	source   sourceCheck
}

// maxLooks bounds how often a key is looked at afresh because the source changed
// its mind between two requests.
const maxLooks = 3

// end makes the destination match the source for one record and says how that
// ended. It may be repeated after a crash. ok is false when ctx ended first: then
// nothing is known.
func (s *slice) end(ctx context.Context, rec queue.Record) (d queue.Settlement, ok bool) {
	w := keyWork{slice: s, rec: rec}
	w.run(ctx)
	if w.err != nil && s.ends.Task.Options.Restore && archivedAtSource(w.err) {
		w.restore(ctx)
	}
	if ctx.Err() != nil && (w.err != nil || w.d.Outcome == task.Pending) {
		return d, false
	}
	w.d.Record, w.d.At = rec, time.Now()
	switch {
	case w.again:
		w.d.Outcome, w.d.NextAt = task.Pending, w.d.At.Add(s.patience.wait(rec.Attempts, nil))
	case w.err != nil:
		s.patience.failed(&w.d, w.err)
	}
	if w.d.Outcome == task.Pending && w.d.RestoringAt.IsZero() {
		w.d.RestoringAt = rec.RestoringAt
	}
	if s.ends.Task.Origin == task.OMS && w.d.Outcome == task.Failed {
		w.d.Code = history.OMSCode(w.d.Reason, w.d.Code)
	}
	return w.d, true
}

// keyWork is one record under way. Either d says how it ended, or err why it
// failed, or again that nothing can be said now.
type keyWork struct {
	*slice
	rec   queue.Record
	d     queue.Settlement
	err   error
	again bool
}

func (w *keyWork) run(ctx context.Context) {
	switch known := &w.rec.Known; {
	case w.ends.Hides(w.rec.Key):
		w.ignore(task.Excluded, 0, 0)
	case known.Verb == plan.Delete && known.Src.Listed:
		if !w.plan.Deletes {
			w.ignore(task.GuardStopped, known.Rule, 0)
			return
		}
		w.remove(ctx)
	case known.Src.Listed && !known.Src.Absent:
		if refused, rule := w.plan.Filter.Refuses(w.rec.Key); refused {
			w.ignore(task.Excluded, rule, known.Src.Size)
			return
		}
		w.take(w.ends.copier.Do(ctx, w.known()), known.Src.Size)
	default:
		for looks := 1; w.look(ctx); looks++ {
			w.d = queue.Settlement{}
			if w.again = looks == maxLooks; w.again {
				return
			}
		}
	}
}

// remove does a delete that the guard has agreed to. The filter may leave the key alone
// since, and the source may have been emptied: then it would confirm every one of them.
func (w *keyWork) remove(ctx context.Context) {
	it := w.known()
	if verdict := plan.Decide(nil, &it.Dst, &w.plan); verdict.Verb != plan.Delete {
		w.ignore(task.Excluded, verdict.Rule, it.Dst.Size)
		return
	}
	switch holds, err := w.source.look(ctx, w.ends.Src, time.Time{}); {
	case err != nil:
		w.err = atSource(err)
	case !holds:
		w.ignore(task.GuardStopped, w.rec.Known.Rule, 0)
	default:
		w.take(w.ends.copier.Remove(ctx, []plan.Item{it})[0], 0)
	}
}

// known is the item that a scan found. What it says is pinned or asked again before
// anything is written.
func (w *keyWork) known() plan.Item {
	k := &w.rec.Known
	it := plan.Item{
		Key: w.rec.Key, Decision: plan.Decision{Verb: k.Verb, Rule: k.Rule},
		SrcAbsent: k.Src.Absent, DstAbsent: !k.Dst.Listed || k.Dst.Absent,
	}
	if !it.SrcAbsent {
		it.Src = object(w.rec.Key, &k.Src)
	}
	if !it.DstAbsent {
		it.Dst = object(w.rec.Key, &k.Dst)
	}
	return it
}

func object(key string, s *queue.Side) objstore.Object {
	return objstore.Object{Key: key, Size: s.Size, ETag: s.ETag, ModTime: s.ModTime}
}

// look asks both sides about the key, decides, and acts. It reports whether to look
// again because the source has changed meanwhile.
func (w *keyWork) look(ctx context.Context) (again bool) {
	var dst *objstore.Info
	var dstErr error
	if w.needsDestination() {
		dst, dstErr = stat(ctx, w.ends.Dst, w.rec.Key)
	}
	absent := dst == nil && (dstErr == nil || errors.Is(dstErr, objstore.ErrNotFound))
	src, content, srcErr := w.lookAtSource(ctx, absent)
	if content != nil {
		defer content.Body.Close()
	}
	switch {
	case errors.Is(srcErr, objstore.ErrNotFound):
		return w.gone(ctx, srcErr, dst, dstErr)
	case srcErr != nil:
		w.err = atSource(srcErr)
		return false
	case dstErr != nil && !errors.Is(dstErr, objstore.ErrNotFound):
		w.d.Size, w.err = src.Size, atDestination(dstErr)
		return false
	}
	return w.present(ctx, src, dst, content)
}

// lookAtSource asks what the source holds. Where it is to be copied whatever that is, it
// is opened at once, which saves the question.
func (w *keyWork) lookAtSource(ctx context.Context, copied bool) (*objstore.Info, *objstore.Content, error) {
	if !copied || !w.ends.copier.Streams() || !w.plan.Filter.Takes(w.rec.Key) {
		info, err := stat(ctx, w.ends.Src, w.rec.Key)
		return info, nil, err
	}
	content, err := w.ends.Src.Open(ctx, w.rec.Key, objstore.OpenOptions{})
	if err != nil {
		return nil, nil, err
	}
	return &content.Info, content, nil
}

// needsDestination: where neither the comparison nor the condition of a write asks
// for the destination's state, nobody does.
func (w *keyWork) needsDestination() bool {
	return w.plan.Mode != plan.ModeAlways || w.plan.Deletes ||
		w.ends.Dst.Capabilities().Conditional != objstore.ConditionalNone
}

func stat(ctx context.Context, b objstore.Bucket, key string) (*objstore.Info, error) {
	info, err := b.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	return &info, nil
}

// present decides and acts on a key that the source holds; content is not nil where it is
// open.
func (w *keyWork) present(ctx context.Context, src, dst *objstore.Info, content *objstore.Content) (gone bool) {
	opt := w.plan
	opt.Changed = w.rec.Class == queue.ByEvent
	opt.SrcETagMD5 = opt.SrcETagMD5 && !src.OpaqueETag
	it := plan.Item{Key: w.rec.Key, Src: src.Object, DstAbsent: true}
	var old *objstore.Object
	if dst != nil {
		opt.DstETagMD5 = opt.DstETagMD5 && !dst.OpaqueETag
		it.Dst, it.DstAbsent, old = dst.Object, false, &dst.Object
	}
	it.Decision = plan.Decide(&src.Object, old, &opt)
	if it.Verb == plan.Ignore && w.mends(it.Reason, dst) {
		it.Verb = plan.Copy
	}
	if it.Verb == plan.Ignore {
		w.ignore(it.Reason, it.Rule, src.Size)
		return false
	}
	if it.Verb == plan.Copy && content != nil {
		w.take(w.ends.copier.CopyOpen(ctx, it, content), src.Size)
	} else {
		w.take(w.ends.copier.Do(ctx, it), src.Size)
	}
	return w.err == nil && w.d.Reason == task.SourceGone
}

// mends reports whether an object that the comparison leaves alone is copied all the same:
// it is not encrypted as it should be, or the last attempt at this very record made it
// and it failed the check.
func (w *keyWork) mends(reason task.Reason, dst *objstore.Info) bool {
	switch reason {
	case task.UpToDate, task.UpToDateButDifferent:
		return !w.ends.copier.Encrypted(dst) || w.rec.Reason == task.DestinationInconsistent
	case task.DestinationExists:
		return w.rec.Reason == task.DestinationInconsistent
	}
	return false
}

// gone ends a key that the source does not hold (any more). It reports whether the
// source held it after all.
func (w *keyWork) gone(ctx context.Context, cause error, dst *objstore.Info, dstErr error) (back bool) {
	holds, seen := false, time.Now()
	if objstore.Unconfirmed(cause) || w.plan.Deletes {
		var err error
		if holds, err = w.source.look(ctx, w.ends.Src, time.Time{}); err != nil {
			w.err = atSource(err)
			return false
		}
	}
	switch {
	case w.otherwise(ctx):
		return false
	case !w.plan.Deletes:
		w.sourceGone()
		return false
	case errors.Is(dstErr, objstore.ErrNotFound):
		w.ignore(task.SourceGone, 0, 0)
		return false
	case dstErr != nil:
		w.err = atDestination(dstErr)
		return false
	}
	verdict := plan.Decide(nil, &dst.Object, &w.plan)
	switch {
	case verdict.Verb != plan.Delete:
		w.ignore(task.Excluded, verdict.Rule, dst.Size)
		return false
	case !holds || !w.booked(ctx) || !w.stillHolds(ctx, seen):
		if w.err == nil && !w.again {
			w.ignore(task.GuardStopped, verdict.Rule, dst.Size)
		}
		return false
	}
	it := plan.Item{Key: w.rec.Key, Decision: verdict, Dst: dst.Object, SrcAbsent: true}
	w.take(w.ends.copier.Remove(ctx, []plan.Item{it})[0], dst.Size)
	return w.err == nil && w.d.Reason == task.DeleteSuperseded
}

// booked asks for a delete within the hour's limit.
func (w *keyWork) booked(ctx context.Context) bool {
	granted, err := w.booker.book(ctx, hourLimit(w.plan.Guard))
	w.again = err != nil
	return granted && err == nil
}

// stillHolds looks whether the source holds anything since its key was seen gone: it may
// have been emptied just before, and a booking may have taken long.
func (w *keyWork) stillHolds(ctx context.Context, seen time.Time) bool {
	holds, err := w.source.look(ctx, w.ends.Src, seen)
	if err != nil {
		w.err = atSource(err)
	}
	return holds && err == nil
}

// take records how a transfer ended; size is that of the object where it did not
// reach the destination.
func (w *keyWork) take(res transfer.Result, size int64) {
	w.d.Size = size
	switch res.Outcome {
	case task.Failed:
		if w.err = res.Err; errors.Is(res.Err, objstore.ErrNotFound) && sideOfError(res.Err) == transfer.Source {
			w.err = nil
			w.sourceGone()
		}
	case task.Synced:
		w.d.Outcome, w.d.Reason, w.d.Size = res.Outcome, res.Reason, res.Size
	default:
		if res.Reason == task.SourceGone {
			w.sourceGone()
			return
		}
		w.d.Outcome, w.d.Reason, w.d.Rule = task.Ignored, res.Reason, w.rec.Known.Rule
	}
}

func sideOfError(err error) transfer.Side {
	if side, ok := errors.AsType[*transfer.SideError](err); ok {
		return side.Side
	}
	return transfer.Destination
}

// sourceGone ends the key as the task says for those that the source does not hold.
func (w *keyWork) sourceGone() {
	w.d.Outcome, w.d.Reason = task.Ignored, task.SourceGone
	if w.rec.Class.Named() && w.ends.Task.Options.GoneIsFailed {
		w.d.Outcome, w.d.Cause = task.Failed, "the source does not hold the key"
	}
}

func (w *keyWork) ignore(reason task.Reason, rule int, size int64) {
	w.d = queue.Settlement{Outcome: task.Ignored, Reason: reason, Rule: rule, Size: size}
}
