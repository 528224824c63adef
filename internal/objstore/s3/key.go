package s3

import (
	"strings"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// checkKey refuses keys that the store cannot hold or could never list, for writes.
func (t *traits) checkKey(op, key string) error {
	why := ""
	switch {
	case key == "":
		why = "empty key"
	case t.MaxKey > 0 && len(key) > t.MaxKey:
		why = "key too long"
	case t.pathKeys && !fitsPath(key):
		why = "key is no path of a file"
	case t.reserved != "" && strings.HasPrefix(key, t.reserved):
		why = "key belongs to the store"
	case plainKey(key):
	case !utf8.ValidString(key) && !(t.NonUTF8Keys && t.urlEncoding):
		why = "key is not UTF-8"
	case !t.urlEncoding && !fitsXML(key):
		why = "key cannot be listed in XML"
	}
	if why == "" {
		return nil
	}
	return &objstore.Error{Kind: objstore.ErrKey, Op: op, Key: key, Message: why}
}

// findKey refuses keys that no store has, and those that this one would take for
// another key.
func (t *traits) findKey(op, key string) error {
	switch {
	case key == "":
		return &objstore.Error{Kind: objstore.ErrKey, Op: op, Message: "empty key"}
	case t.pathKeys && !fitsPath(key):
		return &objstore.Error{Kind: objstore.ErrKey, Op: op, Key: key, Message: "key is no path of a file"}
	case t.onlyUTF8 && !t.NonUTF8Keys && !utf8.ValidString(key):
		return &objstore.Error{Kind: objstore.ErrKey, Op: op, Key: key, Message: "key is not UTF-8"}
	}
	return nil
}

// fitsPath reports whether a store that keeps keys as paths of files keeps this
// one as it is: no empty segment but the last, no dots alone, no NUL, no segment
// longer than a file's name.
func fitsPath(key string) bool {
	for rest, more := key, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segment == "" && more || segment == "." || segment == ".." || len(segment) > 255 {
			return false
		}
	}
	return strings.IndexByte(key, 0) < 0
}

// plainKey reports whether key is printable ASCII, as nearly all are.
func plainKey(key string) bool {
	for i := range len(key) {
		if c := key[i]; c < ' ' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// fitsXML reports whether text survives in a document (XML 1.0, production Char).
func fitsXML(s string) bool {
	for _, c := range s {
		switch {
		case c < ' ' && c != '\t' && c != '\n' && c != '\r', c == 0xfffe, c == 0xffff:
			return false
		}
	}
	return utf8.ValidString(s)
}
