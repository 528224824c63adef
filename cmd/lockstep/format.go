package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// formatCount is n with a comma between thousands.
func formatCount(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// formatBytes is n in units of 1,024, as --limit-rate and the rules read them.
func formatBytes(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, units := float64(n)/1024, "KMGTPE"
	for v >= 1023.95 && len(units) > 1 {
		v, units = v/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", v, units[0])
}

// formatRate is n a second, with one digit after the point below ten.
func formatRate(perSecond float64) string {
	if perSecond < 9.95 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return formatCount(int64(math.Round(perSecond)))
}

// formatDuration is d as a person says it: 3.2 s, 4 min 05 s, 2 h 07 min.
func formatDuration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 100*24*time.Hour:
		return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return "more than 100 days"
}

// formatLag is a lag in seconds: 3.1 ms, 250 ms, then as formatDuration.
func formatLag(seconds float64) string {
	switch ms := seconds * 1000; {
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return formatDuration(time.Duration(seconds * float64(time.Second)))
}

// parseBytes reads a number of bytes as plan's rules do: K, M, G, T, P are powers
// of 1,024 and may be followed by i or iB. KB and its like are refused, because
// half of the world means 1,000 by it.
func parseBytes(s string) (int64, error) {
	unit := strings.TrimLeft(s, "0123456789.")
	n, err := strconv.ParseFloat(s[:len(s)-len(unit)], 64)
	known := unit == "" || unit == "B"
	if power := strings.IndexByte("KMGTP", (strings.ToUpper(unit) + " ")[0]); power >= 0 {
		rest := strings.ToUpper(unit[1:])
		known = rest == "" || rest == "I" || rest == "IB"
		n *= math.Exp2(float64(10 * (power + 1)))
	}
	if err != nil || !known || n >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is no number of bytes like 500K, 10M or 1.5G", s)
	}
	return int64(n), nil
}

// printable quotes s when it holds what a terminal would obey or cannot show.
// Keys are bytes that others chose.
func printable(s string) string {
	if !utf8.ValidString(s) {
		return strconv.Quote(s)
	}
	for _, r := range s {
		if r != ' ' && !unicode.IsGraphic(r) || r == '\u2028' || r == '\u2029' {
			return strconv.Quote(s)
		}
	}
	return s
}

// oneLine is text of errors, which may hold several lines and the words of others.
func oneLine(s string) string {
	var parts []string
	for part := range strings.SplitSeq(s, "\n") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return printable(strings.Join(parts, "; "))
}

// clip shortens s to width columns, one rune each. Wider runes are cut by the
// terminal itself.
func clip(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	runes := []rune(s)
	return string(runes[:width-1]) + "…"
}
