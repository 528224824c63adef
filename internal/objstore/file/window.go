package file

import "strings"

// window is the part of a directory that a listing asks for, with the
// directory's own path cut off: names in (after, until] that begin with prefix.
type window struct {
	after, until, prefix string
	bounded              bool // until holds
}

// hasPrefix is strings.HasPrefix for a name in bytes.
func hasPrefix[A, B string | []byte](s A, prefix B) bool {
	return len(s) >= len(prefix) && string(s[:len(prefix)]) == string(prefix)
}

// file reports whether a file of that name is asked for.
func (w *window) file(name []byte) bool {
	return string(name) > w.after && (!w.bounded || string(name) <= w.until) && hasPrefix(name, w.prefix)
}

// dir reports whether a directory, its name ending in a slash, may hold keys
// that are asked for.
func (w *window) dir(name []byte) bool {
	if string(name) < w.after && !hasPrefix(w.after, name) {
		return false // all its keys come before
	}
	if w.bounded && string(name) >= w.until {
		return false // all its keys come after
	}
	return hasPrefix(name, w.prefix) || hasPrefix(w.prefix, name)
}

// enter is the window of a directory for which dir is true. The bounds that do
// not cut it in two fall away.
func (w *window) enter(name string) window {
	var in window
	if strings.HasPrefix(w.after, name) {
		in.after = w.after[len(name):]
	}
	if w.bounded && strings.HasPrefix(w.until, name) {
		in.until, in.bounded = w.until[len(name):], true
	}
	if strings.HasPrefix(w.prefix, name) {
		in.prefix = w.prefix[len(name):]
	}
	return in
}
