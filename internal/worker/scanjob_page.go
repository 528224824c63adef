package worker

import (
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// unheardAge is how old a source object must be before an event should have told of
// it: younger ones may be on their way.
const unheardAge = time.Minute

// page makes the queue's page of a batch.
func (c *comparison) page(b *Batch) queue.Page {
	page := queue.Page{
		After: b.After, Done: b.Done, Split: b.SplitAt, Unchanged: b.Unchanged,
		Source: b.SrcObjects, Destination: b.DstObjects,
	}
	if c.listUnchanged {
		page.Named = make([]queue.Ended, 0, b.Unchanged)
	}
	ahead, told := c.sourceAhead(b)
	if told && c.job.SourceTime.IsZero() {
		page.SourceTime = c.job.StartedAt.Add(ahead)
	}
	old := time.Now().Add(ahead - unheardAge)
	for i := range b.Items {
		it := &b.Items[i]
		switch {
		case it.Verb == plan.Ignore && it.Reason == task.UpToDate:
			page.Named = append(page.Named, ended(it, it.Reason))
		case it.Verb == plan.Ignore:
			page.Ended = append(page.Ended, ended(it, it.Reason))
		case task.CheckKey(it.Key) != nil:
			page.Ended = append(page.Ended, ended(it, task.KeyNotRepresentable))
		case it.Verb == plan.Delete:
			// When the source lost the key nobody can say, so nobody says an event is missing.
			page.Delete = append(page.Delete, queue.Found{Key: it.Key, Known: known(it)})
		default:
			missed := c.hears && !it.Src.ModTime.IsZero() && it.Src.ModTime.Before(old)
			page.Enqueue = append(page.Enqueue, queue.Found{Key: it.Key, Known: known(it), Unheard: missed})
		}
	}
	return page
}

// sourceAhead is how far the source's clock is ahead of ours: by this listing of it, or by
// one that the scan had before. Without either the clocks are taken for one.
func (c *comparison) sourceAhead(b *Batch) (ahead time.Duration, told bool) {
	switch {
	case b.SrcAhead != nil:
		return *b.SrcAhead, true
	case !c.job.SourceTime.IsZero():
		return c.job.SourceTime.Sub(c.job.StartedAt), true
	}
	return 0, false
}

func ended(it *plan.Item, reason task.Reason) queue.Ended {
	size := it.Src.Size
	if it.SrcAbsent {
		size = it.Dst.Size
	}
	return queue.Ended{Key: it.Key, Reason: reason, Rule: it.Rule, Size: size}
}

func known(it *plan.Item) queue.Known {
	return queue.Known{Verb: it.Verb, Rule: it.Rule, Src: side(&it.Src, it.SrcAbsent), Dst: side(&it.Dst, it.DstAbsent)}
}

func side(o *objstore.Object, absent bool) queue.Side {
	if absent {
		return queue.Side{Listed: true, Absent: true}
	}
	return queue.Side{Listed: true, Size: o.Size, ETag: o.ETag, ModTime: o.ModTime}
}
