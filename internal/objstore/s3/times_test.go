package s3

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzParseTime holds the parser by hand to time.Parse, which takes no white space
// around a time; a listing may have it, in indented XML.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{
		"2026-01-02T03:04:05.000Z", "2024-02-29T23:59:59Z", "2023-02-29T00:00:00Z", "1969-12-31T23:59:59.999999999Z", "0000-01-01T00:00:00Z",
		"2026-13-01T00:00:00Z", "2026-01-02T03:04:05.1234567891Z", "2026-01-02T03:04:05.Z", "2026-01-02T24:00:00Z", "2026-01-02T03:04:60Z",
		"2026-01-02T03:04:05+02:00", "", "2026-01-02T03:04:05,5Z", " 2026-01-02T03:04:05Z\n", " 0000-01-01T0:00:00Z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(s))
		if err != nil {
			want = time.Time{}
		}
		if got := parseTime(s); !got.Equal(want) && (err == nil || !got.IsZero()) {
			t.Errorf("parseTime(%q) = %v, time.Parse %v, %v", s, got, want, err)
		}
	})
}

func TestUnixDays(t *testing.T) {
	t.Parallel()
	for day := time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2401; day = day.AddDate(0, 0, 1) {
		if got := unixDays(day.Year(), int(day.Month()), day.Day()); got != day.Unix()/86400 {
			t.Fatalf("unixDays(%v) = %d, want %d", day, got, day.Unix()/86400)
		}
	}
}

func TestParseHTTPTime(t *testing.T) {
	t.Parallel()
	for month := range 12 {
		want := time.Date(2026, time.Month(month+1), 7, 8, 9, 10, 0, time.UTC)
		if got := parseHTTPTime(want.Format(http.TimeFormat)); !got.Equal(want) {
			t.Errorf("%v is read as %v", want, got)
		}
	}
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for _, s := range []string{"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"} {
		if got := parseHTTPTime(s); !got.Equal(want) {
			t.Errorf("%q is read as %v", s, got)
		}
	}
	for _, s := range []string{"", "0", "Wed, 32 Jan 2026 00:00:00 GMT", "Wed, 01 Foo 2026 00:00:00 GMT"} {
		if got := parseHTTPTime(s); !got.IsZero() {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}
