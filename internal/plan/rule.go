package plan

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Rule includes or excludes the objects that match it. Make one with Include,
// Exclude or ParseRule; the zero value excludes everything.
type Rule struct {
	include bool
	pattern string // as given

	// One of these is set, or limits.
	glob   *glob
	name   bool // glob matches the last segment, not the whole key
	prefix string
	limits []limit
}

// Include returns the rule that includes what matches pattern. ParseRule says
// what patterns are.
func Include(pattern string) (Rule, error) { return newRule(true, pattern) }

// Exclude returns the rule that excludes what matches pattern.
func Exclude(pattern string) (Rule, error) { return newRule(false, pattern) }

// ParseRule reads "include PATTERN" or "exclude PATTERN" ("+" and "-" for
// short). PATTERN is everything behind the blanks that follow the word:
//
//	glob:GLOB      the whole key matches                 glob:logs/*.gz   glob:**/*.tmp
//	name:GLOB      what follows the key's last / matches   name:*.tmp       name:.DS_Store
//	prefix:BYTES   the key begins with BYTES             prefix:logs/
//	size>10M       the size: < <= > >= =, in bytes or K M G T P (of 1,024)
//	age<1h         the time since it was modified, in s m h d w, as 1d12h
//	size>=1K,size<1M,age>30d                             all of them
//	GLOB           a glob in the form that users of rsync and rclone expect:
//	    *.tmp          without a / it is name:, so it matches at any depth
//	    logs/*.gz      with a / it is glob:, from the key's first byte to its last
//	    logs/          ending in / it means all below: glob:logs/**
//	    /*.tmp         a / in front is dropped: glob:*.tmp, the top level alone
//
// In a GLOB * is any run of characters but /, ** any run at all, ? one character
// but /, [a-z] and [!a-z] one of a set but never /, {a,b} one of several patterns,
// and \ takes the next character as it is. "**/" where a segment begins also
// matches nothing: **/x matches x and a/b/x. A character is one of UTF-8, or a
// byte that is not UTF-8; é in one form does not match é in another.
//
// An object whose time is unknown matches no age. Errors are *task.Error of kind
// Invalid with code BAD_FILTER.
func ParseRule(text string) (Rule, error) {
	word, pattern, found := strings.Cut(strings.TrimLeft(text, " \t"), " ")
	pattern = strings.TrimLeft(pattern, " \t")
	if found {
		switch word {
		case "include", "+":
			return Include(pattern)
		case "exclude", "-":
			return Exclude(pattern)
		}
	}
	return Rule{}, badFilter(text, errors.New("it does not begin with include or exclude and a pattern"))
}

func newRule(include bool, pattern string) (Rule, error) {
	r := Rule{include: include, pattern: pattern}
	var err error
	switch kind, rest := splitPattern(pattern); {
	case rest == "":
		err = errors.New("it is empty")
	case kind == "prefix":
		r.prefix = rest
	case kind == "limits":
		r.limits, err = parseLimits(rest)
	case kind == "name" && strings.Contains(rest, "/"):
		err = errors.New("a name has no /; write glob: for the whole key")
	default:
		r.name = kind == "name"
		r.glob, err = compileGlob(rest, r.name)
	}
	if err != nil {
		return Rule{}, badFilter(pattern, err)
	}
	return r, nil
}

// splitPattern tells the kind of a pattern, glob, name, prefix or limits, and
// what it applies to.
func splitPattern(pattern string) (kind, rest string) {
	for _, kind := range [...]string{"glob", "name", "prefix"} {
		if rest, ok := strings.CutPrefix(pattern, kind+":"); ok {
			return kind, rest
		}
	}
	if isLimit(pattern) {
		return "limits", pattern
	}
	if !strings.Contains(pattern, "/") {
		return "name", pattern
	}
	pattern = strings.TrimPrefix(pattern, "/")
	if strings.HasSuffix(pattern, "/") {
		pattern += "**"
	}
	return "glob", pattern
}

func badFilter(text string, err error) error {
	return &task.Error{
		Kind: task.Invalid, Code: "BAD_FILTER",
		Text: fmt.Sprintf("filter %q: %v", text, err),
		Next: "write a glob (logs/**, *.tmp), prefix:logs/, size>10M or age<1h, in quotes",
	}
}

// String returns the rule in the form that ParseRule reads.
func (r Rule) String() string {
	if r.include {
		return "include " + r.pattern
	}
	return "exclude " + r.pattern
}

func (r *Rule) matches(o *objstore.Object, now time.Time) bool {
	switch {
	case r.limits != nil:
		for i := range r.limits {
			if !r.limits[i].holds(o, now) {
				return false
			}
		}
		return true
	case r.glob == nil:
		return strings.HasPrefix(o.Key, r.prefix)
	case r.name:
		return r.glob.match(o.Key[strings.LastIndexByte(o.Key, '/')+1:])
	}
	return r.glob.match(o.Key)
}

// keyPrefix returns what every key begins with that the rule matches.
func (r *Rule) keyPrefix() string {
	switch {
	case r.limits != nil || r.name:
		return ""
	case r.glob == nil:
		return r.prefix
	case r.glob.shape == literal:
		return r.glob.text
	}
	return r.glob.prefix
}

// takesAllBelow reports whether the rule matches every key that begins with keyPrefix.
func (r *Rule) takesAllBelow() bool {
	return r.limits == nil && !r.name && (r.glob == nil || r.glob.shape == prefix)
}
