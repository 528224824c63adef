package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// CompleteMultipart makes the object of the parts. Parts of one size that
// number on from 1 are renamed into place, the rest is copied to them within
// the file system. After an error the upload remains.
func (b *Bucket) CompleteMultipart(ctx context.Context, key, uploadID string, parts []objstore.Part, opt objstore.CompleteOptions) (objstore.Written, error) {
	const op = "complete multipart"
	cond := condition{absent: opt.IfAbsent, match: opt.IfMatch}
	if err := checkWrite(op, key); err != nil {
		return objstore.Written{}, err
	}
	u, err := b.openUpload(ctx, op, key, uploadID)
	if err != nil {
		return objstore.Written{}, err
	}
	defer u.close()
	if err := b.preview(op, key, cond); err != nil {
		return objstore.Written{}, err
	}
	if err := u.touch(closedName); err != nil && !errors.Is(err, fs.ErrExist) {
		return objstore.Written{}, b.uploadError(op, key, err)
	}
	stored, safe, err := u.parts()
	if err != nil {
		return objstore.Written{}, b.uploadError(op, key, err)
	}
	w, err := u.choose(stored, parts)
	if err != nil {
		return objstore.Written{}, invalid(op, key, err.Error())
	}
	t, err := b.assemble(ctx, u, w, safe && w.inPlace(stored))
	if err != nil {
		return objstore.Written{}, b.uploadError(op, key, err)
	}
	defer t.discard()
	if err := checkSum(op, key, t.file, w.size, &w.sum, opt.CRC64); err != nil {
		return objstore.Written{}, err
	}
	t.size = w.size
	a := u.attrs
	a.key, a.boot, a.crc64, a.layout = "", "", w.sum, w.layout
	written, err := b.publish(op, key, t, a, cond)
	if err == nil {
		// The object is there; what is left of the upload is swept later if not now.
		_ = b.removeUpload(uploadID)
	}
	return written, err
}

// whole is an object to be made of parts.
type whole struct {
	parts   []storedPart
	offsets []int64 // where each part begins in the object
	size    int64
	sum     objstore.Checksum
	layout  layout
}

var (
	errNoParts   = errors.New("there are no parts")
	errOrder     = errors.New("the parts are not in ascending order")
	errWrongPart = errors.New("a part is not stored, or is another one")
)

// choose finds the stored parts that were named.
func (u upload) choose(stored []storedPart, named []objstore.Part) (*whole, error) {
	if len(named) == 0 {
		return nil, errNoParts
	}
	w := &whole{sum: objstore.Checksum{Set: true}}
	for i, n := range named {
		if i > 0 && n.Number <= named[i-1].Number {
			return nil, errOrder
		}
		for len(stored) > 0 && stored[0].Number < n.Number {
			stored = stored[1:]
		}
		if len(stored) == 0 || stored[0].Number != n.Number || stored[0].ETag != n.ETag {
			return nil, errWrongPart
		}
		p := stored[0]
		w.parts = append(w.parts, p)
		w.offsets = append(w.offsets, w.size)
		w.size += p.Size
		w.layout = w.layout.add(p.Size)
		if w.sum.Set = w.sum.Set && p.CRC64.Set; w.sum.Set {
			w.sum.Sum = objstore.CombineCRC64(w.sum.Sum, p.CRC64.Sum, p.Size)
		}
	}
	if !w.sum.Set {
		w.sum.Sum = 0
	}
	return w, nil
}

// inPlace reports whether the file of the first part can become the object: each
// of its stored parts is wanted and lies where the object has it, so that
// nothing of the upload is overwritten should the completion fail.
func (w *whole) inPlace(stored []storedPart) bool {
	base, placed, inBase := &w.parts[0], 0, 0
	if !base.shared {
		return false
	}
	for i := range w.parts {
		if p := &w.parts[i]; p.shared && p.Size == base.Size && p.offset() == w.offsets[i] {
			placed++
		}
	}
	for i := range stored {
		if p := &stored[i]; p.shared && p.Size == base.Size {
			inBase++
		}
	}
	return placed == inBase
}

// assemble brings the parts together in one file.
func (b *Bucket) assemble(ctx context.Context, u upload, w *whole, inPlace bool) (t *temp, err error) {
	base := w.parts[0].fileName()
	if inPlace {
		t, err = u.take(base)
	} else {
		t, err = b.newTemp()
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			t.discard()
		}
	}()
	for i := range w.parts {
		p := &w.parts[i]
		if inPlace && p.shared && p.fileName() == base {
			continue
		}
		if err := u.copyPart(ctx, t.file, p, w.offsets[i]); err != nil {
			return nil, err
		}
	}
	return t, t.file.Truncate(w.size)
}

// take gives a file of parts another name, under which no other completion
// finds it: one that was stopped, and wakes when the object is there, must not
// hold its file. A crash before the object is there loses these parts.
func (u upload) take(base string) (*temp, error) {
	name := "t" + strconv.FormatInt(nextTime(), 16)
	if err := u.rename(base, u.dir, name); err != nil {
		return nil, err
	}
	t := &temp{at: u.dir, name: name, back: base}
	var err error
	if t.file, err = u.file(name, os.O_RDWR); err != nil {
		_ = u.renameNew(name, u.dir, base)
	}
	return t, err
}

func (u upload) copyPart(ctx context.Context, dst *os.File, p *storedPart, offset int64) error {
	src, err := u.file(p.fileName(), os.O_RDONLY)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	if _, err := dst.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	return copyRange(ctx, dst, src, p.offset(), p.Size)
}
