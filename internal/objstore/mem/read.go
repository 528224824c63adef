package mem

import (
	"context"
	"iter"
	"maps"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// pageSize bounds the objects of a page, as on S3.
const pageSize = 1000

// List implements objstore.Bucket. A page is one consistent look at the bucket;
// writes between two pages show in the second.
func (b *Bucket) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		size := pageSize
		if opt.PageSize > 0 {
			size = min(size, opt.PageSize)
		}
		after, buf := opt.After, make([]entry, 0, size)
		for more := true; more; {
			entries, m, err := b.page(ctx, buf, opt, after)
			if err != nil {
				yield(objstore.Page{}, err)
				return
			}
			if more = m; more {
				after = entries[len(entries)-1].key
			}
			page := objstore.Page{Objects: make([]objstore.Object, len(entries))}
			for i, e := range entries {
				page.Objects[i] = e.obj.listed(e.key)
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

func (b *Bucket) page(ctx context.Context, buf []entry, opt objstore.ListOptions, after string) ([]entry, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if err := b.here("list", ""); err != nil {
		return nil, false, err
	}
	entries, more := b.index.page(buf, opt.Prefix, after, opt.Until)
	return entries, more, nil
}

// load returns the present state of key.
func (b *Bucket) load(ctx context.Context, op, key string) (*object, error) {
	if err := b.begin(ctx, op, key); err != nil {
		return nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if err := b.here(op, key); err != nil {
		return nil, err
	}
	obj := b.index.get(key)
	if obj == nil {
		return nil, fail(op, key, objstore.ErrNotFound, "")
	}
	return obj, nil
}

// Stat implements objstore.Bucket.
func (b *Bucket) Stat(ctx context.Context, key string) (objstore.Info, error) {
	obj, err := b.load(ctx, "stat", key)
	if err != nil {
		return objstore.Info{}, err
	}
	return obj.info(key, b.caps), nil
}

// Open implements objstore.Bucket. A range may end beyond the object but, as on
// S3, must begin inside it.
func (b *Bucket) Open(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
	obj, err := b.load(ctx, "open", key)
	if err != nil {
		return nil, err
	}
	if opt.IfMatch != "" && opt.IfMatch != obj.etag {
		return nil, fail("open", key, objstore.ErrPrecondition, "")
	}
	if opt.Part != 0 {
		if !b.caps.PartLayout {
			return nil, fail("open", key, objstore.ErrUnsupported, "reading by part")
		}
		if opt.Part < 0 || opt.Part > len(obj.parts) || opt.Offset != 0 || opt.Length != 0 {
			return nil, fail("open", key, objstore.ErrInvalid, "no such part")
		}
		p := obj.parts[opt.Part-1]
		return content(obj.info(key, b.caps), [][]byte{p}, int64(len(p))), nil
	}
	if opt.Offset < 0 || opt.Length < 0 || opt.Offset >= obj.size && (opt.Offset > 0 || opt.Length > 0) {
		return nil, fail("open", key, objstore.ErrInvalid, "range not satisfiable")
	}
	length := obj.size - opt.Offset
	if opt.Length > 0 {
		length = min(length, opt.Length)
	}
	return content(obj.info(key, b.caps), obj.slice(opt.Offset, length), length), nil
}

func content(info objstore.Info, slices [][]byte, length int64) *objstore.Content {
	return &objstore.Content{Info: info, Body: &body{rest: slices}, Length: length}
}

// Tags implements objstore.Bucket.
func (b *Bucket) Tags(ctx context.Context, key string) (map[string]string, error) {
	if !b.caps.Tags {
		return nil, fail("tags", key, objstore.ErrUnsupported, "")
	}
	obj, err := b.load(ctx, "tags", key)
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(obj.tags))
	maps.Copy(tags, obj.tags)
	return tags, nil
}
