package queue

import (
	"context"
	"sync"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// CommitterConfig bounds a Committer. Zero values use the defaults.
type CommitterConfig struct {
	MaxWaitingKeys  int // default 100,000
	MaxWaitingBytes int // of keys; default 32 MiB
	MaxGroupKeys    int // keys of one transaction; default 4,000
}

// Committer is the group commit: batches that arrive while a transaction runs share
// the next one, so that many clients cost few fsyncs. It never lets a client wait
// behind a full queue.
type Committer struct {
	store GroupAcceptor
	cfg   CommitterConfig

	mu      sync.Mutex
	waiting []*waiting
	keys    int
	bytes   int
	running bool
	wake    chan struct{} // holds one token when there is something to take
}

var _ Acceptor = (*Committer)(nil)

// waiting is a batch between Accept and its commit. The committer owns answer until
// done is closed.
type waiting struct {
	batch  Batch
	bytes  int
	answer Answer
	done   chan struct{}
}

// NewCommitter returns a Committer that writes to store. It accepts once Run runs.
func NewCommitter(store GroupAcceptor, cfg CommitterConfig) *Committer {
	if cfg.MaxWaitingKeys == 0 {
		cfg.MaxWaitingKeys = 100_000
	}
	if cfg.MaxWaitingBytes == 0 {
		cfg.MaxWaitingBytes = 32 << 20
	}
	if cfg.MaxGroupKeys == 0 {
		cfg.MaxGroupKeys = 4_000
	}
	return &Committer{store: store, cfg: cfg, wake: make(chan struct{}, 1)}
}

// Accept implements Acceptor. When ctx ends first the batch may still be committed.
func (c *Committer) Accept(ctx context.Context, b Batch) (Receipt, error) {
	w := &waiting{batch: b, done: make(chan struct{})}
	if len(b.Entries) == 0 || len(b.Entries) > task.MaxBatchKeys {
		return Receipt{}, task.Errorf(task.Invalid, "a batch has 1 to %d keys, not %d", task.MaxBatchKeys, len(b.Entries))
	}
	for _, e := range b.Entries {
		if err := task.CheckKey(e.Key); err != nil {
			return Receipt{}, err
		}
		w.bytes += len(e.Key)
	}
	if err := c.join(w); err != nil {
		return Receipt{}, err
	}
	select {
	case <-w.done:
		return w.answer.Receipt, w.answer.Err
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
}

// join puts w in line, or refuses at once.
func (c *Committer) join(w *waiting) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.running:
		return errNotAccepting
	case c.keys+len(w.batch.Entries) > c.cfg.MaxWaitingKeys, c.bytes+w.bytes > c.cfg.MaxWaitingBytes:
		return errQueueFull
	}
	c.waiting = append(c.waiting, w)
	c.keys += len(w.batch.Entries)
	c.bytes += w.bytes
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

var (
	errNotAccepting = &task.Error{
		Kind: task.Unavailable, Code: "NOT_ACCEPTING",
		Text: "this node takes no events now", Next: "try again in a few seconds",
	}
	errQueueFull = &task.Error{
		Kind: task.Unavailable, Code: "QUEUE_FULL",
		Text: "too many events are waiting to be written", Next: "try again in a few seconds",
	}
)

// Waiting is how many keys are in line, for /metrics.
func (c *Committer) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keys
}

// Accepting says whether Run runs: before and after it batches are refused.
func (c *Committer) Accepting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// Run commits groups until ctx ends, then what is still in line.
func (c *Committer) Run(ctx context.Context) error {
	c.setRunning(true)
	// A group that was taken is committed whatever ends: its clients wait for it.
	finish := context.WithoutCancel(ctx)
	for ctx.Err() == nil {
		select {
		case <-c.wake:
			for ctx.Err() == nil && c.commitNext(finish) {
			}
		case <-ctx.Done():
		}
	}
	c.setRunning(false)
	for c.commitNext(finish) {
	}
	return nil
}

func (c *Committer) setRunning(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = on
}

// take removes the next group from the line: as many batches as fit, at least one.
func (c *Committer) take() []*waiting {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, keys := 0, 0
	for _, w := range c.waiting {
		if n > 0 && keys+len(w.batch.Entries) > c.cfg.MaxGroupKeys {
			break
		}
		n++
		keys += len(w.batch.Entries)
		c.bytes -= w.bytes
	}
	group := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	c.keys -= keys
	if len(c.waiting) == 0 {
		c.waiting = nil
	}
	return group
}

// commitNext commits the next group and says whether there was one.
func (c *Committer) commitNext(ctx context.Context) bool {
	group := c.take()
	if len(group) == 0 {
		return false
	}
	batches := make([]Batch, len(group))
	for i, w := range group {
		batches[i] = w.batch
	}
	answers := make([]Answer, len(group))
	err := c.store.AcceptGroup(ctx, batches, answers)
	for i, w := range group {
		if w.answer = answers[i]; err != nil {
			w.answer = Answer{Err: err}
		}
		close(w.done)
	}
	return true
}
