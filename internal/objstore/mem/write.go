package mem

import (
	"context"
	"errors"
	"io"
	"maps"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Put implements objstore.Bucket. The body is read before the bucket is locked,
// and conditions are judged after: of two puts the one that ends last wins.
func (b *Bucket) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	if err := b.begin(ctx, "put", key); err != nil {
		return objstore.Written{}, err
	}
	if b.caps.MaxPut > 0 && size > b.caps.MaxPut {
		return objstore.Written{}, fail("put", key, objstore.ErrTooLarge, "")
	}
	if err := b.checkPut("put", key, &opt); err != nil {
		return objstore.Written{}, err
	}
	data, sum, err := receive(ctx, "put", key, body, size)
	if err != nil {
		return objstore.Written{}, err
	}
	obj := &object{parts: [][]byte{data}, size: size, etag: md5ETag(data)}
	if b.caps.ChecksumPut {
		if opt.CRC64.Set && opt.CRC64.Sum != sum {
			return objstore.Written{}, fail("put", key, objstore.ErrChecksum, "")
		}
		obj.crc = objstore.Checksum{Sum: sum, Set: true}
	}
	dropped := obj.attach(&opt, b.caps)
	return b.store("put", key, obj, condition{opt.IfAbsent, opt.IfMatch}, dropped)
}

// receive reads exactly size bytes and sums them up.
func receive(ctx context.Context, op, key string, body io.Reader, size int64) ([]byte, uint64, error) {
	if size < 0 {
		return nil, 0, fail(op, key, objstore.ErrInvalid, "negative size")
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(body, data); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, 0, &objstore.Error{Kind: objstore.ErrInvalid, Op: op, Key: key, Message: "body incomplete", Err: err}
	}
	return data, objstore.UpdateCRC64(0, data), ctx.Err()
}

// Restore implements objstore.Bucket: nothing is archived here.
func (b *Bucket) Restore(ctx context.Context, key string, _ int) error {
	if err := b.begin(ctx, "restore", key); err != nil {
		return err
	}
	return fail("restore", key, objstore.ErrUnsupported, "nothing is archived in memory")
}

// checkPut refuses more user metadata than the store holds, and to encrypt.
func (b *Bucket) checkPut(op, key string, opt *objstore.PutOptions) error {
	if opt.Encrypt != "" {
		return fail(op, key, objstore.ErrEncryption, "objects in memory are not encrypted")
	}
	if !b.caps.Meta || b.caps.MaxMeta == 0 {
		return nil
	}
	n := 0
	for name, value := range opt.Meta {
		n += len(name) + len(value)
	}
	if n > b.caps.MaxMeta {
		return fail(op, key, objstore.ErrInvalid, "too much metadata")
	}
	return nil
}

// condition is what must hold of a key for a write to happen.
type condition struct {
	absent bool
	match  string
}

// check judges the condition, as far as the store obeys conditions.
func (c condition) check(op, key string, old *object, kind objstore.Conditional) error {
	switch {
	case c.absent && kind != objstore.ConditionalNone && old != nil:
		return fail(op, key, objstore.ErrPrecondition, "object exists")
	case c.match != "" && kind == objstore.ConditionalFull && (old == nil || old.etag != c.match):
		return fail(op, key, objstore.ErrPrecondition, "object is another")
	}
	return nil
}

// store makes obj the present state of key when the condition holds.
func (b *Bucket) store(op, key string, obj *object, cond condition, dropped []string) (objstore.Written, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.storeLocked(op, key, obj, cond); err != nil {
		return objstore.Written{}, err
	}
	return obj.written(dropped), nil
}

func (b *Bucket) storeLocked(op, key string, obj *object, cond condition) error {
	if err := b.here(op, key); err != nil {
		return err
	}
	if err := cond.check(op, key, b.index.get(key), b.caps.Conditional); err != nil {
		return err
	}
	obj.modTime = b.clock()
	b.index.set(key, obj)
	return nil
}

// Copy implements objstore.Bucket.
func (b *Bucket) Copy(ctx context.Context, key string, src objstore.CopySource, opt objstore.PutOptions) (objstore.Written, error) {
	if err := b.begin(ctx, "copy", key); err != nil {
		return objstore.Written{}, err
	}
	if err := b.checkPut("copy", key, &opt); err != nil {
		return objstore.Written{}, err
	}
	if src.Offset != 0 || src.Length != 0 {
		return objstore.Written{}, fail("copy", key, objstore.ErrInvalid, "a range needs CopyPart")
	}
	old, data, err := b.source(ctx, "copy", key, src)
	if err != nil {
		return objstore.Written{}, err
	}
	obj := &object{parts: [][]byte{data}, size: old.size, etag: md5ETag(data)}
	if b.caps.ChecksumPut {
		obj.crc = objstore.Checksum{Sum: objstore.UpdateCRC64(0, data), Set: true}
	}
	if opt.Header == (objstore.Header{}) && len(opt.Meta) == 0 && len(opt.Tags) == 0 {
		opt.Tags = old.tags
		if old.attrs != nil {
			opt.Header, opt.Meta = old.attrs.header, old.attrs.meta
		}
	}
	dropped := obj.attach(&opt, b.caps)
	return b.store("copy", key, obj, condition{opt.IfAbsent, opt.IfMatch}, dropped)
}

// source returns an object of this service and the bytes of it that src names.
func (b *Bucket) source(ctx context.Context, op, key string, src objstore.CopySource) (*object, []byte, error) {
	if b.caps.MaxCopy == 0 {
		return nil, nil, fail(op, key, objstore.ErrUnsupported, "")
	}
	from := b.service.lookup(src.Bucket)
	if from == nil {
		return nil, nil, fail(op, src.Key, objstore.ErrBucketNotFound, "")
	}
	obj, err := from.load(ctx, op, src.Key)
	if err != nil {
		return nil, nil, err
	}
	length := src.Length
	if length == 0 {
		length = obj.size - src.Offset
	}
	switch {
	case src.IfMatch != "" && src.IfMatch != obj.etag:
		return nil, nil, fail(op, src.Key, objstore.ErrPrecondition, "source is another")
	case src.Offset < 0 || length < 0 || src.Offset+length > obj.size:
		return nil, nil, fail(op, src.Key, objstore.ErrInvalid, "range not satisfiable")
	case length > b.caps.MaxCopy:
		return nil, nil, fail(op, src.Key, objstore.ErrTooLarge, "")
	}
	return obj, join(obj.slice(src.Offset, length), length), nil
}

// join returns the slices as one; a single slice is shared, as stored bytes
// never change.
func join(slices [][]byte, length int64) []byte {
	if len(slices) == 1 {
		return slices[0]
	}
	out := make([]byte, 0, length)
	for _, s := range slices {
		out = append(out, s...)
	}
	return out
}

// Delete implements objstore.Bucket.
func (b *Bucket) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	if err := b.begin(ctx, "delete", key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.here("delete", key); err != nil {
		return err
	}
	if old := b.index.get(key); old != nil {
		if err := (condition{match: opt.IfMatch}).check("delete", key, old, b.caps.Conditional); err != nil {
			return err
		}
	}
	b.index.remove(key)
	return nil
}

// DeleteMany implements objstore.Bucket.
func (b *Bucket) DeleteMany(ctx context.Context, keys []string) ([]error, error) {
	switch {
	case b.caps.DeleteMany == 0:
		return nil, fail("delete many", "", objstore.ErrUnsupported, "")
	case len(keys) > b.caps.DeleteMany:
		return nil, fail("delete many", "", objstore.ErrInvalid, "too many keys")
	}
	perKey := make([]error, len(keys))
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.here("delete many", ""); err != nil {
		return nil, err
	}
	for i, key := range keys {
		if perKey[i] = b.begin(ctx, "delete many", key); perKey[i] == nil {
			b.index.remove(key)
		}
	}
	return perKey, ctx.Err()
}

// SetTags implements objstore.Bucket. The modification time stays, as on S3.
func (b *Bucket) SetTags(ctx context.Context, key string, tags map[string]string) error {
	if err := b.begin(ctx, "set tags", key); err != nil {
		return err
	}
	if !b.caps.Tags {
		return fail("set tags", key, objstore.ErrUnsupported, "")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.here("set tags", key); err != nil {
		return err
	}
	old := b.index.get(key)
	if old == nil {
		return fail("set tags", key, objstore.ErrNotFound, "")
	}
	tagged := *old
	tagged.tags = maps.Clone(tags)
	b.index.set(key, &tagged)
	return nil
}
