package elastic

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// cron is a Quartz expression: seconds, minutes, hours, day of month, month, day of week,
// and optionally the year. Of days counted from the end of a month or by weekday (L, W, #)
// it knows only that they are well written.
type cron struct {
	second, minute, hour, day, month, weekday uint64 // a bit for each value
	years                                     map[int]struct{}
	// rare says that days are told in a way that has no bits here.
	rare bool
}

// cronField is what a field of an expression may hold.
type cronField struct {
	name      string
	low, high int
	names     []string // of low, low+1, …
}

var (
	cronMonths   = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	cronWeekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	cronFields   = []cronField{
		{"seconds", 0, 59, nil},
		{"minutes", 0, 59, nil},
		{"hours", 0, 23, nil},
		{"day of month", 1, 31, nil},
		{"month", 1, 12, cronMonths},
		{"day of week", 1, 7, cronWeekdays},
		{"year", 1970, 2199, nil},
	}
)

const (
	cronDay     = 3
	cronWeekday = 5
	cronYear    = 6
)

// parseCron reads an expression.
func parseCron(s string) (*cron, error) {
	parts := strings.Fields(strings.ToUpper(s))
	if len(parts) != 6 && len(parts) != 7 {
		return nil, errors.New("expected 6 or 7 fields, found " + strconv.Itoa(len(parts)))
	}
	if (parts[cronDay] == "?") == (parts[cronWeekday] == "?") {
		return nil, errors.New("'?' must be the day of month or the day of week, and not both")
	}
	c := &cron{}
	sets := []*uint64{&c.second, &c.minute, &c.hour, &c.day, &c.month, &c.weekday}
	for i, part := range parts {
		if i == cronYear {
			if part != "*" {
				c.years = map[int]struct{}{}
			}
			if err := c.field(i, part, func(n int) {
				if c.years != nil {
					c.years[n] = struct{}{}
				}
			}); err != nil {
				return nil, err
			}
			continue
		}
		if err := c.field(i, part, func(n int) { *sets[i] |= 1 << n }); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// field reads one field and adds its values.
func (c *cron) field(i int, text string, add func(int)) error {
	f := cronFields[i]
	bad := func(why string) error { return errors.New(f.name + ": " + why) }
	if len(text) > 1000 {
		return bad("too long")
	}
	for item := range strings.SplitSeq(text, ",") {
		if (i == cronDay || i == cronWeekday) && rareDay(i, item) {
			c.rare = true
			continue
		}
		spread, step, stepped := strings.Cut(item, "/")
		n := 1
		if stepped {
			var err error
			if n, err = strconv.Atoi(step); err != nil || n < 1 || n > f.high {
				return bad("bad step " + strconv.Quote(step))
			}
		}
		from, to, err := f.span(i, spread, stepped)
		if err != nil {
			return bad(err.Error())
		}
		if to < from { // e.g. FRI-MON goes over the end
			to += f.high - f.low + 1
		}
		for v := from; v <= to; v += n {
			if v > f.high {
				add(v - (f.high - f.low + 1))
				continue
			}
			add(v)
		}
	}
	return nil
}

// span reads *, ?, a value or a range.
func (f cronField) span(i int, text string, stepped bool) (from, to int, err error) {
	if text == "*" || text == "?" && (i == cronDay || i == cronWeekday) {
		return f.low, f.high, nil
	}
	a, b, isRange := strings.Cut(text, "-")
	if from, err = f.value(a); err != nil {
		return 0, 0, err
	}
	switch {
	case isRange:
		to, err = f.value(b)
	case stepped:
		to = f.high
	default:
		to = from
	}
	if err == nil && i == cronYear && to < from {
		err = errors.New("a range that ends before it begins")
	}
	return from, to, err
}

func (f cronField) value(s string) (int, error) {
	for i, name := range f.names {
		if s == name {
			return f.low + i, nil
		}
	}
	if s == "" || len(s) > 4 || !digits(s) {
		return 0, errors.New("bad value " + strconv.Quote(s))
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < f.low || n > f.high {
		return 0, errors.New("value " + s + " is not between " + strconv.Itoa(f.low) + " and " + strconv.Itoa(f.high))
	}
	return n, nil
}

// rareDay says whether a day is well written in a way without bits: L, L-3, LW, 15W, 6L,
// FRI#2.
func rareDay(i int, s string) bool {
	f := cronFields[i]
	if i == cronWeekday {
		if day, nth, ok := strings.Cut(s, "#"); ok {
			_, err := f.value(day)
			return err == nil && len(nth) == 1 && nth[0] >= '1' && nth[0] <= '5'
		}
		if day, ok := strings.CutSuffix(s, "L"); ok && s != "L" {
			_, err := f.value(day)
			return err == nil
		}
		return s == "L"
	}
	if day, ok := strings.CutSuffix(s, "W"); ok && s != "LW" {
		_, err := f.value(day)
		return err == nil
	}
	if off, ok := strings.CutPrefix(s, "L-"); ok {
		n, err := strconv.Atoi(off)
		return err == nil && n >= 0 && n <= 30
	}
	return s == "L" || s == "LW"
}

// every returns about how often the expression comes true: the longest gap between its
// times in the weeks after now. 0: nobody knows.
func (c *cron) every(now time.Time) time.Duration {
	if c.rare {
		return 31 * 24 * time.Hour
	}
	var last time.Time
	var longest time.Duration
	now = now.UTC()
	day := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	// Within a day the gaps are the same on every day: one is looked at whole.
	within, first, end := c.within()
	for range 70 {
		if c.on(day) {
			if !last.IsZero() {
				longest = max(longest, day.Add(first).Sub(last))
			}
			longest = max(longest, within)
			last = day.Add(end)
		}
		day = day.AddDate(0, 0, 1)
	}
	return longest
}

// on says whether the expression comes true on a day.
func (c *cron) on(day time.Time) bool {
	if c.years != nil {
		if _, ok := c.years[day.Year()]; !ok {
			return false
		}
	}
	return c.month>>int(day.Month())&1 == 1 && c.day>>day.Day()&1 == 1 && c.weekday>>(int(day.Weekday())+1)&1 == 1
}

// within returns the longest gap between times of one day, and its first and last time.
func (c *cron) within() (gap, first, last time.Duration) {
	last = -1
	firstSecond, lastSecond := bits.TrailingZeros64(c.second), 63-bits.LeadingZeros64(c.second)
	for h := range 24 {
		for m := range 60 {
			if c.hour>>h&1 == 0 || c.minute>>m&1 == 0 {
				continue
			}
			at := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
			if last < 0 {
				first = at + time.Duration(firstSecond)*time.Second
			} else {
				gap = max(gap, at+time.Duration(firstSecond)*time.Second-last)
			}
			last = at + time.Duration(lastSecond)*time.Second
		}
	}
	return gap, first, last
}

// quartzFields writes five fields of cron as Quartz does: with seconds, days of the week
// from 1, and a ? for the days that do not count. ok is false where Quartz has no words
// for it: both kinds of days.
func quartzFields(crontab string) (expression string, ok bool) {
	f := strings.Fields(crontab)
	if len(f) != 5 || f[2] != "*" && f[4] != "*" && f[2] != "?" && f[4] != "?" {
		return "", false
	}
	day, weekday := f[2], "?"
	if f[4] != "*" && f[4] != "?" {
		day, weekday = "?", shiftWeekdays(strings.ToUpper(f[4]))
	}
	expression = strings.Join([]string{"0", f[0], f[1], day, strings.ToUpper(f[3]), weekday}, " ")
	_, err := parseCron(expression)
	return expression, err == nil
}

// shiftWeekdays counts days of the week from 1; names and steps stay.
func shiftWeekdays(s string) string {
	items := strings.Split(s, ",")
	for i, item := range items {
		spread, step, stepped := strings.Cut(item, "/")
		ends := strings.Split(spread, "-")
		for k, e := range ends {
			if n, err := strconv.Atoi(e); err == nil {
				ends[k] = strconv.Itoa(n%7 + 1)
			}
		}
		if items[i] = strings.Join(ends, "-"); stepped {
			items[i] += "/" + step
		}
	}
	return strings.Join(items, ",")
}
