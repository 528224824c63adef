// Package limit copies from one bucket to another with as little work as plain
// HTTP allows. Tools are measured against it; it retries nothing.
package limit

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/test/bench/bare"
)

// Job is one run.
type Job struct {
	Src, Dst             *bare.Client
	SrcBucket, DstBucket string
	Concurrency          int
	// ListOnly compares both listings and copies nothing.
	ListOnly bool
	// NoDstList takes the destination for empty and copies from the first page on.
	NoDstList bool
	// ServerSide has the service copy; Src and Dst must be one.
	ServerSide bool
}

// Result counts.
type Result struct {
	Listed, Copied int
}

// Run copies every object that the destination lacks or has with another size or
// ETag. It stops at the first error.
func Run(ctx context.Context, job Job) (Result, error) {
	group, ctx := errgroup.WithContext(ctx)
	work := make(chan bare.Object, 4*job.Concurrency)
	c := newCopier(job)
	for range job.Concurrency {
		group.Go(func() error {
			for o := range work {
				if err := c.copy(ctx, o); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var result Result
	group.Go(func() (err error) {
		defer close(work)
		if job.NoDstList {
			result, err = job.sendAll(ctx, work)
		} else {
			result, err = job.sendDifferent(ctx, work)
		}
		return err
	})
	err := group.Wait()
	return result, err
}

// sendAll sends each page as it comes.
func (j Job) sendAll(ctx context.Context, work chan<- bare.Object) (r Result, err error) {
	for page, err := range j.Src.List(ctx, j.SrcBucket) {
		if err != nil {
			return r, err
		}
		for _, o := range page {
			if err := send(ctx, work, o); err != nil {
				return r, err
			}
		}
		r.Listed += len(page)
		r.Copied += len(page)
	}
	return r, nil
}

// sendDifferent lists both sides at once, then sends what differs.
func (j Job) sendDifferent(ctx context.Context, work chan<- bare.Object) (r Result, err error) {
	var want []bare.Object
	have := map[string]bare.Object{}
	listings, listCtx := errgroup.WithContext(ctx)
	listings.Go(func() (err error) {
		want, err = j.Src.ListAll(listCtx, j.SrcBucket)
		return err
	})
	listings.Go(func() error {
		objects, err := j.Dst.ListAll(listCtx, j.DstBucket)
		have = make(map[string]bare.Object, len(objects))
		for _, o := range objects {
			have[o.Key] = o
		}
		return err
	})
	if err := listings.Wait(); err != nil {
		return r, err
	}
	r.Listed = len(want)
	for _, o := range want {
		if d, ok := have[o.Key]; ok && d.Size == o.Size && d.ETag == o.ETag {
			continue
		}
		r.Copied++
		if j.ListOnly {
			continue
		}
		if err := send(ctx, work, o); err != nil {
			return r, err
		}
	}
	if j.ListOnly && r.Copied > 0 {
		return r, fmt.Errorf("%d objects differ", r.Copied)
	}
	return r, nil
}

func send(ctx context.Context, work chan<- bare.Object, o bare.Object) error {
	select {
	case work <- o:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
