package limit

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Plan says how many bytes a second may be read at a time, 0 for any number, and until
// when that holds.
type Plan func(now time.Time) (bytesPerSecond int64, until time.Time)

// Pace bounds the bytes a second read from buckets by a plan. It may be changed while
// bodies are read: who waits goes on by the new plan at once.
type Pace struct {
	planned atomic.Bool // whether there is a plan: without one a read costs nothing

	mu      sync.Mutex
	plan    Plan
	rate    int64 // bytes a second; 0: any number
	until   time.Time
	tokens  float64
	at      time.Time     // when tokens were counted
	open    int           // bodies
	changed chan struct{} // closed when the plan changes, or a body is closed that others wait for
}

// NewPace returns a Pace without a plan.
func NewPace() *Pace { return &Pace{changed: make(chan struct{})} }

// Set takes a plan in the place of the one before; nil: no limit.
func (p *Pace) Set(plan Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.rate, p.until, p.tokens = plan, 0, time.Time{}, 0 // by a new plan nothing is owed
	p.planned.Store(plan != nil)
	p.tell()
}

// tell wakes who waits. mu is held.
func (p *Pace) tell() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Wrap returns b with the bodies of its objects read at the pace. Copies inside a service
// read no bodies, and are not held back.
func (p *Pace) Wrap(b objstore.Bucket) objstore.Bucket { return &paced{Bucket: b, pace: p} }

// slices of a second: a read takes so little at once that a change is felt soon.
const slicesPerSecond = 10

// chunk is how much to read at once; 0: any number.
func (p *Pace) chunk() int64 {
	if !p.planned.Load() {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refresh(time.Now())
	if p.rate == 0 {
		return 0
	}
	return max(1, p.rate/slicesPerSecond)
}

// refresh asks the plan when its word holds no longer, and counts the tokens that came. A
// second's slice of them is saved up at most.
func (p *Pace) refresh(now time.Time) {
	if p.plan == nil {
		p.rate = 0
		return
	}
	if p.rate > 0 {
		p.tokens = min(float64(max(1, p.rate/slicesPerSecond)), p.tokens+float64(p.rate)*now.Sub(p.at).Seconds())
	}
	p.at = now
	if !now.Before(p.until) {
		rate, until := p.plan(now)
		if rate != p.rate {
			p.tokens = 0
		}
		p.rate, p.until = rate, until
	}
}

// pay waits until n bytes that were read are within the pace.
func (p *Pace) pay(ctx context.Context, n int) error {
	p.mu.Lock()
	p.refresh(time.Now())
	rate := p.rate
	p.tokens -= float64(n)
	for p.rate > 0 && p.rate == rate && p.tokens < 0 {
		wait := time.Duration(-p.tokens / float64(p.rate) * float64(time.Second))
		wait = max(time.Millisecond, min(wait, p.until.Sub(p.at)))
		changed := p.changed
		p.mu.Unlock()
		if err := sleep(ctx, wait, changed); err != nil {
			return err
		}
		p.mu.Lock()
		p.refresh(time.Now())
	}
	p.mu.Unlock()
	return nil
}

// Open bodies hold places at the store that other tasks want too: a task that is held back
// gets few, and more the faster it may be, so that small objects reach the rate.
const (
	leastOpen = 4
	mostOpen  = 32
	openRate  = 256 << 10
)

// enter waits until one more body may be open.
func (p *Pace) enter(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		p.refresh(time.Now())
		if p.rate == 0 || int64(p.open) < max(leastOpen, min(mostOpen, p.rate/openRate)) {
			p.open++
			return nil
		}
		wait, changed := max(time.Millisecond, p.until.Sub(p.at)), p.changed
		p.mu.Unlock()
		err := sleep(ctx, wait, changed)
		p.mu.Lock()
		if err != nil {
			return err
		}
	}
}

func (p *Pace) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	if p.plan != nil {
		p.tell()
	}
}

// sleep waits for a while, or less when wake is closed.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

type paced struct {
	objstore.Bucket
	pace *Pace
}

func (b *paced) Open(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
	if err := b.pace.enter(ctx); err != nil {
		return nil, err
	}
	c, err := b.Bucket.Open(ctx, key, opt)
	if err != nil {
		b.pace.leave()
		return nil, err
	}
	c.Body = &pacedBody{ReadCloser: c.Body, ctx: ctx, pace: b.pace}
	return c, nil
}

type pacedBody struct {
	io.ReadCloser
	ctx  context.Context //nolint:containedctx // an io.Reader has no other way to be cancelled while it waits
	pace *Pace
	once sync.Once
}

func (b *pacedBody) Close() error {
	b.once.Do(b.pace.leave)
	return b.ReadCloser.Close()
}

func (b *pacedBody) Read(p []byte) (int, error) {
	chunk := b.pace.chunk()
	if chunk == 0 {
		return b.ReadCloser.Read(p)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), chunk)])
	if n > 0 {
		if werr := b.pace.pay(b.ctx, n); werr != nil {
			return n, werr
		}
	}
	return n, err
}
