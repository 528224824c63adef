package worker

import (
	"strings"
	"unicode/utf8"
)

// fan is what a search knows of the characters that follow a shared beginning.
// Where a key there is not UTF-8 it looks at bytes instead.
type fan struct {
	shared   string
	bytes    bool
	low      rune     // of the place where the partition stands
	top      rune     // the greatest known
	high     rune     // none is as great
	branches []branch // keys found, each the first with its character
}

type branch struct {
	char rune
	key  string
}

// newFan begins with the first two characters known, those of from and next at depth.
func newFan(from, next, until string, depth int) *fan {
	f := &fan{shared: from[:depth]}
	f.bytes = !validAt(from, depth) || !validAt(next, depth)
	f.low, f.top = f.char(from), f.char(next)
	f.branches = []branch{{f.top, next}}
	switch {
	case f.top < utf8.RuneSelf:
		f.high = utf8.RuneSelf // keys past ASCII would be rare here
	case f.bytes:
		f.high = 1 << 8
	default:
		f.high = utf8.MaxRune + 1
	}
	if len(until) > depth && strings.HasPrefix(until, f.shared) && validAt(until, depth) {
		f.high = max(f.top+1, min(f.high, f.char(until)+1))
	}
	return f
}

func validAt(key string, i int) bool {
	c, size := utf8.DecodeRuneInString(key[i:])
	return c != utf8.RuneError || size > 1
}

// char returns a key's character behind the shared beginning.
func (f *fan) char(key string) rune {
	if f.bytes {
		return rune(key[len(f.shared)])
	}
	c, _ := utf8.DecodeRuneInString(key[len(f.shared):])
	return c
}

// guess returns where to look for keys whose character is c or greater.
func (f *fan) guess(c rune) string {
	if f.bytes {
		return f.shared + string([]byte{byte(c)})
	}
	return f.shared + string(c)
}

// learn takes the first key past the guess for c, "" when there is none.
func (f *fan) learn(c rune, key string) {
	// Objects come and go: an answer that fits nowhere counts as none.
	if len(key) <= len(f.shared) || !strings.HasPrefix(key, f.shared) || f.char(key) < c {
		f.high = min(f.high, max(c, f.top+1))
		return
	}
	b := branch{f.char(key), key}
	f.top = max(f.top, b.char)
	f.branches = append(f.branches, b)
}

// balanced returns a key that leaves at least a quarter of the characters on
// either side, whatever the greatest turns out to be; "" while there is none.
func (f *fan) balanced() string {
	for _, b := range f.branches {
		if below := 4 * (b.char - f.low); below >= f.high-1-f.low && below <= 3*(f.top-f.low) {
			return b.key
		}
	}
	return ""
}

// nearest returns the key whose character is nearest to the middle.
func (f *fan) nearest() string {
	best, distance := "", rune(0)
	for _, b := range f.branches {
		d := max(2*b.char-f.low-f.top, f.low+f.top-2*b.char)
		if best == "" || d < distance {
			best, distance = b.key, d
		}
	}
	return best
}
