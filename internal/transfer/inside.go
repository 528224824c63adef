package transfer

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// inside reports whether an object can be copied by the service itself.
func (c *Copier) inside(size int64) bool {
	dst := c.cfg.Dst.Capabilities()
	return c.sameSite && dst.MaxCopy > 0 && !c.noInside.Load() && (size <= dst.MaxCopy || dst.MaxParts > 0)
}

// refusedInside reports whether the service cannot, or may not with these
// credentials, copy inside itself, so that the bytes must pass through here.
func refusedInside(err error) bool {
	return errors.Is(err, objstore.ErrUnsupported) || errors.Is(err, objstore.ErrDenied)
}

func (c *Copier) insideSource(a *attempt) objstore.CopySource {
	return objstore.CopySource{Bucket: c.srcID.Bucket, Key: c.srcID.Prefix + a.key, IfMatch: a.src.ETag}
}

// copyInside makes the object inside the service, attributes and tags included.
func (c *Copier) copyInside(ctx context.Context, a *attempt) (Result, error) {
	if a.src.Size > c.cfg.Dst.Capabilities().MaxCopy {
		return c.copyInsideParts(ctx, a)
	}
	opt, dropped, err := c.insideOptions(ctx, a)
	if err != nil {
		return Result{}, err
	}
	w, err := c.cfg.Dst.Copy(ctx, a.key, c.insideSource(a), opt)
	if err != nil {
		return Result{}, insideError(err)
	}
	if err := c.verifyETag(ctx, a.key, &objstore.Info{Object: a.src}, &w); err != nil {
		return Result{}, err
	}
	a.written = w
	return Result{Outcome: task.Synced, Reason: task.Copied, Size: a.src.Size, Dropped: append(dropped, w.Dropped...)}, nil
}

// insideOptions are those of a copy inside the service, which keeps all attributes by
// itself unless some are named.
func (c *Copier) insideOptions(ctx context.Context, a *attempt) (opt objstore.PutOptions, dropped []string, err error) {
	if !c.cfg.Plain {
		opt.Class, opt.Encrypt = c.class(a.src.Class), c.cfg.Encrypt
		c.condition(a, &opt.IfAbsent, &opt.IfMatch)
		return opt, nil, nil
	}
	info, err := c.cfg.Src.Stat(ctx, a.key)
	if err != nil {
		return opt, nil, atSource(err)
	}
	if info.Header.ContentType == "" && info.Header.ContentEncoding == "" {
		info.Header.ContentType = defaultType // naming one replaces them all
	}
	return c.putOptions(ctx, a, &info)
}

// defaultType is what S3 calls an object whose type nobody named.
const defaultType = "binary/octet-stream"

// insideError says which side refused: a missing object can only be the source's.
func insideError(err error) error {
	if errors.Is(err, objstore.ErrNotFound) || errors.Is(err, objstore.ErrArchived) {
		return atSource(err)
	}
	return atDestination(err)
}

// copyInsideParts copies an object over the service's limit for one copy.
func (c *Copier) copyInsideParts(ctx context.Context, a *attempt) (Result, error) {
	info, err := c.cfg.Src.Stat(ctx, a.key)
	if err != nil {
		return Result{}, atSource(err)
	}
	opt, dropped, err := c.putOptions(ctx, a, &info)
	if err != nil {
		return Result{}, err
	}
	id, err := c.cfg.Dst.CreateMultipart(ctx, a.key, opt)
	if err != nil {
		return Result{}, atDestination(err)
	}
	dst := c.cfg.Dst.Capabilities()
	by := cutBy(a.src.Size, max(512<<20, evenPart(a.src.Size, dst)))
	parts := make([]objstore.Part, by.parts)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(c.cfg.PartsAtOnce)
	for i := range parts {
		g.Go(func() error {
			from := c.insideSource(a)
			from.Offset, from.Length = by.span(i, a.src.Size)
			var err error
			if parts[i], err = c.cfg.Dst.CopyPart(gctx, a.key, id, i+1, from); err != nil {
				return c.insidePartError(gctx, a.key, err)
			}
			return nil
		})
	}
	err = g.Wait()
	var w objstore.Written
	if err == nil {
		w, err = c.cfg.Dst.CompleteMultipart(ctx, a.key, id, parts, objstore.CompleteOptions{IfAbsent: opt.IfAbsent, IfMatch: opt.IfMatch})
		if err != nil {
			err = completionError(err)
		}
	}
	if err != nil {
		c.abort(ctx, a.key, id)
		return Result{}, err
	}
	a.written = w
	return Result{Outcome: task.Synced, Reason: task.Copied, Size: a.src.Size, Dropped: append(dropped, w.Dropped...)}, nil
}

// insidePartError is insideError for a part, where the upload too may be what is not there.
func (c *Copier) insidePartError(ctx context.Context, key string, err error) error {
	if errors.Is(err, objstore.ErrNotFound) {
		if _, there := c.cfg.Src.Stat(ctx, key); there == nil {
			return completionError(err)
		}
	}
	return insideError(err)
}
