package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// maxRefusals is how often in a row a listing may be refused for a reason that
// does not pass by itself before the scan has failed.
const maxRefusals = 5

// commitError is a page that may or may not have been committed: the partition is
// given back, and read again from the database by who claims it next.
type commitError struct{ error }

func (e commitError) Unwrap() error { return e.error }

// compare compares a partition to its end, however often its stores are away in
// between. nil: it is done, or its scan has ended.
func (r *Scans) compare(ctx context.Context, p *queue.Partition) error {
	trouble := backoff{base: r.cfg.Backoff, most: 30 * time.Second}
	for {
		after := p.After
		err := r.compareOnce(ctx, p)
		var commit commitError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, queue.ErrStale), errors.Is(err, errIdle), errors.As(err, &commit):
			return err
		}
		if p.After != after {
			trouble.ok()
		}
		if why, final := scanFailure(err, trouble.failures+1); final {
			return r.fail(ctx, p, why)
		}
		r.cfg.Log.Warn("scan waits", "job", p.Job, "after", p.After, "err", err)
		if !r.wait(ctx, trouble.next()) {
			return context.Cause(ctx)
		}
	}
}

// scanFailure says in a sentence why a scan cannot go on, and whether that is final
// after so many failures in a row.
func scanFailure(err error, failures int) (why string, final bool) {
	if errors.Is(err, objstore.ErrUnsorted) {
		return "LISTING_UNSORTED: " + err.Error(), true
	}
	if kind := task.KindOf(err); kind != task.Internal { // the registry's word, or the database's
		return err.Error(), kind == task.NotFound || kind == task.Invalid && failures >= maxRefusals
	}
	reason, again := Classify(err)
	why = fmt.Sprintf("%s: %v", reason, err)
	return why, errors.Is(err, objstore.ErrBucketNotFound) || !again && failures >= maxRefusals
}

// fail ends the whole scan.
func (r *Scans) fail(ctx context.Context, p *queue.Partition, why string) error {
	r.cfg.Log.Error("scan failed", "job", p.Job, "why", why)
	err := r.cfg.Jobs.EndJob(ctx, p.Job, task.JobFailed, why)
	if err != nil && task.KindOf(err) != task.Conflict { // it had ended already
		return commitError{err}
	}
	return nil
}

// compareOnce goes on with a partition where its last page ended.
func (r *Scans) compareOnce(ctx context.Context, p *queue.Partition) error {
	ends, err := r.open(ctx, p.Task)
	if err != nil {
		return err
	}
	job, err := r.cfg.Scans.Job(ctx, p.Job)
	if err != nil {
		return err
	}
	hears, err := r.cfg.Scans.HearsEvents(ctx, p.Job)
	if err != nil {
		return err
	}
	c := comparison{scans: r, part: p, job: job, hears: hears, listUnchanged: ends.Task.Options.ListUnchanged}
	cfg := ScanConfig{
		Src: ends.Src, Dst: ends.Dst, Plan: ends.Plan(job.StartedAt), Emit: c.emit,
		ListIgnored: true, ListUnchanged: c.listUnchanged, MaxPartitions: defaultMaxPartitions,
		Busy: func() bool { return c.full || r.room() <= 0 },
	}
	return c.run(ctx, &cfg)
}

// open returns the ends of a task that works; errIdle otherwise.
func (r *Scans) open(ctx context.Context, id task.ID) (*Ends, error) {
	ends, err := r.cfg.Stores.Open(ctx, id)
	if err == nil && ends.Task.State != task.Active {
		err = errIdle
	}
	return ends, err
}

// comparison is a partition being compared. Its fields are used by the goroutine
// that runs the partition.
type comparison struct {
	scans         *Scans
	part          *queue.Partition
	job           task.Job
	hears         bool // events should have told of what is found
	listUnchanged bool
	full          bool // the queue held up the last page
}

// run compares, and splits while the stores are slow and this node has room for
// more partitions. Where a Scan runs what it splits off, here somebody claims it.
func (c *comparison) run(ctx context.Context, cfg *ScanConfig) error {
	scan := &Scan{cfg: *cfg, group: new(errgroup.Group), slots: 1, started: 1}
	if c.part.After != "" || c.part.Until != "" {
		scan.started = 2 // it comes of a split, or has come a long way
	}
	split, end := scan.splitWhileWaiting()
	err := RunPartition(ctx, cfg, Partition{After: c.part.After, Until: c.part.Until}, split)
	end()
	_ = scan.group.Wait() // searches report through split
	return err
}

// emit commits a page, and waits while the queue is full.
func (c *comparison) emit(ctx context.Context, b Batch) error {
	page := c.page(&b)
	room, began := backoff{base: 100 * time.Millisecond, most: 2 * time.Second}, time.Now()
	for {
		err := c.scans.cfg.Partitions.CommitPage(ctx, c.part, page)
		if c.full = errors.Is(err, queue.ErrFull); !c.full {
			if err == nil && !page.SourceTime.IsZero() {
				c.job.SourceTime = page.SourceTime // once is enough
			}
			return c.committed(ctx, &b, err)
		}
		if !c.scans.await(ctx, room.next(), time.Since(began)) {
			return context.Cause(ctx)
		}
		if _, err := c.scans.open(ctx, c.part.Task); errors.Is(err, errIdle) {
			return err
		}
	}
}

// patientFor is how long a page that the queue has no room for keeps its partition's place:
// mostly lanes are quicker.
const patientFor = 10 * time.Second

// await waits for room in the queue; waited is how long it did so far.
func (r *Scans) await(ctx context.Context, d, waited time.Duration) (lives bool) {
	if waited < patientFor {
		return pause(ctx, d, nil)
	}
	return r.wait(ctx, d)
}

func (c *comparison) committed(ctx context.Context, b *Batch, err error) error {
	switch {
	case errors.Is(err, queue.ErrStale):
		return err
	case err != nil:
		return commitError{err}
	}
	if b.SplitAt != "" {
		poke(c.scans.claims)
	}
	if b.Done {
		return nil
	}
	if _, err := c.scans.open(ctx, c.part.Task); errors.Is(err, errIdle) {
		return err
	}
	return nil
}
