package plan_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ yes, no []string }{
		// The forms of ParseRule.
		"*.tmp":        {[]string{"a.tmp", "x/y/a.tmp", ".tmp", "x/.tmp"}, []string{"a.tmp/b", "a.tmp/", "a.tmpx"}},
		".DS_Store":    {[]string{".DS_Store", "a/.DS_Store"}, []string{"a.DS_Store", ".DS_Store/a"}},
		"img_?.jpg":    {[]string{"img_1.jpg", "a/img_é.jpg", "img_\xff.jpg"}, []string{"img_12.jpg", "img_.jpg"}},
		"logs/*.gz":    {[]string{"logs/a.gz", "logs/.gz"}, []string{"x/logs/a.gz", "logs/a/b.gz", "logs/a.gzip"}},
		"logs/":        {[]string{"logs/", "logs/a", "logs/a/b"}, []string{"logs", "x/logs/a"}},
		"/*.tmp":       {[]string{"a.tmp"}, []string{"x/a.tmp", "/a.tmp"}},
		"/logs/":       {[]string{"logs/a"}, []string{"/logs/a"}},
		"glob:*.tmp":   {[]string{"a.tmp"}, []string{"x/a.tmp"}},
		"glob:/*.tmp":  {[]string{"/a.tmp"}, []string{"a.tmp"}},
		"glob:logs/":   {[]string{"logs/"}, []string{"logs/a"}},
		"name:a*z":     {[]string{"az", "x/abcz"}, []string{"a/z", "az/"}},
		"prefix:logs/": {[]string{"logs/", "logs/a"}, []string{"logs", "x/logs/"}},
		"prefix:a*":    {[]string{"a*", "a*b"}, []string{"ab"}},
		// Wildcards.
		"**":                {[]string{"a", "a/b", "a/b/", "\xff"}, nil},
		"glob:*":            {[]string{"a", "\xff\xfe"}, []string{"a/b", "a/"}},
		"**/*.tmp":          {[]string{"a.tmp", "x/a.tmp", "x/y/a.tmp", "/a.tmp"}, []string{"a.tmp/", "a.tm"}},
		"**/node_modules/":  {[]string{"node_modules/a", "x/node_modules/y/z"}, []string{"node_modules", "xnode_modules/a"}},
		"a/**/b":            {[]string{"a/b", "a/x/b", "a/x/y/b", "a//b"}, []string{"a/xb", "ab", "a/b/c"}},
		"a/**":              {[]string{"a/", "a/b", "a/b/c"}, []string{"a", "b/a/"}},
		"a**/b":             {[]string{"a/b", "ax/b", "a/x/b"}, []string{"ab", "b"}},
		"glob:a***b":        {[]string{"ab", "a/b", "axxb"}, []string{"a"}},
		"glob:a/*/*/b":      {[]string{"a/x/y/b", "a///b"}, []string{"a/x/b", "a/x/y/z/b"}},
		"glob:*a*b*c":       {[]string{"abc", "xaybzc", "aabbcc"}, []string{"acb", "a/bc", "ab"}},
		"glob:[a-c]x":       {[]string{"ax", "bx", "cx"}, []string{"dx", "/x", "x", "Ax"}},
		"glob:[!a-c]x":      {[]string{"dx", "äx", "\xffx"}, []string{"ax", "/x"}},
		"glob:[^a-c]x":      {[]string{"dx"}, []string{"ax", "/x"}},
		"glob:[+-9]x":       {[]string{"+x", "9x", "-x"}, []string{"/x"}},
		"glob:[a\\-c]x":     {[]string{"ax", "-x", "cx"}, []string{"bx"}},
		"glob:[ab-]x":       {[]string{"ax", "-x"}, []string{"cx"}},
		"glob:[\\]]x":       {[]string{"]x"}, []string{"\\x"}},
		"glob:[ä-ü]x":       {[]string{"äx", "öx"}, []string{"ax", "\xc3\xa4"}},
		"glob:[\x80-\xff]x": {[]string{"\x80x", "\xffx"}, []string{"äx", "ax"}},
		"glob:{a,b/*,}x":    {[]string{"ax", "b/x", "b/yx", "x"}, []string{"bx", "a,x"}},
		"glob:{a,{b,c}d}e":  {[]string{"ae", "bde", "cde"}, []string{"be", "ade"}},
		"glob:x{**/,}y":     {[]string{"xy", "x/y", "xa/y"}, []string{"xay"}},
		"glob:{**/a,b}":     {[]string{"a", "x/a", "b"}, []string{"xa", "x/b"}},
		"{*.tmp,*.bak}":     {[]string{"a.tmp", "x/a.bak"}, []string{"a.tmpx"}},
		"glob:\\*\\{\\\\":   {[]string{"*{\\"}, []string{"a{\\"}},
		"glob:a,b":          {[]string{"a,b"}, []string{"a"}},
		"glob:ä?":           {[]string{"äö", "äx"}, []string{"ä", "äxx"}},
		// Keys are bytes: the two forms of é are two keys, and a control is a character.
		"glob:caf\u00e9":  {[]string{"caf\u00e9"}, []string{"cafe\u0301", "cafe"}},
		"glob:a\x00?":     {[]string{"a\x00b"}, []string{"a\x00"}},
		"glob:\xff*":      {[]string{"\xff", "\xffa"}, []string{"ÿ", "\xfe"}},
		"glob:a+ %2F//..": {[]string{"a+ %2F//.."}, []string{"a/"}},
	} {
		r := rule(t, "include "+pattern)
		f := plan.NewFilter(r)
		for _, keys := range []struct {
			want bool
			keys []string
		}{{true, c.yes}, {false, c.no}} {
			for _, key := range keys.keys {
				if got, _ := f.Match(&objstore.Object{Key: key}, noon); got != keys.want {
					t.Errorf("%q matches %q: %v", pattern, key, got)
				}
			}
		}
		if r.String() != "include "+pattern {
			t.Errorf("%q prints as %q", pattern, r)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	const k, m = int64(1) << 10, int64(1) << 20
	now := noon.Add(1000 * 24 * time.Hour)
	age := func(d time.Duration) objstore.Object { return objstore.Object{Key: "k", ModTime: now.Add(-d)} }
	size := func(n int64) objstore.Object { return objstore.Object{Key: "k", Size: n} }
	for pattern, c := range map[string]struct{ yes, no []objstore.Object }{
		"size>10M":               {[]objstore.Object{size(10*m + 1)}, []objstore.Object{size(10 * m), size(0)}},
		"size >= 10MiB":          {[]objstore.Object{size(10 * m)}, []objstore.Object{size(10*m - 1)}},
		"size<1.5k":              {[]objstore.Object{size(1535)}, []objstore.Object{size(1536)}},
		"size<=100":              {[]objstore.Object{size(100)}, []objstore.Object{size(101)}},
		"size=0":                 {[]objstore.Object{size(0)}, []objstore.Object{size(1)}},
		"size=5B":                {[]objstore.Object{size(5)}, []objstore.Object{size(6)}},
		"size>1T":                {[]objstore.Object{size(1<<40 + 1)}, []objstore.Object{size(1 << 40)}},
		"size>=1K,size<1M":       {[]objstore.Object{size(k), size(m - 1)}, []objstore.Object{size(k - 1), size(m)}},
		"age<1h":                 {[]objstore.Object{age(time.Minute), age(-time.Minute)}, []objstore.Object{age(time.Hour), age(48 * time.Hour), size(0)}},
		"age>30d":                {[]objstore.Object{age(31 * 24 * time.Hour)}, []objstore.Object{age(30 * 24 * time.Hour), size(0)}},
		"age>=1d12h":             {[]objstore.Object{age(36 * time.Hour)}, []objstore.Object{age(36*time.Hour - 1)}},
		"age<2w":                 {[]objstore.Object{age(13 * 24 * time.Hour)}, []objstore.Object{age(14 * 24 * time.Hour)}},
		"age>1m":                 {[]objstore.Object{age(61 * time.Second)}, []objstore.Object{age(time.Minute)}},
		"size>0, age<90s,age>1s": {[]objstore.Object{{Key: "k", Size: 1, ModTime: now.Add(-time.Minute)}}, []objstore.Object{age(time.Minute)}},
	} {
		f := plan.NewFilter(rule(t, "include "+pattern))
		for _, o := range c.yes {
			if got, n := f.Match(&o, now); !got || n != 1 {
				t.Errorf("%q does not match %+v", pattern, o)
			}
		}
		for _, o := range c.no {
			if got, n := f.Match(&o, now); got || n != 0 {
				t.Errorf("%q matches %+v", pattern, o)
			}
		}
	}
	// Without a time to count from, or one of the object, no age matches.
	young := plan.NewFilter(rule(t, "exclude age<1000000h"))
	if got, _ := young.Match(&objstore.Object{Key: "k", ModTime: noon}, time.Time{}); !got {
		t.Error("an age matches without a now")
	}
}

func TestFilterOrderAndDefault(t *testing.T) {
	t.Parallel()
	type verdict struct {
		included bool
		rule     int
	}
	for _, c := range []struct {
		rules []string
		want  map[string]verdict
	}{
		{nil, map[string]verdict{"a": {true, 0}}},
		{[]string{"include logs/**"}, map[string]verdict{"logs/a": {true, 1}, "a": {false, 0}}},
		{[]string{"exclude *.tmp"}, map[string]verdict{"a.tmp": {false, 1}, "a": {true, 0}}},
		{[]string{"+ keep.tmp", "- *.tmp"}, map[string]verdict{"keep.tmp": {true, 1}, "a.tmp": {false, 2}, "a": {true, 0}}},
		{[]string{"- *.tmp", "+ logs/**"}, map[string]verdict{"logs/a.tmp": {false, 1}, "logs/a": {true, 2}, "a": {false, 0}}},
		{[]string{"include a*", "exclude *b", "exclude a*"}, map[string]verdict{"ab": {true, 1}, "b": {false, 2}, "c": {true, 0}}},
	} {
		var rules []plan.Rule
		for _, text := range c.rules {
			rules = append(rules, rule(t, text))
		}
		f := plan.NewFilter(rules...)
		for key, want := range c.want {
			included, n := f.Match(&objstore.Object{Key: key}, noon)
			if got := (verdict{included, n}); got != want {
				t.Errorf("%q on %q: %+v, want %+v", c.rules, key, got, want)
			}
		}
	}
}

// Takes is sure of a name only when no rule before the one that decides asks for more.
func TestFilterTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules []string
		want  map[string]bool
	}{
		{nil, map[string]bool{"a": true}},
		{[]string{"+ logs/**"}, map[string]bool{"logs/a": true, "a": false}},
		{[]string{"- *.tmp"}, map[string]bool{"a.tmp": false, "a": true}},
		{[]string{"+ keep.tmp", "- *.tmp", "- size>1M"}, map[string]bool{"keep.tmp": true, "a.tmp": false, "a": false}},
		{[]string{"- age<1h", "+ a"}, map[string]bool{"a": false, "b": false}},
	} {
		var rules []plan.Rule
		for _, text := range c.rules {
			rules = append(rules, rule(t, text))
		}
		f := plan.NewFilter(rules...)
		for key, want := range c.want {
			if got := f.Takes(key); got != want {
				t.Errorf("%q takes %q: %v", c.rules, key, got)
			}
		}
	}
}

// Unwanted is sure that a filter includes nothing below a prefix.
func TestFilterUnwanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules  []string
		prefix string
		want   bool
	}{
		{nil, "a/", false},
		{[]string{"- lost+found/"}, "lost+found/", true},
		{[]string{"- lost+found/"}, "lost+found/b/", true},
		{[]string{"- lost+found/"}, "lost/", false},
		{[]string{"- prefix:lo"}, "lost+found/", true},
		{[]string{"- *.tmp"}, "a.tmp/", false},
		{[]string{"- a/*"}, "a/", false},
		{[]string{"- a/**/b"}, "a/", false},
		{[]string{"- size>1"}, "a/", false},
		{[]string{"+ a/keep", "- a/"}, "a/", false},
		{[]string{"+ a/keep", "- a/"}, "a/b/", true},
		{[]string{"+ *.keep", "- a/"}, "a/", false},
		{[]string{"+ size>1", "- a/"}, "a/", false},
		{[]string{"- a/", "+ a/keep"}, "a/", true},
		{[]string{"+ b/**", "+ c/**"}, "a/", true},
		{[]string{"+ b/**", "+ c/**"}, "c/d/", false},
		{[]string{"+ a/b/**"}, "a/", false},
	} {
		var rules []plan.Rule
		for _, text := range c.rules {
			rules = append(rules, rule(t, text))
		}
		f := plan.NewFilter(rules...)
		if got := f.Unwanted(c.prefix); got != c.want {
			t.Errorf("%q, %q: unwanted %v", c.rules, c.prefix, got)
		}
	}
}

// Refuses names the rule, and is sure only where Takes could be.
func TestFilterRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules []string
		key   string
		want  bool
		rule  int
	}{
		{nil, "a", false, 0},
		{[]string{"+ logs/**"}, "logs/a", false, 1},
		{[]string{"+ logs/**"}, "a", true, 0},
		{[]string{"+ keep.tmp", "- *.tmp"}, "a.tmp", true, 2},
		{[]string{"- *.tmp", "- size>1M"}, "a.tmp", true, 1},
		{[]string{"- size>1M", "- *.tmp"}, "a.tmp", false, 0},
		{[]string{"+ age<1h"}, "a", false, 0},
	} {
		var rules []plan.Rule
		for _, text := range c.rules {
			rules = append(rules, rule(t, text))
		}
		f := plan.NewFilter(rules...)
		if got, n := f.Refuses(c.key); got != c.want || n != c.rule {
			t.Errorf("%q refuses %q: %v by rule %d", c.rules, c.key, got, n)
		}
	}
}

func TestFilterPrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules []string
		want  string
	}{
		{nil, ""},
		{[]string{"exclude logs/**"}, ""},
		{[]string{"include logs/2024/**"}, "logs/2024/"},
		{[]string{"include logs/2024/*.gz", "exclude *.tmp", "include logs/2025/**"}, "logs/202"},
		{[]string{"include logs/2024/**", "include prefix:logs/2024/x"}, "logs/2024/"},
		{[]string{"include glob:a/b"}, "a/b"},
		{[]string{"include glob:a/{b,c}"}, "a/"},
		{[]string{"include a/**", "include *.jpg"}, ""},
		{[]string{"include a/**", "include size>1"}, ""},
		{[]string{"include **/a"}, ""},
		{[]string{"include a/**", "exclude *.tmp"}, ""},
	} {
		var rules []plan.Rule
		for _, text := range c.rules {
			rules = append(rules, rule(t, text))
		}
		f := plan.NewFilter(rules...)
		if got := f.Prefix(); got != c.want {
			t.Errorf("%q: prefix %q, want %q", c.rules, got, c.want)
		}
	}
}

func TestParseRuleErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "include", "exclude ", "maybe *.tmp", "*.tmp", "includes *.tmp",
		"include glob:", "include prefix:", "include name:", "include /", "include name:a/b",
		"include [a", "include []", "include [!]", "include [z-a]", "include {a", "include a}", "include {a,{b}", "include a\\",
		"include size>", "include size>10X", "include size>10KB", "include size>-1", "include size>1e3", "include size><1",
		"include size>1..2", "include size>99999999P", "include size==1", "include size>1,", "include size>1,*.tmp",
		"include age<", "include age<1", "include age<h", "include age<1y", "include age<-1h", "include age<1h30", "include age<9999999w",
	} {
		_, err := plan.ParseRule(text)
		var e *task.Error
		if !errors.As(err, &e) || e.Kind != task.Invalid || e.Code != "BAD_FILTER" || e.Text == "" || e.Next == "" {
			t.Errorf("%q: error %#v", text, err)
		}
	}
}

func FuzzParseRule(f *testing.F) {
	for _, s := range []string{"include *.tmp", "exclude size>10M,age<1h", "- **/{a,[b-d]}/", "+ prefix:\xff", "include {{{{{{{{{{{{{{{{{{{{{{"} {
		f.Add(s, "a/b.tmp", int64(5))
	}
	f.Fuzz(func(t *testing.T, text, key string, size int64) {
		r, err := plan.ParseRule(text)
		if err != nil {
			if task.KindOf(err) != task.Invalid {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := plan.ParseRule(r.String())
		if err != nil || again.String() != r.String() {
			t.Fatalf("%q prints as %q, which reads as %q, %v", text, r, again, err)
		}
		o := &objstore.Object{Key: key, Size: size, ModTime: noon}
		a, b := plan.NewFilter(r), plan.NewFilter(again)
		inA, nA := a.Match(o, noon)
		inB, nB := b.Match(o, noon)
		if inA != inB || nA != nB {
			t.Fatalf("%q and %q differ on %q", text, r, key)
		}
		if p := a.Prefix(); inA && len(key) > 0 && len(p) > 0 && (len(key) < len(p) || key[:len(p)] != p) {
			t.Fatalf("%q includes %q, which lacks the prefix %q", text, key, p)
		}
	})
}
