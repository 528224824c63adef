package worker

import (
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// batchBuilder collects the decisions of a batch.
type batchBuilder struct {
	Batch
	compared int                    // keys since the last batch, those left alone included
	list     func(task.Reason) bool // ignored keys that become items
	expect   int                    // items of the batch before
	text     []byte                 // of one item, reused
}

func newBatchBuilder(partition int, cfg *ScanConfig) batchBuilder {
	return batchBuilder{
		Batch: Batch{Partition: partition, Ignored: map[task.Reason]int64{}},
		list: func(reason task.Reason) bool {
			switch reason {
			case task.UpToDateButDifferent:
				return true
			case task.UpToDate:
				return cfg.ListUnchanged
			}
			return cfg.ListIgnored
		},
	}
}

// add counts one key and keeps it when it needs work or listing. It returns the key.
func (b *batchBuilder) add(src, dst *objstore.Object, d plan.Decision) (key string) {
	b.compared++
	if dst != nil {
		b.DstObjects++
		key = dst.Key
	}
	if src != nil {
		b.SrcObjects++
		key = src.Key
	}
	if d.Verb == plan.Leave {
		return key
	}
	b.Requested++
	if d.Verb == plan.Ignore {
		if d.Reason == task.UpToDate { // nearly all keys of most scans: no map
			b.Unchanged++
		} else {
			b.Ignored[d.Reason]++
		}
		if !b.list(d.Reason) {
			return key
		}
	}
	if b.Items == nil && b.expect > 0 {
		b.Items = make([]plan.Item, 0, b.expect)
	}
	b.Items = append(b.Items, b.item(src, dst, d))
	return key
}

// item copies what the listings say of a key. All its strings share one
// allocation of their own, so that an item which waits holds no page.
func (b *batchBuilder) item(src, dst *objstore.Object, d plan.Decision) plan.Item {
	it := plan.Item{Decision: d, SrcAbsent: src == nil, DstAbsent: dst == nil}
	if src != nil {
		it.Src, it.Key = *src, src.Key
	}
	if dst != nil {
		it.Dst, it.Key = *dst, dst.Key
	}
	b.text = append(b.text[:0], it.Key...)
	for _, s := range [...]string{it.Src.ETag, it.Src.Class, it.Dst.ETag, it.Dst.Class} {
		b.text = append(b.text, s...)
	}
	text := string(b.text)
	cut := func(s *string) {
		n := len(*s)
		*s, text = text[:n], text[n:]
	}
	cut(&it.Key)
	cut(&it.Src.ETag)
	cut(&it.Src.Class)
	cut(&it.Dst.ETag)
	cut(&it.Dst.Class)
	if src != nil {
		it.Src.Key = it.Key
	}
	if dst != nil {
		it.Dst.Key = it.Key
	}
	return it
}

// finish returns the batch as it is to be emitted.
func (b *batchBuilder) finish(after string) Batch {
	b.After = strings.Clone(after)
	if b.Unchanged > 0 {
		b.Ignored[task.UpToDate] = b.Unchanged
	}
	return b.Batch
}

// reset begins the next batch. Only the map is used again: the items belong to
// the receiver.
func (b *batchBuilder) reset() {
	clear(b.Ignored)
	b.expect, b.compared = len(b.Items), 0
	b.Batch = Batch{Partition: b.Partition, Ignored: b.Ignored}
}
