package file

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// CreateMultipart begins an upload.
func (b *Bucket) CreateMultipart(ctx context.Context, key string, opt objstore.PutOptions) (string, error) {
	const op = "create multipart"
	if err := b.checkPut(ctx, op, key, condition{}); err != nil {
		return "", err
	}
	if err := checkEncrypt(op, key, &opt); err != nil {
		return "", err
	}
	id := rand.Text()
	if err := b.createUpload(id, key, opt); err != nil {
		return "", b.writeError(op, key, err)
	}
	return id, nil
}

func (b *Bucket) createUpload(id, key string, opt objstore.PutOptions) error {
	// The description is made first and renamed into the new directory, which so
	// never exists without it for longer than a moment.
	t, err := b.newTemp()
	if err != nil {
		return err
	}
	defer t.discard()
	about := newAttrs(opt)
	about.key = key
	if b.opt.NoSync {
		about.boot = bootID()
	}
	if _, err := t.file.Write(about.encode()); err != nil {
		return err
	}
	at, _, err := b.makeDirs(Reserved + "/" + uploadDir + "/" + id)
	if err != nil {
		return err
	}
	defer at.close()
	if err := t.at.rename(t.name, at, aboutName); err != nil {
		return err
	}
	t.kept = true
	return nil
}

// PutPart stores a part. It computes the CRC64NVME on the way and refuses bytes
// that do not have the one given (ErrChecksum).
func (b *Bucket) PutPart(ctx context.Context, key, uploadID string, number int, body io.Reader, size int64, opt objstore.PartOptions) (objstore.Part, error) {
	const op = "put part"
	if size < 0 {
		return objstore.Part{}, invalid(op, key, "the size is negative")
	}
	return b.storePart(ctx, op, key, uploadID, number, size, func(f *os.File) (objstore.Checksum, error) {
		sum, err := copyBody(ctx, f, body, size)
		if err == nil && opt.CRC64.Set && opt.CRC64.Sum != sum {
			err = &objstore.Error{Kind: objstore.ErrChecksum, Op: op, Key: key}
		}
		return objstore.Checksum{Sum: sum, Set: true}, err
	})
}

// CopyPart stores a range of an object as a part, as Copy does. Such a part has
// no CRC64 unless it is a whole object with one.
func (b *Bucket) CopyPart(ctx context.Context, key, uploadID string, number int, src objstore.CopySource) (objstore.Part, error) {
	const op = "copy part"
	from, err := b.openSource(ctx, op, src)
	if err != nil {
		return objstore.Part{}, err
	}
	defer func() { _ = from.file.Close() }()
	return b.storePart(ctx, op, key, uploadID, number, from.length, func(f *os.File) (objstore.Checksum, error) {
		if err := from.copyTo(ctx, f); err != nil || !from.whole() {
			return objstore.Checksum{}, err
		}
		return from.attrs.crc64, nil
	})
}

// storePart lets write put size bytes where part number belongs, and records
// that they are there.
func (b *Bucket) storePart(ctx context.Context, op, key, id string, number int, size int64, write func(*os.File) (objstore.Checksum, error)) (objstore.Part, error) {
	if number < 1 || number > maxParts {
		return objstore.Part{}, invalid(op, key, "the part number is not from 1 to 10,000")
	}
	u, err := b.openUpload(ctx, op, key, id)
	if err != nil {
		return objstore.Part{}, err
	}
	defer u.close()
	p := storedPart{Part: objstore.Part{Number: number, Size: size}, serial: nextTime()}
	err = u.fill(&p, write, b.flushFiles)
	if err == nil {
		err = u.touch(p.recordName())
	}
	if err != nil {
		return objstore.Part{}, b.uploadError(op, key, err)
	}
	p.ETag = p.etag()
	return p.Part, nil
}

// ListParts returns the parts stored so far, also those an earlier process stored.
func (b *Bucket) ListParts(ctx context.Context, key, uploadID string) ([]objstore.Part, error) {
	u, err := b.openUpload(ctx, "list parts", key, uploadID)
	if err != nil {
		return nil, err
	}
	defer u.close()
	stored, _, err := u.parts()
	if err != nil {
		return nil, translate("list parts", key, err)
	}
	parts := make([]objstore.Part, len(stored))
	for i, p := range stored {
		parts[i] = p.Part
	}
	return parts, nil
}

// AbortMultipart forgets an upload.
func (b *Bucket) AbortMultipart(ctx context.Context, key, uploadID string) error {
	u, err := b.openUpload(ctx, "abort multipart", key, uploadID)
	if errors.Is(err, objstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	u.close()
	return b.writeError("abort multipart", key, b.removeUpload(uploadID))
}
