package worker

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
)

// pages is one side's listing, read one page ahead of its user.
type pages struct {
	bucket objstore.Bucket
	opt    objstore.ListOptions
	// ready has no room, so that the reader holds one page and no more.
	ready chan listed

	// Written and read by the user.
	wait   time.Duration  // the store's, for the latest page
	ahead  *time.Duration // the store's clock, by the first page that tells it; nil: none did
	waited time.Duration  // the user's, for all pages
}

// listed is what a reader has to say: a page, an error or the end.
type listed struct {
	page objstore.Page
	at   time.Time // of its receipt
	err  error
	end  bool
}

func newPages(b objstore.Bucket, opt objstore.ListOptions) *pages {
	return &pages{bucket: b, opt: opt, ready: make(chan listed)}
}

// read lists the bucket until its end, an error or the end of ctx. It never
// says "end" for a listing that was cut short by ctx.
func (p *pages) read(ctx context.Context) {
	for page, err := range p.bucket.List(ctx, p.opt) {
		if !p.say(ctx, listed{page: page, at: time.Now(), err: err}) || err != nil {
			return
		}
	}
	if ctx.Err() == nil {
		p.say(ctx, listed{end: true})
	}
}

func (p *pages) say(ctx context.Context, l listed) bool {
	select {
	case p.ready <- l:
		return true
	case <-ctx.Done():
		return false
	}
}

// nextFor returns the pages in the form that a merge takes.
func (p *pages) nextFor(ctx context.Context) plan.Pages {
	return func() ([]objstore.Object, bool, error) {
		begin := time.Now()
		defer func() { p.waited += time.Since(begin) }()
		select {
		case l := <-p.ready:
			if l.err == nil && !l.end {
				p.wait = l.page.Wait
				p.compareClocks(&l)
			}
			return l.page.Objects, !l.end, l.err
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

// compareClocks takes the first page's word for how far the store's clock is ahead. What the
// page took to come, and what the store does not show of its clock, make it less.
func (p *pages) compareClocks(l *listed) {
	if p.ahead == nil && !l.page.At.IsZero() {
		ahead := l.page.At.Sub(l.at)
		p.ahead = &ahead
	}
}
