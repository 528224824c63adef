package file

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// An upload is a directory Reserved/upload/<id>:
//
//	about            what CreateMultipart was told, and the key
//	s<size>          the parts of that size: part n at (n-1)*size
//	c<n>             somebody writes, or wrote, part n into its s file
//	r<n>-<serial>    a part that could not go there
//	p<n>.…           part n is stored (partName)
//	closed           a completion has begun: nobody writes to s files any more
//
// Parts that are cut alike so land in one file at their final place, in
// whatever order they arrive, and completion renames that file. Only the last,
// shorter part is copied, within the file system, as is a part that was stored
// twice. Should a writer be at large whose part never arrived (a process that
// was killed, or is stopped), all parts are copied to a new file: a stray write
// then hits a file that nobody reads. Nothing stored is ever overwritten.
//
// Uploads survive the process, and with NoSync not the boot of the system, whose memory
// may have held the bytes.

// maxSlot bounds where s files end; no common file system ends earlier.
const maxSlot = 1 << 43

const (
	aboutName  = "about"
	closedName = "closed"
)

// CreateMultipart begins an upload.
func (b *Bucket) CreateMultipart(ctx context.Context, key string, opt objstore.PutOptions) (string, error) {
	const op = "create multipart"
	if err := b.checkPut(ctx, op, key, 0, condition{}); err != nil {
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
	if _, err := t.file.Write(about.append(nil)); err != nil {
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

// upload is an open upload.
type upload struct {
	dir
	attrs attrs
}

// openUpload opens the upload id of key, ErrNotFound when there is none.
func (b *Bucket) openUpload(ctx context.Context, op, key, id string) (upload, error) {
	if err := ctx.Err(); err != nil {
		return upload{}, err
	}
	if checkKey(id) != "" {
		return upload{}, b.noUpload(op, key)
	}
	at, err := b.root.walk(Reserved + "/" + uploadDir + "/" + id)
	if err != nil {
		if isAbsent(err) {
			return upload{}, b.noUpload(op, key)
		}
		return upload{}, translate(op, key, err)
	}
	u := upload{dir: at}
	u.attrs, err = u.about()
	switch {
	case err == nil && u.attrs.key == key && (u.attrs.boot == "" || u.attrs.boot == bootID()):
		return u, nil
	case err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errAttrs):
		err = b.noUpload(op, key)
	}
	u.close()
	return upload{}, translate(op, key, err)
}

func (u upload) about() (attrs, error) {
	f, err := u.file(aboutName, os.O_RDONLY)
	if err != nil {
		return attrs{}, err
	}
	defer f.Close()
	p, err := io.ReadAll(f)
	if err != nil {
		return attrs{}, err
	}
	return parseAttrs(p)
}

func (b *Bucket) noUpload(op, key string) error {
	if err := b.alive(); err != nil {
		return err
	}
	return &objstore.Error{Kind: objstore.ErrNotFound, Op: op, Key: key, Message: "there is no such upload"}
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
	defer from.file.Close()
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
	if errors.Is(err, fs.ErrNotExist) {
		return objstore.Part{}, b.noUpload(op, key) // aborted meanwhile
	}
	if err != nil {
		return objstore.Part{}, b.writeError(op, key, err)
	}
	p.ETag = p.etag()
	return p.Part, nil
}

// fill writes the bytes of a part to the place it finds for them.
func (u upload) fill(p *storedPart, write func(*os.File) (objstore.Checksum, error), flush bool) (err error) {
	if err := u.claim(p); err != nil {
		return err
	}
	defer func() {
		// Whoever failed writes no more: the place is free again.
		if err == nil {
			return
		}
		if p.shared {
			_ = u.remove(p.claimName())
		} else {
			_ = u.remove(p.fileName())
		}
	}()
	flag := os.O_RDWR | os.O_CREATE
	if !p.shared {
		flag |= os.O_EXCL
	}
	f, err := u.file(p.fileName(), flag)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(p.offset(), io.SeekStart); err != nil {
		return err
	}
	if p.CRC64, err = write(f); err != nil || !flush {
		return err
	}
	return f.Sync()
}

// claim finds out whether p may go to its place in the s file. Claiming before
// looking for closedName pairs with CompleteMultipart, which closes before it
// looks for claims: one of the two sees the other.
func (u upload) claim(p *storedPart) error {
	if p.Size == 0 || p.Size > maxSlot/int64(p.Number) {
		return nil
	}
	err := u.touch(p.claimName())
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := u.lstat(closedName); err == nil {
		return u.remove(p.claimName())
	}
	p.shared = true
	return nil
}

// touch makes an empty file, fs.ErrExist when there is one.
func (u upload) touch(name string) error {
	f, err := u.file(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	return f.Close()
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

// removeUpload takes the upload away in one step, then its files.
func (b *Bucket) removeUpload(id string) error {
	at, err := b.root.walk(Reserved + "/" + uploadDir)
	if err != nil {
		return err
	}
	defer at.close()
	tmp, err := b.temps(false)
	if err != nil {
		return err
	}
	if err := at.rename(id, tmp, id); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp.removeAll(id)
	return nil
}
