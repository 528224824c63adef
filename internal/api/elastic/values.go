package elastic

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// dateFormat is how Elasticsearch calls the dates that it reads here.
const dateFormat = "strict_date_optional_time||epoch_millis"

// formatDate writes a date in UTC with 3, 6 or 9 digits of the second's fraction.
func formatDate(t time.Time) string {
	t = t.UTC()
	layout := "2006-01-02T15:04:05.000Z"
	switch ns := t.Nanosecond(); {
	case ns%1_000 != 0:
		layout = "2006-01-02T15:04:05.000000000Z"
	case ns%1_000_000 != 0:
		layout = "2006-01-02T15:04:05.000000Z"
	}
	return t.Format(layout)
}

// parseDate reads a date as text: yyyy[-MM[-dd[THH[:mm[:ss[.fraction]]][zone]]]], or
// milliseconds since 1970. Without a zone it is UTC.
func parseDate(s string) (time.Time, bool) {
	if t, ok := parseISO(s); ok {
		return t, true
	}
	whole, fraction, _ := strings.Cut(s, ".")
	ms, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.HasPrefix(whole, "+") || len(fraction) > 6 || strings.HasSuffix(s, ".") || !digits(fraction) {
		return time.Time{}, false
	}
	ns, _ := strconv.Atoi((fraction + "000000")[:6])
	if whole[0] == '-' {
		ns = -ns
	}
	t := time.UnixMilli(ms).Add(time.Duration(ns)).UTC()
	return t, t.Year() >= 0 && t.Year() <= 9999
}

// scanText takes a text apart from its front.
type scanText struct {
	rest string
	ok   bool
}

// number takes exactly n digits.
func (p *scanText) number(n int) int {
	if !p.ok || len(p.rest) < n || !digits(p.rest[:n]) {
		p.ok = false
		return 0
	}
	v, _ := strconv.Atoi(p.rest[:n])
	p.rest = p.rest[n:]
	return v
}

// skip takes one of these characters, if it comes next.
func (p *scanText) skip(any string) bool {
	if !p.ok || p.rest == "" || strings.IndexByte(any, p.rest[0]) < 0 {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func parseISO(s string) (time.Time, bool) {
	p := &scanText{s, true}
	year, month, day := p.number(4), 1, 1
	var hour, minute, second, ns, zone int
	if p.skip("-") {
		month = p.number(2)
		if p.skip("-") {
			day = p.number(2)
			if p.skip("T") && p.rest != "" {
				hour, minute, second, ns = p.clock()
				zone = p.zone()
			}
		}
	}
	if !p.ok || p.rest != "" || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, ns, time.UTC)
	if t.Day() != day { // there is no such day in that month
		return time.Time{}, false
	}
	t = t.Add(-time.Duration(zone) * time.Second)
	return t, t.Year() >= 0 && t.Year() <= 9999
}

// clock takes HH[:mm[:ss[.fraction]]].
func (p *scanText) clock() (hour, minute, second, ns int) {
	hour = p.number(2)
	if !p.skip(":") {
		return hour, 0, 0, 0
	}
	minute = p.number(2)
	if !p.skip(":") {
		return hour, minute, 0, 0
	}
	second = p.number(2)
	if p.skip(".,") {
		n := 0
		for n < len(p.rest) && n < 9 && p.rest[n] >= '0' && p.rest[n] <= '9' {
			n++
		}
		ns = p.number(max(n, 1))
		for ; n < 9; n++ {
			ns *= 10
		}
	}
	return hour, minute, second, ns
}

// zone takes Z, ±HH, ±HHmm or ±HH:mm, or nothing, and returns seconds east of UTC.
func (p *scanText) zone() int {
	if p.rest == "" || p.skip("Z") {
		return 0
	}
	west := strings.HasPrefix(p.rest, "-")
	if !p.skip("+-") {
		p.ok = false
		return 0
	}
	hours, minutes := p.number(2), 0
	if p.skip(":") || p.rest != "" {
		minutes = p.number(2)
	}
	if hours > 18 || minutes > 59 {
		p.ok = false
	}
	if west {
		return -(hours*60 + minutes) * 60
	}
	return (hours*60 + minutes) * 60
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// parseLong reads a whole number of 64 bits from a number or a numeric text, to the digit;
// a fraction is cut off.
func parseLong(s string) (n int64, why *exception) {
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(s), "e")
	unsigned := strings.TrimLeft(mantissa, "+-")
	whole, fraction, _ := strings.Cut(unsigned, ".")
	power, powerErr := 0, error(nil)
	if scientific {
		power, powerErr = strconv.Atoi(exponent) // of one that is out of range: the last that is not
	}
	if len(mantissa)-len(unsigned) > 1 || whole == "" && fraction == "" || !digits(whole) || !digits(fraction) || errors.Is(powerErr, strconv.ErrSyntax) {
		return 0, &exception{kind: "number_format_exception", reason: "For input string: " + strconv.Quote(s)}
	}
	whole, fits := movePoint(whole, fraction, power)
	n, err := strconv.ParseInt(strings.TrimPrefix(mantissa[:len(mantissa)-len(unsigned)], "+")+"0"+whole, 10, 64)
	if !fits || err != nil {
		return 0, outOfRange(s)
	}
	return n, nil
}

// movePoint returns the digits that stand before the point of whole.fraction when it moves
// so many places to the right. fits is false when they are more than 64 bits hold.
func movePoint(whole, fraction string, places int) (out string, fits bool) {
	all := strings.TrimLeft(whole+fraction, "0")
	if all == "" {
		return "", true
	}
	const far = 1 << 30 // more than a body has digits
	beyond := min(max(places, -far), far) - len(fraction)
	switch {
	case beyond <= -len(all):
		return "", true
	case beyond <= 0:
		return all[:len(all)+beyond], true
	case beyond > 19:
		return "", false
	}
	return all + strings.Repeat("0", beyond), true
}

func outOfRange(s string) *exception {
	return illegalArgument("Value [%s] is out of range for a long", s)
}

// date reads a date field; given is false for an absent field and for null.
func (in *input) date(name string) (t time.Time, given bool, err error) {
	s, given := in.text(name)
	if !given {
		return time.Time{}, false, nil
	}
	t, ok := parseDate(s)
	if !ok {
		return time.Time{}, false, in.bad(name, illegalArgument("failed to parse date field [%s] with format [%s]", s, dateFormat))
	}
	return t, true, nil
}

// long reads a count.
func (in *input) long(name string) (n int64, given bool, err error) {
	x := in.get(name)
	if x == nil {
		return 0, false, nil
	}
	n, why := parseLong(x.text)
	if why != nil {
		return 0, false, in.bad(name, why)
	}
	return n, true, nil
}

// number is n as documents hold it.
func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
