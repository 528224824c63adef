package faulty

import (
	"context"
	"iter"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// List implements objstore.Bucket. Every page is a call; a fault ends the listing
// with an error in place of the page.
func (b *Bucket) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		at := max(opt.After, opt.Prefix)
		for page, err := range b.Bucket.List(ctx, opt) {
			asked := at
			if n := len(page.Objects); n > 0 {
				at = strings.Clone(page.Objects[n-1].Key)
			}
			if err = b.through(ctx, List, asked, 0, func() error { return err }); err != nil {
				yield(objstore.Page{}, err)
				return
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// Stat implements objstore.Bucket.
func (b *Bucket) Stat(ctx context.Context, key string) (info objstore.Info, err error) {
	err = b.through(ctx, Stat, key, 0, func() error {
		info, err = b.Bucket.Stat(ctx, key)
		return err
	})
	return keep(info, err), err
}

// Open implements objstore.Bucket.
func (b *Bucket) Open(ctx context.Context, key string, opt objstore.OpenOptions) (c *objstore.Content, err error) {
	f := b.begin(Open, key, max(opt.Offset, int64(opt.Part)))
	torn := f.Kind == Torn
	if torn {
		f.Kind = None // the call passes, the body does not
	}
	err = b.inflict(ctx, Open, key, f, nil, func() error {
		c, err = b.Bucket.Open(ctx, key, opt)
		return err
	})
	if err != nil {
		if c != nil {
			c.Body.Close()
		}
		return nil, err
	}
	b.count(&b.bodies, 1)
	body := &body{ReadCloser: c.Body, b: b, key: key, length: c.Length, flip: -1, tear: -1}
	switch {
	case torn:
		f.Kind, body.tear = Torn, place(f.Bytes, c.Length)
	case f.Kind == Corrupt && c.Length > 0:
		body.flip = place(f.Bytes, c.Length)
	}
	body.fault = f
	c.Body = body
	return c, nil
}

// ListParts implements objstore.Bucket.
func (b *Bucket) ListParts(ctx context.Context, key, uploadID string) (parts []objstore.Part, err error) {
	err = b.through(ctx, ListParts, key, 0, func() error {
		parts, err = b.Bucket.ListParts(ctx, key, uploadID)
		return err
	})
	return keep(parts, err), err
}

// Tags implements objstore.Bucket.
func (b *Bucket) Tags(ctx context.Context, key string) (tags map[string]string, err error) {
	err = b.through(ctx, Tags, key, 0, func() error {
		tags, err = b.Bucket.Tags(ctx, key)
		return err
	})
	return keep(tags, err), err
}

// Probe implements objstore.Bucket.
func (b *Bucket) Probe(ctx context.Context) error {
	return b.through(ctx, Probe, "", 0, func() error { return b.Bucket.Probe(ctx) })
}
