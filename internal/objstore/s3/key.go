package s3

import (
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// checkKey refuses keys that the store cannot hold or could never list. Only
// writes ask: what a store lists can be read and deleted there.
func (t *traits) checkKey(op, key string) error {
	why := ""
	switch {
	case key == "":
		why = "empty key"
	case t.MaxKey > 0 && len(key) > t.MaxKey:
		why = "key too long"
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

// namedKey refuses the empty key, which would address the bucket.
func namedKey(op, key string) error {
	if key == "" {
		return &objstore.Error{Kind: objstore.ErrKey, Op: op, Message: "empty key"}
	}
	return nil
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
