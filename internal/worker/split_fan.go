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
	high     rune     // none is as great, as far as is known
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
	f.high = utf8.MaxRune + 1
	if f.bytes {
		f.high = 1 << 8
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

// kinds are the first characters past kinds of character that keys rarely mix at
// one place: digits, capitals, small letters, the rest of ASCII, Latin, Greek,
// Cyrillic, other alphabets, symbols, kana, Chinese, Korean, what two bytes of
// UTF-16 hold.
var kinds = [...]rune{
	'9' + 1, 'Z' + 1, 'z' + 1, 0x80, 0x250, 0x400, 0x530, 0x3000, 0x3040, 0x3400, 0xa000, 0xd7b0, 0x10000,
}

// ask returns the character to look at next: at first whether there is a third
// branch at all, then the end of the kind that the greatest known one belongs to,
// and the middle of what is open after that.
func (f *fan) ask() rune {
	if len(f.branches) == 1 {
		return f.top + 1
	}
	if !f.bytes {
		for _, end := range kinds {
			if end > f.top && end < f.high {
				return end
			}
			if end > f.top {
				break
			}
		}
	}
	return (f.top + f.high) / 2
}

// leaves returns what a split at character c leaves before it and in all, in
// half characters, if top is the greatest one. The partition stands somewhere
// inside low, half-way on average.
func (f *fan) leaves(c, top rune) (before, all rune) {
	return 2*(c-f.low) - 1, 2*(top-f.low) + 1
}

// balanced returns a key that leaves at least a quarter of the characters on
// either side, whatever the greatest turns out to be; "" while there is none.
func (f *fan) balanced() string {
	for _, b := range f.branches {
		before, least := f.leaves(b.char, f.top)
		_, most := f.leaves(b.char, f.high-1)
		if 4*before >= most && 4*before <= 3*least {
			return b.key
		}
	}
	return ""
}

// nearest returns the key whose character is nearest to the middle.
func (f *fan) nearest() string {
	best, distance := "", rune(0)
	for _, b := range f.branches {
		before, all := f.leaves(b.char, f.top)
		d := max(2*before-all, all-2*before)
		if best == "" || d < distance {
			best, distance = b.key, d
		}
	}
	return best
}
