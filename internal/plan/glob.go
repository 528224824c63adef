package plan

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// glob is a compiled pattern (ParseRule says what patterns mean). It runs as an
// automaton without backtracking: time grows with the key's length times the
// pattern's, whatever either holds, and a match allocates nothing.
//
// The automaton is Glushkov's: a state for every place of the pattern that
// consumes a character, and for each the states that may come next. The set of
// states alive is a bit set.
type glob struct {
	shape  shape
	text   string // of a literal, prefix or suffix
	prefix string // what every match begins with

	steps  []step
	first  stepSet   // steps that may consume a match's first character
	follow []stepSet // by step: those that may consume the character after it
	ascii  []stepSet // by character below utf8.RuneSelf: those that take it
	last   stepSet   // steps that may consume a match's last character
	empty  bool      // the empty string matches
}

// shape is a form of pattern that needs no automaton.
type shape uint8

const (
	general shape = iota
	literal       // the key is text
	prefix        // the key begins with text: "logs/**"
	suffix        // the key ends with text: "**/*.tmp"
)

// maxSteps bounds a pattern: the longest key of S3 has 1,024 bytes.
const maxSteps = 1024

// stepSet is a set of steps, one bit each, as long as its glob needs.
type stepSet []uint64

func (s stepSet) add(step uint16) { s[step/64] |= 1 << (step % 64) }

// match reports whether the whole of s matches.
func (g *glob) match(s string) bool {
	switch g.shape {
	case literal:
		return s == g.text
	case prefix:
		return strings.HasPrefix(s, g.text)
	case suffix:
		return strings.HasSuffix(s, g.text)
	}
	return strings.HasPrefix(s, g.prefix) && g.run(s)
}

func (g *glob) run(s string) bool {
	var room [2][maxSteps / 64]uint64
	words := len(g.first)
	alive, next := stepSet(room[0][:words]), stepSet(room[1][:words])
	copy(alive, g.first)
	matched := g.empty
	for len(s) > 0 {
		c, size := decode(s)
		s, matched = s[size:], false
		g.keepTaking(alive, c)
		clear(next)
		some := false
		for w, set := range alive {
			some = some || set != 0
			matched = matched || set&g.last[w] != 0
			for ; set != 0; set &= set - 1 {
				for w, set := range g.follow[w*64+bits.TrailingZeros64(set)] {
					next[w] |= set
				}
			}
		}
		if !some {
			return false
		}
		alive, next = next, alive
	}
	return matched
}

// keepTaking drops the steps that do not take c.
func (g *glob) keepTaking(alive stepSet, c rune) {
	if c < utf8.RuneSelf {
		for w, set := range g.ascii[c] {
			alive[w] &= set
		}
		return
	}
	for w := range alive {
		for set := alive[w]; set != 0; set &= set - 1 {
			i := bits.TrailingZeros64(set)
			if !g.steps[w*64+i].takes(c) {
				alive[w] &^= 1 << i
			}
		}
	}
}

// step consumes one character of a key.
type step struct {
	kind   stepKind
	char   rune        // of takesChar
	ranges []charRange // of takesClass
	negate bool        // of takesClass
}

type stepKind uint8

const (
	takesChar    stepKind = iota
	takesAny              // any character, "**"
	takesSegment          // any but "/", "*" and "?"
	takesClass            // one of ranges but "/", "[a-z]"
)

// charRange holds the characters from lo to hi.
type charRange struct{ lo, hi rune }

func (t *step) takes(c rune) bool {
	switch t.kind {
	case takesChar:
		return c == t.char
	case takesAny:
		return true
	case takesSegment:
		return c != '/'
	}
	if c == '/' {
		return false
	}
	for _, r := range t.ranges {
		if r.lo <= c && c <= r.hi {
			return !t.negate
		}
	}
	return t.negate
}

// decode returns the first character of s, which is not empty. A byte that is
// not UTF-8 is a character of its own, past all of Unicode.
func decode(s string) (c rune, size int) {
	if s[0] < utf8.RuneSelf {
		return rune(s[0]), 1
	}
	c, size = utf8.DecodeRuneInString(s)
	if c == utf8.RuneError && size == 1 {
		return utf8.MaxRune + 1 + rune(s[0]), 1
	}
	return c, size
}

// appendChar appends what decode has read.
func appendChar(b []byte, c rune) []byte {
	if c > utf8.MaxRune {
		return append(b, byte(c-utf8.MaxRune-1))
	}
	return utf8.AppendRune(b, c)
}
