package main

import (
	"math"
	"testing"
	"time"
)

func TestFormat(t *testing.T) {
	t.Parallel()
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check(formatCount(0), "0")
	check(formatCount(999), "999")
	check(formatCount(1000), "1,000")
	check(formatCount(1234567), "1,234,567")
	check(formatCount(-1234), "-1,234")
	check(formatCount(math.MinInt64), "-9,223,372,036,854,775,808")
	check(formatBytes(1023), "1023 B")
	check(formatBytes(1024), "1.0 KiB")
	check(formatBytes(1023<<10), "1023.0 KiB")
	check(formatBytes(1<<20-1), "1.0 MiB")
	check(formatBytes(81_920_000), "78.1 MiB")
	check(formatBytes(math.MaxInt64), "8.0 EiB")
	check(formatRate(0), "0.0")
	check(formatRate(9.94), "9.9")
	check(formatRate(9.96), "10")
	check(formatRate(6250.4), "6,250")
	check(formatDuration(0), "0.0 s")
	check(formatDuration(3210*time.Millisecond), "3.2 s")
	check(formatDuration(59*time.Second), "59 s")
	check(formatDuration(245*time.Second), "4 min 05 s")
	check(formatDuration(127*time.Minute), "2 h 07 min")
	check(formatDuration(math.MaxInt64), "more than 100 days")
	check(printable("a b/ä+c%"), "a b/ä+c%")
	check(printable("a\x1b[31m"), `"a\x1b[31m"`)
	check(printable("a\u202eb"), `"a\u202eb"`)
	check(printable("\xff"), `"\xff"`)
	check(clip("abc", 3), "abc")
	check(clip("abcd", 3), "ab…")
	check(clip("äöüß", 3), "äö…")
	check(clip("abc", 0), "")
}

func TestParseBytes(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{
		"0": 0, "1": 1, "7B": 7, "500k": 500 << 10, "10M": 10 << 20, "1.5G": 3 << 29, "64Mi": 64 << 20, "64MiB": 64 << 20, "2T": 2 << 40, "1gib": 1 << 30, ".5K": 512,
	} {
		if got, err := parseBytes(s); err != nil || got != want {
			t.Errorf("parseBytes(%q) = %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "M", "-1", "+1", "1e3", "0x10", "1..2", "10Q", "10MM", "1_000", "NaN", "Inf", "99999999T", "1,5M", "10M/s", "10MB", "10kb", "1 M", "1Ib", "i"} {
		if got, err := parseBytes(s); err == nil {
			t.Errorf("parseBytes(%q) = %d, want an error", s, got)
		}
	}
}
