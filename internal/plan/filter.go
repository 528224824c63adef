package plan

import (
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Filter is an ordered list of rules; the first that matches decides.
//
// A key that no rule matches gets the opposite of the last rule: a list that ends
// in an include means "only these", one that ends in an exclude "all but these",
// and the empty list includes everything. So both of the usual forms do what
// they say:
//
//	--include 'logs/**'                            logs/ and nothing else
//	--exclude '*.tmp'                              all but *.tmp
//	--include keep.tmp --exclude '*.tmp'           all but *.tmp, keep.tmp included
//	--exclude '*.tmp' --include 'logs/**'          logs/ without its *.tmp
//
// (rclone agrees for rules of one kind; rsync needs an explicit --exclude '*'
// behind includes.)
type Filter struct {
	rules []Rule
}

// NewFilter returns a filter of the rules in their order.
func NewFilter(rules ...Rule) Filter { return Filter{rules: slices.Clone(rules)} }

// Rules returns the rules; rule number n is at n-1.
func (f *Filter) Rules() []Rule { return slices.Clone(f.rules) }

// Match says whether the filter includes an object, and which rule (from 1)
// decided; 0 when none matched. now is where ages count from.
func (f *Filter) Match(o *objstore.Object, now time.Time) (included bool, rule int) {
	for i := range f.rules {
		if r := &f.rules[i]; r.matches(o, now) {
			return r.include, i + 1
		}
	}
	return !f.onlyIncluded(), 0
}

// Takes reports whether the filter includes a key whatever its size and age.
func (f *Filter) Takes(key string) bool {
	included, _, sure := f.matchKey(key)
	return sure && included
}

// Refuses reports whether the filter excludes a key whatever its size and age, and which
// rule (from 1) does; 0 when none matches.
func (f *Filter) Refuses(key string) (refused bool, rule int) {
	included, rule, sure := f.matchKey(key)
	return sure && !included, rule
}

// matchKey is Match for a key alone; sure is false when size or age may decide.
func (f *Filter) matchKey(key string) (included bool, rule int, sure bool) {
	o := objstore.Object{Key: key}
	for i := range f.rules {
		switch r := &f.rules[i]; {
		case r.limits != nil:
			return false, 0, false
		case r.matches(&o, time.Time{}):
			return r.include, i + 1, true
		}
	}
	return !f.onlyIncluded(), 0, true
}

// onlyIncluded reports whether keys that no rule matches are excluded.
func (f *Filter) onlyIncluded() bool { return len(f.rules) > 0 && f.rules[len(f.rules)-1].include }

// Prefix returns the longest prefix that every included key must have, "" when
// there is none. A scan may list that prefix alone; the keys outside are then
// neither compared nor counted.
func (f *Filter) Prefix() string {
	if !f.onlyIncluded() {
		return ""
	}
	shared, first := "", true
	for i := range f.rules {
		if !f.rules[i].include {
			continue
		}
		p := f.rules[i].keyPrefix()
		if !first {
			p = shared[:commonLength(shared, p)]
		}
		shared, first = p, false
	}
	return shared
}

// Unwanted reports whether the filter surely excludes every key that begins with prefix.
func (f *Filter) Unwanted(prefix string) bool {
	for i := range f.rules {
		r := &f.rules[i]
		switch p := r.keyPrefix(); {
		case !r.include && r.takesAllBelow() && strings.HasPrefix(prefix, p):
			return true
		case r.include && (strings.HasPrefix(prefix, p) || strings.HasPrefix(p, prefix)):
			return false
		}
	}
	return f.onlyIncluded()
}

// commonLength returns how many first bytes a and b share.
func commonLength(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
