package worker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// Partition is the key range (After, Until] of a scan. An empty After is the
// beginning, an empty Until the end.
type Partition struct {
	Number       int
	After, Until string
}

// Batch is what a stretch of a partition came to. The batches of a partition
// come in order, one at a time, and its items in ascending order of their keys.
type Batch struct {
	Partition int
	// After: everything of the partition up to and including this key is decided, by
	// this batch or earlier ones.
	After string
	// SplitAt, when not empty, ends the partition at that key from this batch on: the
	// keys past it, up to its former Until, are now a partition of their own.
	SplitAt string
	// Done: the partition has ended and all of it is decided. The batch may be empty.
	Done bool

	// Items are the keys that need work, those that are Ignored but flagged
	// UP_TO_DATE_BUT_DIFFERENT, and of the other ignored keys those that ScanConfig
	// wants listed. Deletes are to be staged until the guard agrees. Items and their strings
	// belong to the receiver and share no memory with a listing's pages.
	Items []plan.Item

	// Requested counts the keys compared: those of Items with work to do, and Ignored.
	Requested int64
	// Ignored counts ignored keys by reason. The map is valid until Emit returns.
	Ignored map[task.Reason]int64
	// Unchanged is the part of Ignored that was equal (UP_TO_DATE).
	Unchanged int64
	// SrcObjects and DstObjects count the objects listed. Without deletes the
	// destination is only read as far as the source goes.
	SrcObjects, DstObjects int64
	// SrcAhead is how far the source's clock is ahead of ours, a little less rather than
	// more; nil when the source does not say.
	SrcAhead *time.Duration
}

// batchKeys is the number of compared keys after which a batch ends although the
// source's page has not.
const batchKeys = 2000

// Position is how a partition stands when a batch is about to be emitted.
type Position struct {
	After, Until           string // what remains is (After, Until]
	First                  string // the first key the partition compared
	SrcObjects, DstObjects int64  // listed by the partition so far
	// SrcWait and DstWait are how long the store took for the latest page of each side.
	SrcWait, DstWait time.Duration
	// Work is the time since the last position that was not spent waiting for a page:
	// comparing, and Emit.
	Work time.Duration
}

// Splitter is asked at every batch but the last where the partition should end
// instead. It answers with a key between After and Until, both excluded, or with
// "" to go on. It must not block.
type Splitter func(context.Context, Position) string

// RunPartition compares the two buckets over a key range and emits what it
// finds. It reads one page ahead on each side, and no further while Emit blocks.
// nil means that the whole range, as split cut it, is decided and a batch with
// Done was emitted. On an error there is none: nothing past the last batch's
// After may be concluded. A listing's error is a *transfer.SideError. split may
// be nil.
func RunPartition(ctx context.Context, cfg *ScanConfig, p Partition, split Splitter) error {
	inner, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()

	opt := objstore.ListOptions{Prefix: cfg.Prefix, After: p.After, Until: p.Until, PageSize: cfg.PageSize, Unwanted: cfg.Plan.Filter.Unwanted}
	src, dst := newPages(cfg.Src, opt), newPages(cfg.Dst, opt)
	readers.Go(func() { src.read(inner) })
	readers.Go(func() { dst.read(inner) })

	r := partitionRun{
		cfg: cfg, part: p, split: split, src: src, dst: dst, last: p.After, since: time.Now(),
		batch: newBatchBuilder(p.Number, cfg),
		merge: plan.NewMerge(src.nextFor(inner), dst.nextFor(inner), plan.MergeOptions{
			After: p.After, Until: p.Until, StopWithSource: !cfg.Plan.Deletes,
		}),
	}
	err := r.run(inner)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return sideError(err)
}

// partitionRun is a partition under way.
type partitionRun struct {
	cfg      *ScanConfig
	part     Partition
	split    Splitter
	src, dst *pages
	merge    *plan.Merge
	batch    batchBuilder
	first    string // the least key compared
	last     string // the greatest one

	srcObjects, dstObjects int64
	since                  time.Time     // of the last position
	waited                 time.Duration // for pages, at the last position
}

func (r *partitionRun) run(ctx context.Context) error {
	for {
		if r.batch.compared > 0 && (r.batch.compared >= batchKeys || r.merge.SourcePageDone()) {
			if err := r.emit(ctx); err != nil {
				return err
			}
		}
		src, dst, ok := r.merge.Next()
		if !ok {
			break
		}
		r.last = r.batch.add(src, dst, plan.Decide(src, dst, &r.cfg.Plan))
		if r.first == "" {
			r.first = strings.Clone(r.last)
		}
	}
	if err := r.merge.Err(); err != nil {
		return err
	}
	if r.part.Until != "" {
		r.last = r.part.Until
	}
	r.batch.Done = true
	return r.cfg.Emit(ctx, r.finish())
}

// emit hands over the batch, and ends the partition sooner when it is split.
func (r *partitionRun) emit(ctx context.Context) error {
	r.srcObjects += r.batch.SrcObjects
	r.dstObjects += r.batch.DstObjects
	if r.split != nil {
		r.batch.SplitAt = r.split(ctx, r.position())
	}
	if err := r.cfg.Emit(ctx, r.finish()); err != nil {
		return err
	}
	if at := r.batch.SplitAt; at != "" {
		r.part.Until = at
		r.merge.Limit(at)
	}
	r.batch.reset()
	return nil
}

func (r *partitionRun) finish() Batch {
	r.batch.SrcAhead = r.src.ahead
	return r.batch.finish(r.last)
}

func (r *partitionRun) position() Position {
	now, waited := time.Now(), r.src.waited+r.dst.waited
	pos := Position{
		After: r.last, Until: r.part.Until, First: r.first, SrcObjects: r.srcObjects, DstObjects: r.dstObjects,
		SrcWait: r.src.wait, DstWait: r.dst.wait,
		Work: now.Sub(r.since) - (waited - r.waited),
	}
	r.since, r.waited = now, waited
	return pos
}

// sideError names the side of a listing's error as transfers do.
func sideError(err error) error {
	var listing *plan.ListingError
	if !errors.As(err, &listing) {
		return err
	}
	if listing.AtSource {
		return &transfer.SideError{Side: transfer.Source, Err: listing.Err}
	}
	return &transfer.SideError{Side: transfer.Destination, Err: listing.Err}
}
