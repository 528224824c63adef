package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Keep says how long the service keeps what has ended. Zero values are those of
// DefaultKeep.
type Keep struct {
	Jobs      Age // ended jobs with all that belongs to them
	Failures  Age // failed records whose key has ended otherwise since
	Intervals Age // 5-minute statistics
	Lists     Age // lists that could not be uploaded
}

// DefaultKeep lets history survive.
var DefaultKeep = Keep{Jobs: 2 * year, Failures: 2 * year, Intervals: 400 * day, Lists: 400 * day}

const (
	day  = Age(24 * time.Hour)
	year = 365 * day
	// Forever is an Age without end.
	Forever = Age(-1)
)

// Age is a time in days or years: a flag.
type Age time.Duration

// Set implements pflag.Value.
func (a *Age) Set(text string) error {
	v, err := ParseAge(text)
	if err == nil {
		*a = v
	}
	return err
}

// Type implements pflag.Value.
func (*Age) Type() string { return "AGE" }

// String implements pflag.Value.
func (a *Age) String() string {
	switch v := *a; {
	case v < 0:
		return "forever"
	case v >= year && v%year == 0:
		return strconv.FormatInt(int64(v/year), 10) + "y"
	case v%day == 0:
		return strconv.FormatInt(int64(v/day), 10) + "d"
	default:
		return time.Duration(v).String()
	}
}

// ParseAge reads 90d, 2y (of 365 days), forever, or a duration as 36h.
func ParseAge(text string) (Age, error) {
	if text == "forever" {
		return Forever, nil
	}
	for unit, width := range map[string]Age{"d": day, "y": year} {
		digits, ok := strings.CutSuffix(text, unit)
		if n, err := strconv.ParseInt(digits, 10, 64); ok && err == nil && n >= 0 && n <= math.MaxInt64/int64(width) {
			return Age(n) * width, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no age like 90d, 2y or forever", text)
	}
	return Age(d), nil
}

// check completes k. What is younger than a day is of use to somebody.
func (k *Keep) check() error {
	for _, f := range []struct {
		name string
		age  *Age
		def  Age
	}{
		{"jobs", &k.Jobs, DefaultKeep.Jobs},
		{"failures", &k.Failures, DefaultKeep.Failures},
		{"intervals", &k.Intervals, DefaultKeep.Intervals},
		{"lists", &k.Lists, DefaultKeep.Lists},
	} {
		if *f.age == 0 {
			*f.age = f.def
		}
		if *f.age > 0 && *f.age < day {
			return invalid("BAD_KEEP", "--keep-"+f.name+" is less than a day", "give it at least 1d, or forever")
		}
	}
	return nil
}
