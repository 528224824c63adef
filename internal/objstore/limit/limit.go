// Package limit keeps a bucket's traffic within bounds: requests at a time
// (adaptive), requests per second, bytes per second.
package limit

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"golang.org/x/time/rate"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Config bounds one endpoint. The zero value adapts concurrency and limits nothing else.
type Config struct {
	// Fixed, when set, is the number of requests in flight, reads and writes
	// counted apart; otherwise it adapts between Min and Max, beginning at Start.
	Fixed           int
	Start, Min, Max int // 0 means 48, 4, 128

	RequestsPerSec float64       // 0: no limit
	Bytes          *rate.Limiter // bytes per second of object bodies read; nil: no limit; may be shared
}

// Endpoint holds the bounds that the buckets of one endpoint share.
type Endpoint struct {
	// Reads and writes have gates of their own: a copy holds a read slot while it
	// waits for a write slot, which one gate for both would turn into a deadlock.
	reads, writes *gate
	requests      *rate.Limiter
	bytes         *rate.Limiter
}

// New returns an endpoint's bounds.
func New(cfg Config) *Endpoint {
	start, lowest, most := or(cfg.Start, 48), or(cfg.Min, 4), or(cfg.Max, 128)
	if cfg.Fixed > 0 {
		start, lowest, most = cfg.Fixed, cfg.Fixed, cfg.Fixed
	}
	e := &Endpoint{reads: newGate(start, lowest, most), writes: newGate(start, lowest, most), bytes: cfg.Bytes}
	if cfg.RequestsPerSec > 0 {
		e.requests = rate.NewLimiter(rate.Limit(cfg.RequestsPerSec), max(1, int(cfg.RequestsPerSec/10)))
	}
	return e
}

func or(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

// Concurrency returns the writes allowed and under way now.
func (e *Endpoint) Concurrency() (limit, inFlight int) { return e.writes.now() }

// Wrap returns b within the endpoint's bounds.
func (e *Endpoint) Wrap(b objstore.Bucket) objstore.Bucket { return &bucket{Bucket: b, e: e} }

type bucket struct {
	objstore.Bucket
	e *Endpoint
}

func throttled(err error) bool { return errors.Is(err, objstore.ErrThrottled) }

func (e *Endpoint) wait(ctx context.Context) error {
	if e.requests == nil {
		return nil
	}
	return ended(ctx, e.requests.Wait(ctx))
}

// ended names why waiting for tokens was given up: the context's end, or that it
// would end before the tokens came.
func ended(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return context.DeadlineExceeded
}

// within runs f in a slot of g. Latency teaches the gate only when timed is set:
// how long a large body takes says little about the store.
func (e *Endpoint) within(ctx context.Context, g *gate, timed bool, f func() error) error {
	if err := e.wait(ctx); err != nil {
		return err
	}
	if err := g.acquire(ctx); err != nil {
		return err
	}
	start := time.Now()
	err := f()
	now := time.Now()
	took := now.Sub(start)
	if !timed {
		took = 0
	}
	g.release(now, took, err)
	return err
}

// List takes request tokens but no slot: how many listings run is the scan's choice.
func (b *bucket) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	if b.e.requests == nil {
		return b.Bucket.List(ctx, opt)
	}
	return func(yield func(objstore.Page, error) bool) {
		if err := b.e.wait(ctx); err != nil {
			yield(objstore.Page{}, err)
			return
		}
		for page, err := range b.Bucket.List(ctx, opt) {
			if !yield(page, err) {
				return
			}
			if err := b.e.wait(ctx); err != nil {
				yield(objstore.Page{}, err)
				return
			}
		}
	}
}

func (b *bucket) Stat(ctx context.Context, key string) (info objstore.Info, err error) {
	err = b.e.within(ctx, b.e.reads, true, func() error {
		info, err = b.Bucket.Stat(ctx, key)
		return err
	})
	return info, err
}

// Open holds its slot until the body is closed.
func (b *bucket) Open(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
	return b.e.Open(ctx, func() (*objstore.Content, error) { return b.Bucket.Open(ctx, key, opt) })
}

// Open opens what is read from the endpoint by other means than a bucket of it. The slot
// is held until the body is closed.
func (e *Endpoint) Open(ctx context.Context, open func() (*objstore.Content, error)) (*objstore.Content, error) {
	if err := e.wait(ctx); err != nil {
		return nil, err
	}
	if err := e.reads.acquire(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	c, err := open()
	took := time.Since(start)
	if err != nil {
		e.reads.release(time.Now(), took, err)
		return nil, err
	}
	c.Body = &body{ReadCloser: c.Body, ctx: ctx, e: e, took: took}
	return c, nil
}

type body struct {
	io.ReadCloser
	ctx    context.Context //nolint:containedctx // an io.Reader has no other way to be cancelled while it waits for tokens
	e      *Endpoint
	took   time.Duration
	err    error
	closed bool
}

func (b *body) Read(p []byte) (int, error) {
	if b.e.bytes == nil {
		n, err := b.ReadCloser.Read(p)
		if err != nil && err != io.EOF {
			b.err = err
		}
		return n, err
	}
	p = p[:min(len(p), b.e.bytes.Burst())]
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		if werr := b.e.bytes.WaitN(b.ctx, n); werr != nil {
			return n, ended(b.ctx, werr)
		}
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	if !b.closed {
		b.closed = true
		b.e.reads.release(time.Now(), b.took, b.err)
	}
	return err
}

// smallBody is the size up to which a write's whole time counts as latency.
const smallBody = 256 << 10

func (b *bucket) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (w objstore.Written, err error) {
	err = b.e.within(ctx, b.e.writes, size <= smallBody, func() error {
		w, err = b.Bucket.Put(ctx, key, body, size, opt)
		return err
	})
	return w, err
}

func (b *bucket) PutPart(ctx context.Context, key, uploadID string, number int, body io.Reader, size int64, opt objstore.PartOptions) (p objstore.Part, err error) {
	err = b.e.within(ctx, b.e.writes, false, func() error {
		p, err = b.Bucket.PutPart(ctx, key, uploadID, number, body, size, opt)
		return err
	})
	return p, err
}

func (b *bucket) CreateMultipart(ctx context.Context, key string, opt objstore.PutOptions) (id string, err error) {
	err = b.e.within(ctx, b.e.writes, false, func() error {
		id, err = b.Bucket.CreateMultipart(ctx, key, opt)
		return err
	})
	return id, err
}

func (b *bucket) CompleteMultipart(ctx context.Context, key, uploadID string, parts []objstore.Part, opt objstore.CompleteOptions) (w objstore.Written, err error) {
	err = b.e.within(ctx, b.e.writes, false, func() error {
		w, err = b.Bucket.CompleteMultipart(ctx, key, uploadID, parts, opt)
		return err
	})
	return w, err
}

func (b *bucket) Copy(ctx context.Context, key string, src objstore.CopySource, opt objstore.PutOptions) (w objstore.Written, err error) {
	err = b.e.within(ctx, b.e.writes, false, func() error {
		w, err = b.Bucket.Copy(ctx, key, src, opt)
		return err
	})
	return w, err
}

func (b *bucket) CopyPart(ctx context.Context, key, uploadID string, number int, src objstore.CopySource) (p objstore.Part, err error) {
	err = b.e.within(ctx, b.e.writes, false, func() error {
		p, err = b.Bucket.CopyPart(ctx, key, uploadID, number, src)
		return err
	})
	return p, err
}

func (b *bucket) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	return b.e.within(ctx, b.e.writes, true, func() error { return b.Bucket.Delete(ctx, key, opt) })
}

func (b *bucket) DeleteMany(ctx context.Context, keys []string) (perKey []error, err error) {
	err = b.e.within(ctx, b.e.writes, false, func() error {
		perKey, err = b.Bucket.DeleteMany(ctx, keys)
		return err
	})
	return perKey, err
}

// Restore takes a slot of the writes: it changes the store, and no body is open beside it.
func (b *bucket) Restore(ctx context.Context, key string, days int) error {
	return b.e.within(ctx, b.e.writes, true, func() error { return b.Bucket.Restore(ctx, key, days) })
}

// Tags takes no slot: it is asked for beside an open body, and a second slot of
// the same gate would let full gates wait for each other.
func (b *bucket) Tags(ctx context.Context, key string) (map[string]string, error) {
	if err := b.e.wait(ctx); err != nil {
		return nil, err
	}
	return b.Bucket.Tags(ctx, key)
}

func (b *bucket) SetTags(ctx context.Context, key string, tags map[string]string) error {
	return b.e.within(ctx, b.e.writes, true, func() error { return b.Bucket.SetTags(ctx, key, tags) })
}
