package plan

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// limit is a bound on an object's size or age.
type limit struct {
	age   bool
	op    string // < <= > >= =
	value int64  // bytes, or nanoseconds
}

func (l *limit) holds(o *objstore.Object, now time.Time) bool {
	v := o.Size
	if l.age {
		if o.ModTime.IsZero() || now.IsZero() {
			return false
		}
		v = int64(now.Sub(o.ModTime))
	}
	switch l.op {
	case "<":
		return v < l.value
	case "<=":
		return v <= l.value
	case ">":
		return v > l.value
	case ">=":
		return v >= l.value
	}
	return v == l.value
}

// isLimit reports whether a pattern begins as a limit does, "size" or "age" and
// a comparison.
func isLimit(pattern string) bool {
	_, _, ok := cutLimit(pattern)
	return ok
}

// cutLimit splits "size>10M" into "size" and ">10M".
func cutLimit(text string) (name, rest string, ok bool) {
	text = strings.TrimLeft(text, " ")
	for _, name := range [...]string{"size", "age"} {
		if rest, found := strings.CutPrefix(text, name); found {
			rest = strings.TrimLeft(rest, " ")
			return name, rest, rest != "" && strings.ContainsRune("<>=", rune(rest[0]))
		}
	}
	return "", "", false
}

// parseLimits reads limits separated by commas.
func parseLimits(text string) ([]limit, error) {
	var all []limit
	for part := range strings.SplitSeq(text, ",") {
		name, rest, ok := cutLimit(part)
		if !ok {
			return nil, fmt.Errorf("%q is no bound on size or age", part)
		}
		value := strings.TrimLeft(rest, "<>=")
		l := limit{age: name == "age", op: rest[:len(rest)-len(value)]}
		switch l.op {
		case "<", "<=", ">", ">=", "=":
		default:
			return nil, fmt.Errorf("%q compares nothing; use < <= > >= or =", l.op)
		}
		var err error
		if value = strings.Trim(value, " "); l.age {
			l.value, err = parseAge(value)
		} else {
			l.value, err = parseSize(value)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

var errSize = errors.New("a size is a number of bytes, or of K M G T P (of 1,024), as 10M or 1.5G")

// parseSize reads "10M", "1.5G", "4KiB" or "4096". KB and its like are refused:
// half of the world means 1,000 by it.
func parseSize(s string) (int64, error) {
	digits := strings.TrimLeft(s, "0123456789.")
	number, unit := s[:len(s)-len(digits)], strings.ToLower(digits)
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, errSize
	}
	if unit != "" && unit != "b" {
		power := strings.IndexByte("kmgtp", unit[0]) + 1
		if power == 0 || unit[1:] != "" && unit[1:] != "ib" && unit[1:] != "i" {
			return 0, errSize
		}
		v *= math.Exp2(float64(10 * power))
	}
	if v >= math.MaxInt64 {
		return 0, errSize
	}
	return int64(v), nil
}

var errAge = errors.New("an age is numbers with s, m, h, d or w, as 30m, 12h or 1d12h")

// parseAge reads "1h", "30d" or "1d12h", in nanoseconds.
func parseAge(s string) (int64, error) {
	total := 0.0
	if s == "" {
		return 0, errAge
	}
	for s != "" {
		rest := strings.TrimLeft(s, "0123456789.")
		v, err := strconv.ParseFloat(s[:len(s)-len(rest)], 64)
		if err != nil || rest == "" {
			return 0, errAge
		}
		switch rest[0] {
		case 's':
			v *= float64(time.Second)
		case 'm':
			v *= float64(time.Minute)
		case 'h':
			v *= float64(time.Hour)
		case 'd':
			v *= float64(24 * time.Hour)
		case 'w':
			v *= float64(7 * 24 * time.Hour)
		default:
			return 0, errAge
		}
		total, s = total+v, rest[1:]
	}
	if total >= math.MaxInt64 {
		return 0, fmt.Errorf("%w; at most 292 years", errAge)
	}
	return int64(total), nil
}
