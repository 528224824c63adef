package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// maxRaces bounds how often a write begins again because others remove the
// directories it has just made.
const maxRaces = 100

// condition is what must hold for a write.
type condition struct {
	absent bool
	match  string
}

// Put stores an object. It computes the CRC64NVME on the way and refuses bytes
// that do not have the one given (ErrChecksum). An error of body itself is
// wrapped as it is.
func (b *Bucket) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	cond := condition{absent: opt.IfAbsent, match: opt.IfMatch}
	err := checkRequest(ctx, "put", key, size)
	if err == nil {
		err = checkEncrypt("put", key, &opt)
	}
	// What is cheap to write is checked once only, when it gets its name.
	if err == nil && (size > bufferSize || b.flushFiles) {
		err = b.preview("put", key, cond)
	}
	if err != nil {
		return objstore.Written{}, err
	}
	t, err := b.newTemp()
	if err != nil {
		return objstore.Written{}, b.writeError("put", key, err)
	}
	defer t.discard()
	sum, err := copyBody(ctx, t.file, body, size)
	if err != nil {
		return objstore.Written{}, b.writeError("put", key, err)
	}
	if opt.CRC64.Set && opt.CRC64.Sum != sum {
		return objstore.Written{}, &objstore.Error{Kind: objstore.ErrChecksum, Op: "put", Key: key}
	}
	t.size = size
	a := newAttrs(opt)
	a.crc64 = objstore.Checksum{Sum: sum, Set: true}
	return b.publish("put", key, t, a, cond)
}

// checkEncrypt refuses to encrypt: files are as their file system keeps them.
func checkEncrypt(op, key string, opt *objstore.PutOptions) error {
	if opt.Encrypt == "" {
		return nil
	}
	return &objstore.Error{Kind: objstore.ErrEncryption, Op: op, Key: key, Message: "a directory does not encrypt its files"}
}

// checkRequest fails for what no bucket can do.
func checkRequest(ctx context.Context, op, key string, size int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if size < 0 {
		return invalid(op, key, "the size is negative")
	}
	return checkWrite(op, key)
}

// preview fails for what publish would refuse in the present state of the
// bucket, before any byte moves.
func (b *Bucket) preview(op, key string, cond condition) error {
	parent, name := splitKey(key)
	at, err := b.root.walk(parent)
	switch {
	case err == nil:
		defer at.close()
		if err = b.checkSpelling(op, key, parent); err == nil {
			_, err = b.admit(op, key, at, name, cond)
		}
	case errors.Is(err, fs.ErrNotExist) && cond.match != "":
		err = precondition(op, key, "the object does not exist")
	case errors.Is(err, fs.ErrNotExist):
		err = nil // the parents will be made
	}
	return translate(op, key, err)
}

// checkPut is checkRequest and preview.
func (b *Bucket) checkPut(ctx context.Context, op, key string, cond condition) error {
	if err := checkRequest(ctx, op, key, 0); err != nil {
		return err
	}
	return b.preview(op, key, cond)
}

// admit decides whether key, a name in at, may be written: not over what is no
// object, and only under cond. It returns the state of the object there, whose
// kind is kindUnknown when there is none.
func (b *Bucket) admit(op, key string, at dir, name string, cond condition) (state, error) {
	s, err := at.lstat(name)
	if err == nil {
		same, err := b.spelled(at, name)
		if err != nil {
			return s, err
		}
		if !same {
			return s, keyError(op, key, "an object is there in another spelling, which this file system takes for the same")
		}
	}
	if err == nil && s.kind == kindDir {
		// A directory without entries holds no objects and so is not there.
		if at.rmdir(name) != nil {
			return s, keyError(op, key, "a directory of this name holds other objects")
		}
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		if cond.match != "" {
			return state{}, precondition(op, key, "the object does not exist")
		}
		return state{}, nil
	}
	if err != nil {
		return s, err
	}
	if s.kind == kindLink {
		s, err = b.follow(key)
		if errors.Is(err, fs.ErrNotExist) {
			return s, keyError(op, key, "a symbolic link that leads to no object has this name")
		}
		if err != nil {
			return s, err
		}
	}
	switch {
	case s.kind != kindFile:
		return s, keyError(op, key, "a device, fifo or socket has this name")
	case cond.absent:
		return s, precondition(op, key, "the object exists")
	case cond.match != "" && cond.match != b.etag.of(s):
		return s, precondition(op, key, "the object has another ETag")
	}
	return s, nil
}

// publish gives t its attributes and makes it the object key, atomically.
func (b *Bucket) publish(op, key string, t *temp, a attrs, cond condition) (objstore.Written, error) {
	fail := func(err error) (objstore.Written, error) { return objstore.Written{}, b.writeError(op, key, err) }
	s, err := b.stamp(t)
	if err == nil {
		err = b.saveAttrs(key, t.file, s, a)
	}
	if err == nil && b.flushFiles {
		err = t.file.Sync()
	}
	var made []string
	if err == nil {
		made, err = b.place(op, key, t, cond)
	}
	if err != nil {
		_ = b.dropSidecar(key, s)
		return fail(err)
	}
	parent, _ := splitKey(key)
	if err := b.flush(parent, made); err != nil {
		return fail(err)
	}
	if s, err = fileState(t.file); err != nil {
		return fail(err)
	}
	return objstore.Written{ETag: b.etag.of(s), CRC64: a.crc64}, nil
}

// stamp gives t a modification time of its own and returns its size and time.
func (b *Bucket) stamp(t *temp) (state, error) {
	now := nextTime()
	if err := t.at.setTime(t.name, now); err != nil {
		return state{}, err
	}
	if b.exactTimes.Load() {
		return state{size: t.size, mtime: now}, nil
	}
	s, err := fileState(t.file)
	if err == nil && s.mtime == now && now%1000 != 0 {
		b.exactTimes.Store(true) // the file system keeps nanoseconds; no need to look again
	}
	return s, err
}

// place renames t to key, making its parents. It returns the directories that
// have got a new directory.
func (b *Bucket) place(op, key string, t *temp, cond condition) (made []string, err error) {
	defer b.lockKey(key).Unlock()
	parent, name := splitKey(key)
	for range maxRaces {
		at, fresh, err := b.makeDirs(parent)
		made = append(made, fresh...)
		if err == nil {
			if err = b.checkSpelling(op, key, parent); err == nil {
				err = b.rename(op, key, t, at, name, cond)
			}
			at.close()
		}
		if err == nil {
			return made, nil
		}
		// A delete may have removed the parents it found empty; anything else stands.
		if !errors.Is(err, fs.ErrNotExist) {
			if len(made) > 0 {
				b.prune(parent, made[0])
			}
			return nil, err
		}
	}
	return nil, fmt.Errorf("directories of the key keep vanishing: %w", fs.ErrNotExist)
}

func (b *Bucket) rename(op, key string, t *temp, at dir, name string, cond condition) error {
	old, err := b.admit(op, key, at, name, cond)
	if err != nil {
		return err
	}
	if cond.absent {
		err = t.at.renameNew(t.name, at, name)
		if errors.Is(err, fs.ErrExist) {
			return precondition(op, key, "the object exists")
		}
	} else {
		err = t.at.rename(t.name, at, name)
	}
	if err != nil {
		return err
	}
	t.kept = true
	if old.kind == kindFile {
		// A sidecar that stays behind is never read again: it names the old object.
		_ = b.dropSidecar(key, old)
	}
	return nil
}

// makeDirs opens the directory at path, making what is missing. made lists the
// directories that have got a new one.
func (b *Bucket) makeDirs(path string) (at dir, made []string, err error) {
	at, err = b.root.walk(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return at, nil, err
	}
	at, err = b.root.walk("")
	for end := 0; err == nil && end < len(path); {
		start := end
		if start > 0 {
			start++
		}
		if end = strings.IndexByte(path[start:], '/'); end < 0 {
			end = len(path)
		} else {
			end += start
		}
		var next dir
		next, err = at.enter(path[start:end])
		if errors.Is(err, fs.ErrNotExist) {
			if err = at.mkdir(path[start:end]); err == nil {
				made = append(made, path[:max(start-1, 0)])
			}
			if err == nil || errors.Is(err, fs.ErrExist) {
				next, err = at.enter(path[start:end])
			}
		}
		at.close()
		at = next
	}
	return at, made, err
}

// writeError translates an error of a write, where a missing name can only be
// the bucket, or a race lost too often.
func (b *Bucket) writeError(op, key string, err error) error {
	if errors.Is(err, errTooShort) || errors.Is(err, errTooLong) {
		return &objstore.Error{Kind: objstore.ErrInvalid, Op: op, Key: key, Err: err}
	}
	if foreign, ok := errors.AsType[*bodyError](err); ok {
		return fmt.Errorf("%s %q: read body: %w", op, key, foreign.err)
	}
	if errors.Is(err, fs.ErrNotExist) && !isTranslated(err) {
		if gone := b.alive(op); gone != nil {
			return gone
		}
		return &objstore.Error{Kind: objstore.ErrUnavailable, Op: op, Key: key, Err: err}
	}
	return translate(op, key, err)
}
