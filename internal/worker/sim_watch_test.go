package worker

import (
	"bytes"
	"context"
	"io"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// ledger knows who may change what: it notes the last claim of every lane and
// partition, and that nobody with an earlier one has an effect. The simulation's
// world is locked around all it does.
type ledger struct {
	m     *simulation
	lanes map[queue.LaneID]int64
	parts map[int64]int64
}

func (l *ledger) claims(q queue.Lanes) queue.Lanes               { return ledgerLanes{q, l} }
func (l *ledger) partitions(q queue.Partitions) queue.Partitions { return ledgerPartitions{q, l} }

type ledgerLanes struct {
	queue.Lanes
	l *ledger
}

func (q ledgerLanes) ClaimLanes(ctx context.Context, node task.NodeID, limit int, lease time.Duration) ([]queue.Lane, error) {
	out, err := q.Lanes.ClaimLanes(ctx, node, limit, lease)
	for _, c := range out {
		q.l.lanes[c.LaneID] = c.Epoch
	}
	return out, err
}

func (q ledgerLanes) Settle(ctx context.Context, lane queue.Lane, done []queue.Settlement) (queue.Settled, error) {
	out, err := q.Lanes.Settle(ctx, lane, done)
	if now := q.l.lanes[lane.LaneID]; err == nil && out.Ended+out.Rescheduled > 0 && lane.Epoch != now {
		q.l.m.breaks("a lane of epoch %d settled %d records after epoch %d was claimed", lane.Epoch, out.Ended+out.Rescheduled, now)
	}
	return out, err
}

type ledgerPartitions struct {
	queue.Partitions
	l *ledger
}

func (q ledgerPartitions) ClaimPartitions(ctx context.Context, node task.NodeID, limit int, lease time.Duration) ([]queue.Partition, error) {
	out, err := q.Partitions.ClaimPartitions(ctx, node, limit, lease)
	for _, c := range out {
		q.l.parts[c.Num] = c.Epoch
	}
	return out, err
}

func (q ledgerPartitions) CommitPage(ctx context.Context, p *queue.Partition, page queue.Page) error {
	err := q.Partitions.CommitPage(ctx, p, page)
	if now := q.l.parts[p.Num]; err == nil && p.Epoch != now {
		q.l.m.breaks("a partition of epoch %d committed a page after epoch %d was claimed", p.Epoch, now)
	}
	return err
}

// watched is the destination: older never overwrites newer there, and nothing is
// deleted because the source is in a bad mood.
type watched struct {
	objstore.Bucket
	m *simulation

	mu   sync.Mutex
	seen map[string]int
}

func (w *watched) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return objstore.Written{}, &objstore.Error{Kind: objstore.ErrUnavailable, Op: "put", Key: key, Err: err}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	out, err := w.Bucket.Put(ctx, key, bytes.NewReader(data), int64(len(data)), opt)
	if now, ok := versionOf(key, string(data)); err == nil && ok {
		if old := w.seen[key]; now < old {
			w.m.breaks("%s went from version %d back to %d", key, old, now)
		}
		w.seen[key] = now
	}
	return out, err
}

func (w *watched) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	if w.m.source.hides(key) {
		w.m.breaks("%s was deleted because the source was %d", key, w.m.source.mood())
	}
	return w.Bucket.Delete(ctx, key, opt)
}

// versionOf reads what the simulation writes into its objects.
func versionOf(key, text string) (version int, ok bool) {
	number, of, ok := strings.Cut(text, " of ")
	version, err := strconv.Atoi(number)
	return version, ok && err == nil && of == key
}

// mood is what is wrong with a source.
type mood int

const (
	fine     mood = iota
	emptied       // it says that it holds nothing
	vanished      // the bucket is not there
	halfway       // its listings break off after a page
)

// moody is a source of short pages with moods.
type moody struct {
	objstore.Bucket

	mu    sync.Mutex
	now   mood
	since time.Time
	until time.Time
	held  map[string]bool // what it held when the mood began
}

func (b *moody) sulk(m mood, held map[string]bool, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now, b.held, b.since = m, held, time.Now()
	b.until = b.since.Add(d)
}

func (b *moody) mood() mood {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *moody) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now != fine && time.Now().After(b.until)
}

// hides says whether the mood alone makes a key look gone. What was under way when it
// began has passed.
func (b *moody) hides(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return (b.now == emptied || b.now == vanished) && b.held[key] && time.Since(b.since) > 10*time.Second
}

// refuse is the error of a request about a key, or about the bucket.
func (b *moody) refuse(op, key string) error {
	switch m := b.mood(); {
	case m == vanished:
		return &objstore.Error{Kind: objstore.ErrBucketNotFound, Op: op, Code: "NoSuchBucket", Status: 404}
	case m == emptied && key != "":
		return &objstore.Error{Kind: objstore.ErrNotFound, Op: op, Key: key, Code: "NoSuchKey", Status: 404}
	}
	return nil
}

const simPage = 12

func (b *moody) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	if opt.PageSize == 0 {
		opt.PageSize = simPage
	}
	return func(yield func(objstore.Page, error) bool) {
		n := 0
		for page, err := range b.Bucket.List(ctx, opt) {
			if refused := b.refuse("list", ""); refused != nil {
				yield(objstore.Page{}, refused)
				return
			}
			switch b.mood() {
			case emptied:
				yield(objstore.Page{}, nil)
				return
			case halfway:
				if n++; n > 1 {
					yield(objstore.Page{}, &objstore.Error{Kind: objstore.ErrDenied, Op: "list", Code: "AccessDenied", Status: 403})
					return
				}
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

func (b *moody) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if err := b.refuse("stat", key); err != nil {
		return objstore.Info{}, err
	}
	return b.Bucket.Stat(ctx, key)
}

func (b *moody) Open(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
	if err := b.refuse("open", key); err != nil {
		return nil, err
	}
	return b.Bucket.Open(ctx, key, opt)
}

func (b *moody) Probe(ctx context.Context) error {
	if err := b.refuse("probe", ""); err != nil {
		return err
	}
	return b.Bucket.Probe(ctx)
}
