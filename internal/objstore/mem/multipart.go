package mem

import (
	"context"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// upload is a multipart upload under way. Bucket.mu guards it.
type upload struct {
	key   string
	opt   objstore.PutOptions
	parts map[int]*part
}

type part struct {
	objstore.Part
	sum  uint64 // CRC64NVME of data
	data []byte
}

// CreateMultipart implements objstore.Bucket.
func (b *Bucket) CreateMultipart(ctx context.Context, key string, opt objstore.PutOptions) (string, error) {
	const op = "create multipart"
	if err := b.begin(ctx, op, key); err != nil {
		return "", err
	}
	if b.caps.MaxParts == 0 {
		return "", fail(op, key, objstore.ErrUnsupported, "")
	}
	if err := b.checkPut(op, key, &opt); err != nil {
		return "", err
	}
	opt.Meta, opt.Tags = maps.Clone(opt.Meta), maps.Clone(opt.Tags)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.here(op, key); err != nil {
		return "", err
	}
	b.lastUpload++
	id := "upload-" + strconv.Itoa(b.lastUpload)
	b.uploads[id] = &upload{key: key, opt: opt, parts: make(map[int]*part)}
	return id, nil
}

// upload returns the upload of that id. b.mu is held.
func (b *Bucket) upload(op, key, id string) (*upload, error) {
	if err := b.here(op, key); err != nil {
		return nil, err
	}
	u := b.uploads[id]
	if u == nil || u.key != key {
		return nil, fail(op, key, objstore.ErrNotFound, "no such upload")
	}
	return u, nil
}

// PutPart implements objstore.Bucket.
func (b *Bucket) PutPart(ctx context.Context, key, uploadID string, number int, body io.Reader, size int64, opt objstore.PartOptions) (objstore.Part, error) {
	const op = "put part"
	if err := b.beginPart(ctx, op, key, number, size); err != nil {
		return objstore.Part{}, err
	}
	data, sum, err := receive(ctx, op, key, body, size)
	if err != nil {
		return objstore.Part{}, err
	}
	if b.caps.ChecksumPut && opt.CRC64.Set && opt.CRC64.Sum != sum {
		return objstore.Part{}, fail(op, key, objstore.ErrChecksum, "")
	}
	return b.storePart(op, key, uploadID, number, data, sum)
}

// CopyPart implements objstore.Bucket.
func (b *Bucket) CopyPart(ctx context.Context, key, uploadID string, number int, src objstore.CopySource) (objstore.Part, error) {
	const op = "copy part"
	if err := b.beginPart(ctx, op, key, number, src.Length); err != nil {
		return objstore.Part{}, err
	}
	_, data, err := b.source(ctx, op, key, src)
	if err != nil {
		return objstore.Part{}, err
	}
	return b.storePart(op, key, uploadID, number, data, objstore.UpdateCRC64(0, data))
}

func (b *Bucket) beginPart(ctx context.Context, op, key string, number int, size int64) error {
	if err := b.begin(ctx, op, key); err != nil {
		return err
	}
	switch {
	case number < 1 || number > b.caps.MaxParts:
		return fail(op, key, objstore.ErrInvalid, "part number out of range")
	case b.caps.MaxPart > 0 && size > b.caps.MaxPart:
		return fail(op, key, objstore.ErrTooLarge, "")
	}
	return nil
}

func (b *Bucket) storePart(op, key, uploadID string, number int, data []byte, sum uint64) (objstore.Part, error) {
	p := &part{Part: objstore.Part{Number: number, Size: int64(len(data)), ETag: md5ETag(data)}, sum: sum, data: data}
	if b.caps.ChecksumPut {
		p.CRC64 = objstore.Checksum{Sum: sum, Set: true}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	u, err := b.upload(op, key, uploadID)
	if err != nil {
		return objstore.Part{}, err
	}
	u.parts[number] = p
	return p.Part, nil
}

// ListParts implements objstore.Bucket.
func (b *Bucket) ListParts(ctx context.Context, key, uploadID string) ([]objstore.Part, error) {
	if err := b.begin(ctx, "list parts", key); err != nil {
		return nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	u, err := b.upload("list parts", key, uploadID)
	if err != nil {
		return nil, err
	}
	parts := make([]objstore.Part, 0, len(u.parts))
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		parts = append(parts, u.parts[number].Part)
	}
	return parts, nil
}

// CompleteMultipart implements objstore.Bucket. Parts that are not named are
// forgotten with the upload; after an error the upload remains.
func (b *Bucket) CompleteMultipart(ctx context.Context, key, uploadID string, parts []objstore.Part, opt objstore.CompleteOptions) (objstore.Written, error) {
	const op = "complete multipart"
	if err := b.begin(ctx, op, key); err != nil {
		return objstore.Written{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	u, err := b.upload(op, key, uploadID)
	if err != nil {
		return objstore.Written{}, err
	}
	chosen, err := u.choose(op, parts, b.caps.MinPart)
	if err != nil {
		return objstore.Written{}, err
	}
	obj, err := b.assemble(op, u, chosen, opt.CRC64)
	if err != nil {
		return objstore.Written{}, err
	}
	dropped := obj.attach(&u.opt, b.caps)
	if err := b.storeLocked(op, key, obj, condition{opt.IfAbsent, opt.IfMatch}); err != nil {
		return objstore.Written{}, err
	}
	delete(b.uploads, uploadID)
	return obj.written(dropped), nil
}

// choose returns the stored parts that were named, in order.
func (u *upload) choose(op string, named []objstore.Part, minPart int64) ([]*part, error) {
	if len(named) == 0 {
		return nil, fail(op, u.key, objstore.ErrInvalid, "no parts")
	}
	chosen := make([]*part, len(named))
	for i, n := range named {
		p := u.parts[n.Number]
		switch {
		case p == nil || p.ETag != n.ETag:
			return nil, fail(op, u.key, objstore.ErrInvalid, "no such part")
		case i > 0 && n.Number <= named[i-1].Number:
			return nil, fail(op, u.key, objstore.ErrInvalid, "parts out of order")
		case i < len(named)-1 && p.Size < minPart:
			return nil, fail(op, u.key, objstore.ErrInvalid, "part too small")
		}
		chosen[i] = p
	}
	return chosen, nil
}

// assemble makes the object of the parts and checks the sum given for it.
func (b *Bucket) assemble(op string, u *upload, parts []*part, want objstore.Checksum) (*object, error) {
	obj := &object{multi: true, etag: multipartETag(parts), parts: make([][]byte, len(parts))}
	var sum uint64
	for i, p := range parts {
		obj.parts[i] = p.data
		obj.size += p.Size
		sum = objstore.CombineCRC64(sum, p.sum, p.Size)
	}
	if !b.caps.ChecksumComplete {
		return obj, nil
	}
	switch {
	case want.Set && !u.opt.WillCRC64:
		return nil, fail(op, u.key, objstore.ErrInvalid, "checksum was not announced")
	case want.Set && want.Sum != sum:
		return nil, fail(op, u.key, objstore.ErrChecksum, "")
	}
	obj.crc = objstore.Checksum{Sum: sum, Set: true}
	return obj, nil
}

// AbortMultipart implements objstore.Bucket.
func (b *Bucket) AbortMultipart(ctx context.Context, key, uploadID string) error {
	if err := b.begin(ctx, "abort multipart", key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.here("abort multipart", key); err != nil {
		return err
	}
	if u := b.uploads[uploadID]; u != nil && u.key == key {
		delete(b.uploads, uploadID)
	}
	return nil
}
