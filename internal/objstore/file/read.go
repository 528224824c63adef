package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Stat describes an object.
func (b *Bucket) Stat(ctx context.Context, key string) (objstore.Info, error) {
	f, s, a, err := b.load(ctx, "stat", key)
	if err != nil {
		return objstore.Info{}, err
	}
	_ = f.Close()
	return b.info(key, s, &a), nil
}

// Tags returns the tags of an object.
func (b *Bucket) Tags(ctx context.Context, key string) (map[string]string, error) {
	f, _, a, err := b.load(ctx, "tags", key)
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	if a.tags == nil {
		a.tags = map[string]string{}
	}
	return a.tags, nil
}

// SetTags replaces the tags of an object. Its ETag changes, its modification
// time does not.
func (b *Bucket) SetTags(ctx context.Context, key string, tags map[string]string) error {
	defer b.lockKey(key).Unlock()
	f, s, a, err := b.load(ctx, "set tags", key)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	a.tags = maps.Clone(tags)
	err = b.saveAttrs(key, f, s, a)
	if err == nil && b.xattrs && !b.opt.NoSync {
		err = f.Sync()
	}
	return translate("set tags", key, err)
}

// Open reads one state of an object: the one IfMatch names, or the one it finds.
// If the file is written to while it is read, the last Read fails with
// ErrPrecondition and withholds its bytes, so that no caller can take a mixture
// for the object. A file replaced or deleted as a whole is read to its end
// undisturbed. Body has no WriteTo: the last bytes are given only once the file
// has been looked at again.
func (b *Bucket) Open(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
	f, s, a, err := b.load(ctx, "open", key)
	if err != nil {
		return nil, err
	}
	info := b.info(key, s, &a)
	if opt.IfMatch != "" && opt.IfMatch != info.ETag {
		_ = f.Close()
		return nil, precondition("open", key, "the object has another ETag")
	}
	offset, length, why := selectRange(s.size, a.layout, opt)
	if why != "" {
		_ = f.Close()
		return nil, invalid("open", key, why)
	}
	return &objstore.Content{
		Info:   info,
		Length: length,
		Body:   &body{key: key, file: f, opened: s, at: offset, left: length},
	}, nil
}

// selectRange returns the bytes opt selects of an object, or why there are none.
// A range may end beyond the object, as on S3, but must begin inside it.
func selectRange(size int64, parts layout, opt objstore.OpenOptions) (offset, length int64, why string) {
	if opt.Part != 0 {
		if opt.Offset != 0 || opt.Length != 0 {
			return 0, 0, "a part and a range were asked for"
		}
		if len(parts) == 0 {
			parts = parts.add(size)
		}
		offset, length, ok := parts.part(opt.Part)
		if !ok {
			return 0, 0, "there is no such part"
		}
		return offset, length, ""
	}
	if opt.Offset < 0 || opt.Length < 0 || opt.Offset > 0 && opt.Offset >= size || opt.Length > 0 && size == 0 {
		return 0, 0, "the range begins outside the object"
	}
	length = size - opt.Offset
	if opt.Length > 0 {
		length = min(length, opt.Length)
	}
	return opt.Offset, length, ""
}

// load opens the object key and reads its attributes; what the bytes have
// outgrown is left out of them.
func (b *Bucket) load(ctx context.Context, op, key string) (*os.File, state, attrs, error) {
	if err := ctx.Err(); err != nil {
		return nil, state{}, attrs{}, err
	}
	f, s, err := b.openObject(op, key)
	if err != nil {
		return nil, state{}, attrs{}, err
	}
	a, err := b.loadAttrs(key, f, s)
	if err != nil {
		_ = f.Close()
		if errors.Is(err, errAttrs) {
			return nil, s, a, &objstore.Error{Kind: objstore.ErrInvalid, Op: op, Key: key, Err: err}
		}
		return nil, s, a, translate(op, key, err)
	}
	if !a.holds(s) {
		a.crc64, a.layout = objstore.Checksum{}, nil
	}
	return f, s, a, nil
}

func (b *Bucket) info(key string, s state, a *attrs) objstore.Info {
	info := objstore.Info{
		Object: b.etag.object(key, s), Header: a.header, Meta: a.meta,
		TagCount: len(a.tags), Parts: a.layout.parts(), CRC64: a.crc64,
	}
	info.Class = a.class
	return info
}

// openObject opens the file of an object. It looks before it opens: opening a
// device may do something.
func (b *Bucket) openObject(op, key string) (*os.File, state, error) {
	if err := b.checkRead(op, key); err != nil {
		return nil, state{}, err
	}
	f, err := b.openFile(key)
	if err == nil {
		var s state
		if s, err = fileState(f); err == nil && s.kind == kindFile {
			return f, s, nil
		}
		_ = f.Close()
		if err == nil {
			err = fs.ErrNotExist
		}
	}
	if isAbsent(err) {
		return nil, state{}, b.notFound(op, key)
	}
	return nil, state{}, translate(op, key, err)
}

func (b *Bucket) openFile(key string) (*os.File, error) {
	parent, name := splitKey(key)
	at, err := b.root.walk(parent)
	if err != nil {
		return nil, err
	}
	defer at.close()
	s, err := at.lstat(name)
	switch {
	case err != nil:
		return nil, err
	case s.kind == kindFile:
		return at.file(name, os.O_RDONLY)
	case s.kind == kindLink:
		if _, err := b.follow(key); err != nil {
			return nil, err
		}
		f, err := b.links.OpenFile(filepath.FromSlash(key), os.O_RDONLY|noBlock, 0)
		return f, linkError(err)
	}
	return nil, fs.ErrNotExist
}

// follow returns the state of the regular file that the link key leads to,
// fs.ErrNotExist when it leads to no file inside the bucket.
func (b *Bucket) follow(key string) (state, error) {
	info, err := b.links.Stat(filepath.FromSlash(key))
	if err != nil {
		return state{}, linkError(err)
	}
	if !info.Mode().IsRegular() {
		return state{}, fs.ErrNotExist
	}
	return stateOfInfo(info), nil
}

// linkError tells a link that leads nowhere, in a circle or out of the bucket
// from a failure to look.
func linkError(err error) error {
	if err != nil && (isAbsent(err) || !isSystemError(err)) {
		return fs.ErrNotExist
	}
	return err
}

// body reads a range of an open file.
type body struct {
	key      string
	file     *os.File
	opened   state
	at, left int64
	err      error
}

func (r *body) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 && r.left > 0 {
		return 0, nil
	}
	p = p[:min(int64(len(p)), r.left)]
	n, err := r.file.ReadAt(p, r.at)
	if n == len(p) {
		err = nil
	}
	switch {
	case isEOF(err):
		r.err = r.changed()
	case errors.Is(err, os.ErrClosed):
		r.err = err
	case err != nil:
		r.err = translate("read", r.key, err)
	case int64(n) == r.left:
		r.err = r.finish()
	}
	if r.err != nil && !isEOF(r.err) {
		return 0, r.err
	}
	r.at += int64(n)
	r.left -= int64(n)
	return n, r.err
}

// finish says how the read ends once all bytes are there.
func (r *body) finish() error {
	now, err := fileState(r.file)
	switch {
	case err != nil:
		return translate("read", r.key, err)
	case !r.opened.sameContent(now):
		return r.changed()
	}
	return io.EOF
}

func (r *body) changed() error {
	return precondition("read", r.key, "the object was changed while it was read")
}

func (r *body) Close() error { return r.file.Close() }

// Restore implements objstore.Bucket: nothing is archived in a directory.
func (b *Bucket) Restore(ctx context.Context, key string, _ int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if key == "" {
		return keyError("restore", key, "empty key")
	}
	return &objstore.Error{Kind: objstore.ErrUnsupported, Op: "restore", Key: key, Message: "nothing is archived in a directory"}
}
