package file

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// copyStep is how many bytes are copied between two looks at the context. It is
// a multiple of every block size, so that the pieces can be shared.
const copyStep = 64 << 20

// Copy makes an object of another one in a directory of this machine, which the
// caller must be allowed to read. On Linux the kernel copies the bytes, or shares
// them where the file system can (Btrfs, XFS). The layout in parts is not kept,
// as on S3.
func (b *Bucket) Copy(ctx context.Context, key string, src objstore.CopySource, opt objstore.PutOptions) (objstore.Written, error) {
	const op = "copy"
	cond := condition{absent: opt.IfAbsent, match: opt.IfMatch}
	if err := b.checkPut(ctx, op, key, cond); err != nil {
		return objstore.Written{}, err
	}
	if err := checkEncrypt(op, key, &opt); err != nil {
		return objstore.Written{}, err
	}
	if src.Offset != 0 || src.Length != 0 {
		return objstore.Written{}, invalid(op, key, "a range needs CopyPart")
	}
	from, err := b.openSource(ctx, op, src)
	if err != nil {
		return objstore.Written{}, err
	}
	defer func() { _ = from.file.Close() }()
	t, err := b.newTemp()
	if err != nil {
		return objstore.Written{}, b.writeError(op, key, err)
	}
	defer t.discard()
	if err := from.copyTo(ctx, t.file); err != nil {
		return objstore.Written{}, b.writeError(op, key, err)
	}
	t.size = from.length
	a := newAttrs(opt)
	if kept := from.attrs; a.header == (objstore.Header{}) && len(a.meta) == 0 && len(a.tags) == 0 {
		a.header, a.meta, a.tags = kept.header, kept.meta, kept.tags
		a.class = cmp.Or(a.class, kept.class)
	}
	a.crc64 = from.attrs.crc64
	if err := checkSum(op, key, t.file, from.length, &a.crc64, opt.CRC64); err != nil {
		return objstore.Written{}, err
	}
	return b.publish(op, key, t, a, cond)
}

// source is an object, or a range of it, to copy from.
type source struct {
	key            string
	file           *os.File
	state          state
	attrs          attrs
	offset, length int64
}

// openSource opens what src names, in this bucket or another directory.
func (b *Bucket) openSource(ctx context.Context, op string, src objstore.CopySource) (*source, error) {
	from, err := b.sourceBucket(src.Bucket)
	if err != nil {
		return nil, err
	}
	f, s, a, err := from.load(ctx, op, src.Key)
	if errors.Is(err, objstore.ErrBucketNotFound) && from != b {
		b.forgetSource(src.Bucket)
	}
	if err != nil {
		return nil, err
	}
	length := src.Length
	if length == 0 {
		length = s.size - src.Offset
	}
	switch {
	case src.IfMatch != "" && src.IfMatch != from.etag.of(s):
		err = precondition(op, src.Key, "the source has another ETag")
	case src.Offset < 0 || length < 0 || length > s.size-src.Offset:
		err = invalid(op, src.Key, "the range is not inside the source")
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &source{key: src.Key, file: f, state: s, attrs: a, offset: src.Offset, length: length}, nil
}

// whole reports whether all of the object is copied.
func (src *source) whole() bool { return src.length == src.state.size }

// copyTo appends the range to dst, at its position, and fails with
// ErrPrecondition when the source changes meanwhile.
func (src *source) copyTo(ctx context.Context, dst *os.File) error {
	if err := copyRange(ctx, dst, src.file, src.offset, src.length); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return precondition("copy", src.key, "the source was changed while it was copied")
		}
		return err
	}
	now, err := fileState(src.file)
	if err == nil && !src.state.sameContent(now) {
		err = precondition("copy", src.key, "the source was changed while it was copied")
	}
	return err
}

// copyRange copies length bytes at offset of src to the position of dst:
// os.File.ReadFrom uses copy_file_range, which shares blocks where it can.
func copyRange(ctx context.Context, dst, src *os.File, offset, length int64) error {
	if _, err := src.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	for length > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := dst.ReadFrom(&io.LimitedReader{R: src, N: min(length, copyStep)})
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		length -= n
	}
	return nil
}

// checkSum compares the sum of the whole of f, computing it if it is unknown,
// with the one wanted, if any is.
func checkSum(op, key string, f *os.File, size int64, sum *objstore.Checksum, want objstore.Checksum) error {
	if !want.Set {
		return nil
	}
	if !sum.Set {
		buf := buffers.Get().(*[bufferSize]byte)
		defer buffers.Put(buf)
		r := io.NewSectionReader(f, 0, size)
		for {
			n, err := r.Read(buf[:])
			sum.Sum = objstore.UpdateCRC64(sum.Sum, buf[:n])
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return translate(op, key, err)
			}
		}
		sum.Set = true
	}
	if sum.Sum != want.Sum {
		return &objstore.Error{Kind: objstore.ErrChecksum, Op: op, Key: key}
	}
	return nil
}

// sourceBucket returns the bucket at path, opened once.
func (b *Bucket) sourceBucket(path string) (*Bucket, error) {
	if path == b.path {
		return b, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if src := b.sources[path]; src != nil {
		return src, nil
	}
	src, err := Open(path, Options{Sidecars: b.opt.Sidecars})
	if err != nil {
		return nil, err
	}
	if b.sources == nil {
		b.sources = make(map[string]*Bucket)
	}
	b.sources[path] = src
	return src, nil
}

// forgetSource lets the next copy open the directory at path anew. The old one
// stays open: others may be using it.
func (b *Bucket) forgetSource(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if src := b.sources[path]; src != nil {
		delete(b.sources, path)
		b.retired = append(b.retired, src)
	}
}
