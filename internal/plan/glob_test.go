package plan

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// globRegexp translates a pattern to a regular expression, character by
// character and apart from the parser under test. It wants a valid pattern.
func globRegexp(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A(?:`)
	starts := []bool{} // of open braces: whether a segment begins there
	start := true
	rs := []rune(pattern)
	for i := 0; i < len(rs); i++ {
		here := start
		start = false
		switch c := rs[i]; c {
		case '*':
			n := i
			for n < len(rs) && rs[n] == '*' {
				n++
			}
			switch {
			case n-i == 1:
				b.WriteString(`[^/]*`)
			case here && n < len(rs) && rs[n] == '/':
				b.WriteString(`(?:.*/)?`)
				n, start = n+1, true
			default:
				b.WriteString(`.*`)
			}
			i = n - 1
		case '?':
			b.WriteString(`[^/]`)
		case '[':
			i = classRegexp(&b, rs, i)
		case '{':
			b.WriteString(`(?:`)
			starts, start = append(starts, here), here
		case '}':
			b.WriteString(`)`)
			starts = starts[:len(starts)-1]
		case ',':
			if len(starts) > 0 {
				b.WriteString(`|`)
				start = starts[len(starts)-1]
			} else {
				b.WriteString(`,`)
			}
		case '\\':
			i++
			b.WriteString(regexp.QuoteMeta(string(rs[i])))
			start = rs[i] == '/'
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
			start = c == '/'
		}
	}
	return regexp.MustCompile(b.String() + `)\z`)
}

// classRegexp writes the set at rs[i], split around the slash, and returns where
// it ends.
func classRegexp(b *strings.Builder, rs []rune, i int) int {
	i++
	negate := rs[i] == '!' || rs[i] == '^'
	if negate {
		i++
	}
	take := func() rune {
		if rs[i] == '\\' {
			i++
		}
		i++
		return rs[i-1]
	}
	class := ""
	add := func(lo, hi rune) {
		if lo <= hi {
			class += `\x{` + hex(lo) + `}-\x{` + hex(hi) + `}`
		}
	}
	for rs[i] != ']' {
		lo := take()
		hi := lo
		if rs[i] == '-' && rs[i+1] != ']' {
			i++
			hi = take()
		}
		if negate || hi < '/' || lo > '/' {
			add(lo, hi)
		} else {
			add(lo, '/'-1)
			add('/'+1, hi)
		}
	}
	switch {
	case negate:
		b.WriteString(`[^/` + class + `]`)
	case class == "":
		b.WriteString(`[^\x{0}-\x{10FFFF}]`)
	default:
		b.WriteString(`[` + class + `]`)
	}
	return i
}

func hex(c rune) string {
	const digits = "0123456789abcdef"
	s := ""
	for ; c > 0 || s == ""; c /= 16 {
		s = string(digits[c%16]) + s
	}
	return s
}

func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{
		{"**/*.tmp", "a/b.tmp"},
		{"logs/**", "logs/x"},
		{"*a*b*c", "xaybzc"},
		{"{a,b/{c,d},}x", "b/cx"},
		{"[!a-c]?", "dé"},
		{"a**/b", "a/x/b"},
		{"x{**/,}y", "xa/y"},
		{"\\*[\\]-a]", "*]"},
		{"[+-9]", "/"},
		{"**a", "ba/a"},
		{"**/*/x", "a/x"},
		{"{**/,}*a/b", "x/a/b"},
		{"**/*a/b", "xa/b"},
		{"?*", "é"},
		{"{,a}{,a}{,a}", "aa"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, key string) {
		g, err := compileGlob(pattern, false)
		// Regular expressions read all bytes that are not UTF-8 as one character.
		if err != nil || !utf8.ValidString(pattern) || !utf8.ValidString(key) || len(pattern) > 200 {
			return
		}
		if got, want := g.match(key), globRegexp(pattern).MatchString(key); got != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, key, got, want)
		}
		segment := key[strings.LastIndexByte(key, '/')+1:]
		n, err := compileGlob(pattern, true)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := n.match(segment), g.match(segment); got != want {
			t.Fatalf("%q as a name matches %q: %v, want %v", pattern, segment, got, want)
		}
	})
}

// The usual patterns need no automaton.
func TestGlobShapes(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]shape{
		"a/b": literal, "logs/**": prefix, "**": prefix, "**/*.tmp": suffix, "**.tmp": suffix,
		"logs/*": general, "**/a": general, "**/*a/b": general, "*.tmp": general, "{a}": general,
	} {
		g, err := compileGlob(pattern, false)
		if err != nil || g.shape != want {
			t.Errorf("%q has shape %d (%v), want %d", pattern, g.shape, err, want)
		}
	}
	for pattern, want := range map[string]shape{"*.tmp": suffix, "a*": prefix, "*": prefix, "a": literal, "a*b": general} {
		g, err := compileGlob(pattern, true)
		if err != nil || g.shape != want {
			t.Errorf("name %q has shape %d (%v), want %d", pattern, g.shape, err, want)
		}
	}
}

// Patterns that make backtracking matchers take forever. The bound is generous,
// for a busy machine: exponential time would pass it by many orders.
func TestGlobTimeIsBounded(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("a", 1023) + "b"
	for _, pattern := range []string{
		strings.Repeat("*a", 500) + "c",
		strings.Repeat("**a", 500) + "c",
		strings.Repeat("{,a}", 500) + "c",
		strings.Repeat("{a,*}", 300) + "c",
		strings.Repeat("{{a,b},?}", 300) + "**c",
		strings.Repeat("**/", 300) + "c",
	} {
		begin := time.Now()
		g, err := compileGlob(pattern, false)
		if err != nil {
			t.Fatal(err)
		}
		if g.match(key) {
			t.Errorf("%.20q… matches", pattern)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%.20q… took %v", pattern, took)
		}
	}
}

func TestGlobTooLong(t *testing.T) {
	t.Parallel()
	if _, err := compileGlob("*"+strings.Repeat("a", maxSteps), false); err == nil {
		t.Error("a pattern without bound is taken")
	}
	if _, err := compileGlob(strings.Repeat("{", 1_000_000), false); err == nil {
		t.Error("braces without bound are taken")
	}
}

func BenchmarkGlob(b *testing.B) {
	key := "photos/2024/holidays/norway/img_000000017.jpg"
	for _, pattern := range []string{"**/*.tmp", "logs/**", "photos/*/**/x*.jpg", "**/node_modules/**", "*a*a*a*a*a*"} {
		b.Run(pattern, func(b *testing.B) {
			g, err := compileGlob(pattern, false)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				g.match(key)
			}
		})
	}
}
