package transfer

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Remove deletes keys at the destination, each only after the source has been
// asked again and has said that it does not hold the key. Results are in the
// order of items.
func (c *Copier) Remove(ctx context.Context, items []plan.Item) []Result {
	results := make([]Result, len(items))
	probe := sync.OnceValue(func() error { return c.cfg.Src.Probe(ctx) })
	var g errgroup.Group
	g.SetLimit(64)
	for i, item := range items {
		g.Go(func() error {
			results[i] = c.stillGone(ctx, item.Key, probe)
			return nil
		})
	}
	_ = g.Wait()
	var gone []int
	for i := range results {
		if results[i].Outcome == task.Pending {
			gone = append(gone, i)
		}
	}
	for chunk := range chunks(gone, max(1, c.cfg.Dst.Capabilities().DeleteMany)) {
		c.removeChunk(ctx, items, chunk, results)
	}
	return results
}

// stillGone asks the source again; a pending result means: delete it. A 404 that
// does not say of what counts only beside a bucket that answers, and so does a key that the
// source cannot hold: what cannot be there is not there.
func (c *Copier) stillGone(ctx context.Context, key string, probe func() error) Result {
	_, err := c.cfg.Src.Stat(ctx, key)
	switch {
	case err == nil:
		return Result{Outcome: task.Ignored, Reason: task.DeleteSuperseded}
	case !errors.Is(err, objstore.ErrNotFound) && !errors.Is(err, objstore.ErrKey):
		return failed(atSource(err))
	}
	if objstore.Unconfirmed(err) || errors.Is(err, objstore.ErrKey) {
		if err := probe(); err != nil {
			return failed(atSource(err))
		}
	}
	return Result{}
}

func chunks(all []int, n int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		for len(all) > 0 {
			k := min(n, len(all))
			if !yield(all[:k]) {
				return
			}
			all = all[k:]
		}
	}
}

func (c *Copier) removeChunk(ctx context.Context, items []plan.Item, chunk []int, results []Result) {
	perKey := make([]error, len(chunk))
	if len(chunk) == 1 {
		perKey[0] = c.cfg.Dst.Delete(ctx, items[chunk[0]].Key, objstore.DeleteOptions{})
	} else {
		keys := make([]string, len(chunk))
		for j, i := range chunk {
			keys[j] = items[i].Key
		}
		answers, err := c.cfg.Dst.DeleteMany(ctx, keys)
		for j := range perKey {
			if perKey[j] = err; err == nil {
				perKey[j] = answers[j]
			}
		}
	}
	for j, i := range chunk {
		if perKey[j] != nil {
			results[i] = failed(atDestination(perKey[j]))
			continue
		}
		results[i] = Result{Outcome: task.Synced, Reason: task.Deleted}
	}
}
