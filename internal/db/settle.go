package db

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// settle applies settlements of one lane, as a transaction's only ones; that the caller
// may do so is its own affair.
func settle(ctx context.Context, t *txn, l laneNum, done []queue.Settlement) error {
	w := newSettling(t)
	if _, err := w.settle(ctx, l, done); err != nil {
		return err
	}
	return w.flush(ctx)
}

// settling is what one transaction settles, of several lanes. Counters and list lines are
// written once, at its end.
type settling struct {
	t     *txn
	now   time.Time
	tally *tally
	lines lines

	lane   laneNum           // the one being settled
	failed map[int64]failure // by seq: the records of which its records are new attempts
}

func newSettling(t *txn) *settling {
	return &settling{t: t, now: t.s.now(), tally: newTally(t.e), lines: lines{}}
}

// flush writes what was counted and listed.
func (w *settling) flush(ctx context.Context) error {
	if err := w.tally.flush(ctx, w.t); err != nil {
		return err
	}
	return w.lines.flush(ctx, w.t, w.now.UnixMicro())
}

// settle applies settlements of one lane.
func (w *settling) settle(ctx context.Context, l laneNum, done []queue.Settlement) (out queue.Settled, err error) {
	w.lane, w.failed = l, nil
	sorted := make([]*queue.Settlement, len(done))
	for i := range done {
		sorted[i] = &done[i]
	}
	slices.SortFunc(sorted, func(a, b *queue.Settlement) int { return cmp.Compare(a.Record.Key, b.Record.Key) })
	ended, gone := make([]*queue.Settlement, 0, len(done)), make([]removal, 0, len(done))
	var again []removal
	var later []delay
	for _, d := range sorted {
		r := removal{l, d.Record.Key, d.Record.Seq, d.Record.JobNum, d.Record.AcceptedAt.UnixMicro()}
		if d.Outcome == task.Pending {
			again = append(again, r)
			later = append(later, delay{d.NextAt.UnixMicro(), d.Reason, micros(d.RestoringAt), bit(d.Reason != task.SourceRestoring)})
			continue
		}
		gone, ended = append(gone, r), append(ended, d)
	}
	removed, err := w.t.e.remove(ctx, w.t, gone)
	if err != nil {
		return out, err
	}
	postponed, err := w.t.e.postpone(ctx, w.t, again, later)
	if err != nil {
		return out, err
	}
	here := ended[:0]
	for i, ok := range removed {
		if ok {
			here = append(here, ended[i])
		}
	}
	for _, ok := range postponed {
		if ok {
			out.Rescheduled++
		}
	}
	out.Ended = len(here)
	out.Moved = len(done) - out.Ended - out.Rescheduled
	return out, w.record(ctx, here)
}

// record records the ends of records whose rows this transaction has deleted.
func (w *settling) record(ctx context.Context, ended []*queue.Settlement) error {
	if len(ended) == 0 {
		return nil
	}
	if err := w.loadAttempts(ctx, ended); err != nil {
		return err
	}
	if err := w.closeFailures(ctx, ended); err != nil {
		return err
	}
	var fresh [][]any
	for _, d := range ended {
		if d.Record.RetryNum != 0 {
			if err := w.attempt(ctx, d); err != nil {
				return err
			}
			continue
		}
		a := w.account(d.Record)
		w.count(a, d)
		w.line(a, d)
		if d.Outcome == task.Failed {
			fresh = append(fresh, w.failureArgs(d))
		}
	}
	return w.t.many(ctx, insertFailure, fresh)
}

func (w *settling) account(r queue.Record) account {
	return accountOf(w.lane, r.Class, r.JobNum, r.AcceptedAt.UnixMicro())
}

// at is when the work on d ended.
func (w *settling) at(d *queue.Settlement) time.Time {
	if d.At.IsZero() {
		return w.now
	}
	return d.At
}

// count adds one outcome.
func (w *settling) count(a account, d *queue.Settlement) {
	countOutcome(w.tally.at(a), d)
	w.tally.reason(a, d.Outcome, d.Reason, 1)
}

func countOutcome(c *counts, d *queue.Settlement) {
	switch d.Outcome {
	case task.Synced:
		c.Synced++
		c.Bytes += d.Size
		c.Missed += bit(d.Record.Missed)
		c.Deleted += bit(d.Reason == task.Deleted)
	case task.Failed:
		c.Failed++
	case task.Ignored:
		c.Ignored++
		c.Flagged += bit(d.Reason == task.UpToDateButDifferent)
	}
}

// line adds the list line of one outcome.
func (w *settling) line(a account, d *queue.Settlement) {
	k := listNum{task: a.task, job: a.job}
	switch d.Outcome {
	case task.Synced:
		k.kind = queue.ListSynced
		w.lines.add(k, history.SyncedLine{At: w.at(d), Key: d.Record.Key, Size: d.Size, Deleted: d.Reason == task.Deleted}.Append)
	case task.Failed:
		if k.kind = queue.ListFailed; d.Unstarted {
			k.kind = queue.ListUnstarted
		}
		w.lines.add(k, history.FailedLine{
			Reason: d.Reason, Cause: clean(d.Cause), At: w.at(d), Key: d.Record.Key,
			Otherwise: d.Record.Known.Otherwise, StoreCode: clean(d.Code),
		}.Append)
	case task.Ignored:
		k.kind = queue.ListIgnored
		w.lines.add(k, history.IgnoredLine{At: w.at(d), Key: d.Record.Key, Size: d.Size, Reason: d.Reason, Rule: d.Rule}.Append)
	}
}

// clean makes text of strangers fit to be stored: UTF-8 without NUL, of bounded length.
func clean(s string) string {
	const longest = 1000
	if len(s) > longest {
		s = s[:longest]
	}
	return cleanWhole(s)
}

// cleanWhole is clean for text whose length was seen to by others.
func cleanWhole(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
