package file

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
)

// sidecarDir is the directory below Reserved that holds the attributes of
// objects whose file cannot carry them.
const sidecarDir = "meta"

// A sidecar is a file named by the key and by the size and modification time of
// the object it belongs to. So the sidecar of a new object is in place before the
// object is, beside that of the old one, and a crash between the two leaves
// each object with its own. Inodes are left out: a restored backup keeps its metadata.

// sidecarPath is the path of a sidecar below Reserved.
func sidecarPath(key string, s state) (sub, name string) {
	sum := sha256.Sum256([]byte(key))
	p := hex.AppendEncode(make([]byte, 0, 80), sum[:20])
	p = append(p, '-')
	p = strconv.AppendUint(p, uint64(s.mtime), 16)
	p = append(p, '-')
	p = strconv.AppendUint(p, uint64(s.size), 16)
	return string(p[:2]), string(p)
}

// loadAttrs reads the attributes of the object behind f, none when it has none.
func (b *Bucket) loadAttrs(key string, f *os.File, s state) (attrs, error) {
	var a attrs
	if b.xattrs {
		value, err := getXattr(f)
		if err != nil {
			return a, err
		}
		if value != nil {
			if a, err = parseAttrs(value); err != nil || !a.elsewhere {
				return a, err
			}
		}
	}
	if !a.elsewhere && !b.sidecars.Load() {
		return a, nil
	}
	value, err := b.readSidecar(key, s)
	if errors.Is(err, fs.ErrNotExist) {
		return attrs{}, nil
	}
	if err != nil {
		return attrs{}, err
	}
	return parseAttrs(value)
}

// readSidecar returns the sidecar of the object in state s, fs.ErrNotExist when
// there is none.
func (b *Bucket) readSidecar(key string, s state) ([]byte, error) {
	sub, name := sidecarPath(key, s)
	at, err := b.root.walk(Reserved + "/" + sidecarDir + "/" + sub)
	if err != nil {
		return nil, err
	}
	defer at.close()
	f, err := at.file(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f)
}

// saveAttrs gives f, a file in state s that is or will be the object key, its
// attributes: in its extended attribute, else in a sidecar. It may be repeated.
func (b *Bucket) saveAttrs(key string, f *os.File, s state, a attrs) error {
	a.size, a.mtime = s.size, s.mtime
	if b.xattrs {
		err := setXattr(f, a.encode())
		if !isNoRoom(err) {
			return err
		}
		mark := attrs{elsewhere: true}
		if err := setXattr(f, mark.encode()); err != nil {
			return err
		}
	} else if a.isPlain() {
		// A file more per object is too much for a checksum alone.
		return b.dropSidecar(key, s)
	}
	return b.writeSidecar(key, s, a.encode())
}

func (b *Bucket) writeSidecar(key string, s state, value []byte) error {
	sub, name := sidecarPath(key, s)
	t, err := b.newTemp()
	if err != nil {
		return err
	}
	defer t.discard()
	if _, err := t.file.Write(value); err != nil {
		return err
	}
	if b.flushFiles {
		if err := t.file.Sync(); err != nil {
			return err
		}
	}
	b.sidecars.Store(true)
	path := Reserved + "/" + sidecarDir + "/" + sub
	at, made, err := b.makeDirs(path)
	if err != nil {
		return err
	}
	defer at.close()
	if err := t.at.rename(t.name, at, name); err != nil {
		return err
	}
	t.kept = true
	return b.flush(path, made)
}

// dropSidecar removes the sidecar of an object that was in state s, if it has one.
func (b *Bucket) dropSidecar(key string, s state) error {
	if !b.sidecars.Load() {
		return nil
	}
	sub, name := sidecarPath(key, s)
	at, err := b.root.walk(Reserved + "/" + sidecarDir + "/" + sub)
	if err == nil {
		defer at.close()
		err = at.remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
