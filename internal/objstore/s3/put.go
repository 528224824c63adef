package s3

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Put implements objstore.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	t := b.traits.Load()
	if err := t.checkKey("put", key); err != nil {
		return objstore.Written{}, err
	}
	if t.MaxPut > 0 && size > t.MaxPut {
		return objstore.Written{}, &objstore.Error{Kind: objstore.ErrTooLarge, Op: "put", Key: key}
	}
	r := newRequest("put", http.MethodPut, key)
	dropped := r.describe(t, &opt)
	tagLater := r.tag(t, opt.Tags)
	r.encrypt(opt.Encrypt)
	r.condition(t.Conditional, opt.IfAbsent, opt.IfMatch)
	if opt.CRC64.Set && t.ChecksumPut {
		r.setFor(checksums, "x-amz-checksum-crc64nvme", encodeCRC64(opt.CRC64.Sum))
	}
	if err := r.setBody(body, size); err != nil {
		return objstore.Written{}, r.bodyError(err)
	}
	b.guard(r, t, opt.CRC64)
	h, err := b.do(ctx, r)
	if err != nil {
		return objstore.Written{}, err
	}
	w := written(h)
	w.Dropped, err = b.afterWrite(ctx, r, tagLater, opt.Tags, dropped)
	return w, err
}

// condition adds the conditions of a write that the store obeys. With one, the
// request is not repeated by itself: the repetition could meet its own result.
func (r *request) condition(kind objstore.Conditional, ifAbsent bool, ifMatch string) {
	switch {
	case ifAbsent && kind != objstore.ConditionalNone:
		r.setFor(conditions, "If-None-Match", "*")
		r.once = true
	case ifMatch != "" && kind == objstore.ConditionalFull:
		r.setFor(conditions, "If-Match", quote(ifMatch))
		r.once = true
	}
}

// afterWrite sets tags that could not go with the object and completes the list
// of what the store did not keep.
func (b *Bucket) afterWrite(ctx context.Context, r *request, tagLater bool, tags map[string]string, dropped []string) ([]string, error) {
	t := b.traits.Load()
	if r.dropped&tagging != 0 && t.Tags {
		tagLater = true
	}
	switch {
	case tagLater:
		err := b.SetTags(ctx, r.key, tags)
		switch {
		case err == nil:
		case objstore.Transient(err):
			return dropped, err
		case errors.Is(err, objstore.ErrUnsupported), errors.Is(err, objstore.ErrDenied), errors.Is(err, objstore.ErrInvalid):
			dropped = append(dropped, "tags")
		default:
			return dropped, err
		}
	case len(tags) > 0 && !t.Tags:
		dropped = append(dropped, "tags")
	}
	if r.dropped&storageClass != 0 {
		dropped = append(dropped, "storage-class")
	}
	return dropped, nil
}
