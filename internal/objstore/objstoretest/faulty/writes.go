package faulty

import (
	"context"
	"io"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Put implements objstore.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, r io.Reader, size int64, opt objstore.PutOptions) (w objstore.Written, err error) {
	f := b.begin(Put, key, 0)
	r, half := b.upload(r, size, f)
	err = b.inflict(ctx, Put, key, f, half, func() error {
		w, err = b.Bucket.Put(ctx, key, r, size, opt)
		return err
	})
	return keep(w, err), err
}

// CreateMultipart implements objstore.Bucket.
func (b *Bucket) CreateMultipart(ctx context.Context, key string, opt objstore.PutOptions) (id string, err error) {
	err = b.through(ctx, Create, key, 0, func() error {
		id, err = b.Bucket.CreateMultipart(ctx, key, opt)
		return err
	})
	return keep(id, err), err
}

// PutPart implements objstore.Bucket.
func (b *Bucket) PutPart(ctx context.Context, key, uploadID string, number int, r io.Reader, size int64, opt objstore.PartOptions) (p objstore.Part, err error) {
	f := b.begin(PutPart, key, int64(number))
	r, half := b.upload(r, size, f)
	err = b.inflict(ctx, PutPart, key, f, half, func() error {
		p, err = b.Bucket.PutPart(ctx, key, uploadID, number, r, size, opt)
		return err
	})
	return keep(p, err), err
}

// CompleteMultipart implements objstore.Bucket.
func (b *Bucket) CompleteMultipart(ctx context.Context, key, uploadID string, parts []objstore.Part, opt objstore.CompleteOptions) (w objstore.Written, err error) {
	err = b.through(ctx, Complete, key, 0, func() error {
		w, err = b.Bucket.CompleteMultipart(ctx, key, uploadID, parts, opt)
		return err
	})
	return keep(w, err), err
}

// AbortMultipart implements objstore.Bucket.
func (b *Bucket) AbortMultipart(ctx context.Context, key, uploadID string) error {
	return b.through(ctx, Abort, key, 0, func() error { return b.Bucket.AbortMultipart(ctx, key, uploadID) })
}

// Copy implements objstore.Bucket.
func (b *Bucket) Copy(ctx context.Context, key string, src objstore.CopySource, opt objstore.PutOptions) (w objstore.Written, err error) {
	err = b.through(ctx, Copy, key, 0, func() error {
		w, err = b.Bucket.Copy(ctx, key, src, opt)
		return err
	})
	return keep(w, err), err
}

// CopyPart implements objstore.Bucket.
func (b *Bucket) CopyPart(ctx context.Context, key, uploadID string, number int, src objstore.CopySource) (p objstore.Part, err error) {
	err = b.through(ctx, CopyPart, key, int64(number), func() error {
		p, err = b.Bucket.CopyPart(ctx, key, uploadID, number, src)
		return err
	})
	return keep(p, err), err
}

// Delete implements objstore.Bucket.
func (b *Bucket) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	return b.through(ctx, Delete, key, 0, func() error { return b.Bucket.Delete(ctx, key, opt) })
}

// DeleteMany implements objstore.Bucket.
func (b *Bucket) DeleteMany(ctx context.Context, keys []string) (perKey []error, err error) {
	var firstKey string
	if len(keys) > 0 {
		firstKey = keys[0]
	}
	f := b.begin(DeleteMany, firstKey, 0)
	if f.Kind == Torn && len(keys) > 0 {
		b.count(&b.fired, 1)
		perKey, err = b.Bucket.DeleteMany(ctx, keys[:len(keys)/2])
		for _, key := range keys[len(keys)/2:] {
			perKey = append(perKey, f.fail(DeleteMany, key))
		}
		return keep(perKey, err), err
	}
	err = b.inflict(ctx, DeleteMany, firstKey, f, nil, func() error {
		perKey, err = b.Bucket.DeleteMany(ctx, keys)
		return err
	})
	return keep(perKey, err), err
}

// Restore implements objstore.Bucket.
func (b *Bucket) Restore(ctx context.Context, key string, days int) error {
	return b.through(ctx, Restore, key, 0, func() error { return b.Bucket.Restore(ctx, key, days) })
}

// SetTags implements objstore.Bucket.
func (b *Bucket) SetTags(ctx context.Context, key string, tags map[string]string) error {
	return b.through(ctx, SetTags, key, 0, func() error { return b.Bucket.SetTags(ctx, key, tags) })
}
