package s3

import (
	"net/http"
	"strings"
	"time"
)

// parseTime reads a listing's LastModified, 2006-01-02T15:04:05.000Z with any
// number of digits, by hand: time.Parse costs more than all the rest of an entry.
// Other forms of RFC 3339, and white space around one, go through time.Parse; what is no time gives the zero time.
func parseTime[T string | []byte](s T) time.Time {
	n := len(s)
	if n < 20 || s[n-1] != 'Z' || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return parseOtherTime(string(s))
	}
	year, bad1 := digits4(s[0], s[1], s[2], s[3])
	month, bad2 := digits2(s[5], s[6])
	day, bad3 := digits2(s[8], s[9])
	hour, bad4 := digits2(s[11], s[12])
	minute, bad5 := digits2(s[14], s[15])
	second, bad6 := digits2(s[17], s[18])
	if bad1 || bad2 || bad3 || bad4 || bad5 || bad6 || year < 1 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return parseOtherTime(string(s))
	}
	nanos := int64(0)
	if n > 20 {
		if s[19] != '.' || n > 30 {
			return parseOtherTime(string(s))
		}
		unit := int64(100_000_000)
		for i := 20; i < n-1; i++ {
			d := s[i] - '0'
			if d > 9 {
				return parseOtherTime(string(s))
			}
			nanos += int64(d) * unit
			unit /= 10
		}
		if n == 21 {
			return parseOtherTime(string(s))
		}
	}
	return time.Unix(unixDays(year, month, day)*86400+int64(hour*3600+minute*60+second), nanos).UTC()
}

func digits2(a, b byte) (n int, bad bool) {
	a, b = a-'0', b-'0'
	return int(a)*10 + int(b), a > 9 || b > 9
}

func digits4(a, b, c, d byte) (n int, bad bool) {
	hi, bad1 := digits2(a, b)
	lo, bad2 := digits2(c, d)
	return hi*100 + lo, bad1 || bad2
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month+1), 0, 0, 0, 0, 0, time.UTC).Day()
}

// unixDays counts the days from 1970-01-01 to a Gregorian date (H. Hinnant,
// "chrono-Compatible Low-Level Date Algorithms", days_from_civil).
func unixDays(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	ofEra := year - era*400
	ofYear := (153*(month-3)+2)/5 + day - 1
	return int64(era)*146097 + int64(ofEra*365+ofEra/4-ofEra/100+ofYear) - 719468
}

func parseOtherTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(s))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// parseHTTPTime reads a Last-Modified header, "Mon, 02 Jan 2006 15:04:05 GMT".
func parseHTTPTime(s string) time.Time {
	const form = "Mon, 02 Jan 2006 15:04:05 GMT"
	if len(s) == len(form) && s[25:] == " GMT" && s[19] == ':' && s[22] == ':' {
		if month := strings.Index("JanFebMarAprMayJunJulAugSepOctNovDec", s[8:11]); month >= 0 && month%3 == 0 {
			b := [20]byte{s[12], s[13], s[14], s[15], '-', '0', '0', '-', s[5], s[6], 'T', s[17], s[18], ':', s[20], s[21], ':', s[23], s[24], 'Z'}
			b[5], b[6] = byte('0'+(month/3+1)/10), byte('0'+(month/3+1)%10)
			return parseTime(b[:])
		}
	}
	t, err := http.ParseTime(s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
