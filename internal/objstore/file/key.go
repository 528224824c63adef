package file

import (
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// checkKey returns why no path can say key, "" when one can.
func checkKey(key string) string {
	switch {
	case key == "":
		return "the key is empty"
	case len(key) > maxKey:
		return "the key is longer than a path may be"
	case strings.IndexByte(key, 0) >= 0:
		return "the key holds a NUL byte"
	}
	for rest, more := key, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		switch {
		case name == "":
			return "the key begins or ends with a slash, or holds two in a row"
		case name == "." || name == "..":
			return `the key holds a segment "." or ".."`
		case len(name) > maxSegment:
			return "a segment of the key is longer than 255 bytes"
		case isReserved(name):
			return "the name " + Reserved + " is reserved"
		}
		if why := checkSegment(name); why != "" {
			return why
		}
	}
	return ""
}

// checkWrite is ErrKey for a key that cannot be held.
func checkWrite(op, key string) error {
	if why := checkKey(key); why != "" {
		return keyError(op, key, why)
	}
	return nil
}

// checkRead is both ErrNotFound and ErrKey for a key that cannot be held: what
// cannot be there is not there.
func (b *Bucket) checkRead(op, key string) error {
	why := checkKey(key)
	if why == "" {
		return nil
	}
	if err := b.alive(op); err != nil {
		return err
	}
	return &objstore.Error{Kind: objstore.ErrNotFound, Op: op, Key: key, Message: why, Err: objstore.ErrKey}
}

func keyError(op, key, why string) error {
	return &objstore.Error{Kind: objstore.ErrKey, Op: op, Key: key, Message: why}
}

// splitKey returns the path of the parent directory, "" for the bucket itself,
// and the name in it.
func splitKey(key string) (parent, name string) {
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		return key[:i], key[i+1:]
	}
	return "", key
}
