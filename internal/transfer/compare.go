package transfer

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// compare reads both sides and copies when they differ.
func (c *Copier) compare(ctx context.Context, item plan.Item) Result {
	var equal bool
	err := c.cfg.Retry.Do(ctx, func() (err error) {
		equal, err = c.sameContent(ctx, item)
		return err
	})
	switch {
	case err == nil && equal:
		return Result{Outcome: task.Ignored, Reason: task.UpToDate}
	case err == nil, errors.Is(err, objstore.ErrPrecondition), errors.Is(err, objstore.ErrNotFound):
		return c.copy(ctx, item) // different, or moved on since the listing
	default:
		return failed(err)
	}
}

// sameContent compares the stores' own checksums, else the bytes of both. What is to be
// encrypted and is not is not the same.
func (c *Copier) sameContent(ctx context.Context, item plan.Item) (bool, error) {
	var sums [2]uint64
	var infos [2]objstore.Info
	g, ctx := errgroup.WithContext(ctx)
	for i, side := range [...]struct {
		b    objstore.Bucket
		etag string
		at   func(error) error
	}{{c.cfg.Src, item.Src.ETag, atSource}, {c.cfg.Dst, item.Dst.ETag, atDestination}} {
		g.Go(func() (err error) {
			if sums[i], infos[i], err = checksum(ctx, side.b, item.Key, side.etag); err != nil {
				return side.at(err)
			}
			return nil
		})
	}
	err := g.Wait()
	return sums[0] == sums[1] && (err != nil || c.Encrypted(&infos[1])), err
}

// checksum returns the CRC64NVME of one state of an object: the store's own when
// it says one with the headers, else that of its bytes.
func checksum(ctx context.Context, b objstore.Bucket, key, etag string) (uint64, objstore.Info, error) {
	content, err := b.Open(ctx, key, objstore.OpenOptions{IfMatch: etag})
	if err != nil {
		return 0, objstore.Info{}, err
	}
	defer content.Body.Close()
	if content.CRC64.Set {
		return content.CRC64.Sum, content.Info, nil
	}
	var s summer
	_, err = io.Copy(&s, content.Body)
	return uint64(s), content.Info, err
}

type summer uint64

func (s *summer) Write(p []byte) (int, error) {
	*s = summer(objstore.UpdateCRC64(uint64(*s), p))
	return len(p), nil
}
