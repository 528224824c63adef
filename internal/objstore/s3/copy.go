package s3

import (
	"context"
	"net/http"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Copy implements objstore.Bucket. Without header, metadata and tags in opt the
// source's are kept.
func (b *Bucket) Copy(ctx context.Context, key string, src objstore.CopySource, opt objstore.PutOptions) (objstore.Written, error) {
	t := b.traits.Load()
	r := newRequest("copy", http.MethodPut, key)
	if err := t.checkKey(r.op, key); err != nil {
		return objstore.Written{}, err
	}
	if src.Offset != 0 || src.Length != 0 {
		return objstore.Written{}, &objstore.Error{Kind: objstore.ErrInvalid, Op: r.op, Key: key, Message: "a range needs CopyPart"}
	}
	if err := r.copyFrom(t, &src); err != nil {
		return objstore.Written{}, err
	}
	var dropped []string
	tagLater := false
	named := opt.Header != (objstore.Header{}) || len(opt.Meta) > 0 || len(opt.Tags) > 0
	if !named && t.copyNoExpires {
		if err := b.carryExpires(ctx, r, t, &src); err != nil {
			return objstore.Written{}, err
		}
	}
	if named {
		r.set("x-amz-metadata-directive", "REPLACE")
		dropped = r.describe(t, &opt)
		if tagLater = r.tag(t, opt.Tags); t.Tags && t.tagsOnPut {
			r.setFor(tagging, "x-amz-tagging-directive", "REPLACE")
		}
	} else if opt.Class != "" {
		r.setFor(storageClass, "x-amz-storage-class", opt.Class)
	}
	r.encrypt(opt.Encrypt)
	if t.condCopy {
		r.condition(t.Conditional, opt.IfAbsent, opt.IfMatch)
	}
	r.slow = true
	var doc struct {
		ETag              string
		ChecksumCRC64NVME string
		ChecksumType      string
	}
	h, err := b.document(ctx, r, &doc)
	if err != nil {
		return objstore.Written{}, err
	}
	w := written(h)
	w.ETag = unquote(doc.ETag)
	if doc.ChecksumType != "COMPOSITE" && !w.CRC64.Set {
		w.CRC64 = decodeCRC64(doc.ChecksumCRC64NVME)
	}
	w.Dropped, err = b.afterWrite(ctx, r, tagLater, opt.Tags, dropped)
	return w, err
}

// carryExpires names all of the source's attributes to a store that would forget
// its Expires otherwise. Tags go along by themselves.
func (b *Bucket) carryExpires(ctx context.Context, r *request, t *traits, src *objstore.CopySource) error {
	from := b
	if src.Bucket != b.name {
		at := b.place.Load()
		from = &Bucket{svc: b.svc, name: src.Bucket}
		from.traits.Store(t)
		from.place.Store(newPlace(at.endpoint, src.Bucket, at.region, at.virtual))
	}
	info, err := from.Stat(ctx, src.Key)
	if err != nil || info.Header.Expires == "" {
		return err
	}
	r.set("x-amz-metadata-directive", "REPLACE")
	r.describe(t, &objstore.PutOptions{Header: info.Header, Meta: info.Meta})
	if src.IfMatch == "" {
		r.set("x-amz-copy-source-if-match", quote(info.ETag))
	}
	return nil
}

// CopyPart implements objstore.Bucket.
func (b *Bucket) CopyPart(ctx context.Context, key, uploadID string, number int, src objstore.CopySource) (objstore.Part, error) {
	r := newRequest("copy-part", http.MethodPut, key)
	switch {
	case key == "" || uploadID == "":
		return objstore.Part{}, uploadGone(r)
	case src.Offset < 0 || src.Length < 0 || src.Offset > 0 && src.Length == 0:
		return objstore.Part{}, &objstore.Error{Kind: objstore.ErrInvalid, Op: r.op, Key: key, Message: "impossible range"}
	}
	if err := r.copyFrom(b.traits.Load(), &src); err != nil {
		return objstore.Part{}, err
	}
	if src.Length > 0 {
		r.set("x-amz-copy-source-range", "bytes="+strconv.FormatInt(src.Offset, 10)+"-"+strconv.FormatInt(src.Offset+src.Length-1, 10))
	}
	r.query, r.slow = partQuery(uploadID, number), true
	var doc struct {
		ETag              string
		ChecksumCRC64NVME string
	}
	if _, err := b.document(ctx, r, &doc); err != nil {
		return objstore.Part{}, err
	}
	return objstore.Part{Number: number, Size: src.Length, ETag: unquote(doc.ETag), CRC64: decodeCRC64(doc.ChecksumCRC64NVME)}, nil
}

// copyFrom names the source of a copy.
func (r *request) copyFrom(t *traits, src *objstore.CopySource) error {
	if t.MaxCopy == 0 {
		return &objstore.Error{Kind: objstore.ErrUnsupported, Op: r.op, Key: r.key, Message: "no copies inside the store"}
	}
	if src.Key == "" || validBucket(src.Bucket) != nil {
		return &objstore.Error{Kind: objstore.ErrInvalid, Op: r.op, Key: r.key, Message: "no source named"}
	}
	from := append(append(append(make([]byte, 0, 16+len(src.Bucket)+len(src.Key)), '/'), src.Bucket...), '/')
	r.set("x-amz-copy-source", string(appendPath(from, src.Key)))
	if src.IfMatch != "" {
		r.set("x-amz-copy-source-if-match", quote(src.IfMatch))
	}
	return nil
}
