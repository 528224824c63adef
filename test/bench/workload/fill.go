package workload

import (
	"context"
	"math/rand/v2"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/test/bench/bare"
)

// Fill makes the bucket and puts objects into it.
func Fill(ctx context.Context, c *bare.Client, bucket string, objects []Object, concurrency int) error {
	if err := c.CreateBucket(ctx, bucket); err != nil {
		return err
	}
	return Each(ctx, objects, concurrency, func(ctx context.Context, o Object) error {
		_, err := c.Put(ctx, bucket, o.Key, NewStream(o.Size, o.Seed), o.Size)
		return err
	})
}

// Mutate rewrites ChangedPercent of the bucket's objects with new content of the
// same size. seed chooses which, and what; it must be greater than 0.
func Mutate(ctx context.Context, c *bare.Client, bucket string, seed uint64, concurrency int) error {
	objects, err := c.ListAll(ctx, bucket)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(seed, 99))
	r.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
	objects = objects[:max(1, len(objects)*ChangedPercent/100)]
	return Each(ctx, objects, concurrency, func(ctx context.Context, o bare.Object) error {
		_, err := c.Put(ctx, bucket, o.Key, NewStream(o.Size, seed<<40|uint64(o.Size)), o.Size)
		return err
	})
}

// Purge deletes every object of the bucket.
func Purge(ctx context.Context, c *bare.Client, bucket string, concurrency int) error {
	objects, err := c.ListAll(ctx, bucket)
	if err != nil {
		return err
	}
	return Each(ctx, objects, concurrency, func(ctx context.Context, o bare.Object) error {
		return c.Delete(ctx, bucket, o.Key)
	})
}

// Each calls f for every item, on at most concurrency goroutines, until one fails.
func Each[T any](ctx context.Context, items []T, concurrency int, f func(context.Context, T) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(max(concurrency, 1))
	for _, item := range items {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error { return f(groupCtx, item) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
