package history

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/task"
)

var at = time.Date(2026, 3, 4, 5, 6, 7, 80e6, time.FixedZone("CET", 3600))

func TestLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line interface{ Append([]byte) []byte }
		want string
	}{
		{SyncedLine{At: at, Key: "a b+c/ä", Size: 7}, "2026-03-04T04:06:07.080Z\ta b+c/ä\t7\n"},
		{SyncedLine{At: at, Key: "old", Deleted: true}, "2026-03-04T04:06:07.080Z\told\t0\tDELETED\n"},
		{SyncedLine{At: at, Key: "a\tb\rc\nd\\e\xfff", Size: 0}, "2026-03-04T04:06:07.080Z\t" + `a\tb\rc\nd\\e\xFFf` + "\t0\n"},
		{
			FailedLine{Reason: task.DestinationDenied, Cause: "access denied\n(403)", At: at, Key: "test/001 +%.txt", StoreCode: "AccessDenied"},
			`DST_DENIED: access denied\n(403)` + "\t2026-03-04T04:06:07.080Z\ttest%2F001%20%2B%25.txt\ttest/001 +%.txt\tAccessDenied\n",
		},
		{FailedLine{Reason: task.SourceGone, At: at, Key: "a b c", Otherwise: "a b+c"}, "SOURCE_GONE\t2026-03-04T04:06:07.080Z\ta%20b+c\ta b c\t\n"},
		{FailedLine{Reason: task.InternalFailure, At: at, Key: "ä"}, "INTERNAL\t2026-03-04T04:06:07.080Z\t%C3%A4\tä\t\n"},
		{IgnoredLine{At: at, Key: "a", Size: 9, Reason: task.UpToDate}, "2026-03-04T04:06:07.080Z\ta\t9\tUP_TO_DATE\n"},
		{IgnoredLine{At: at, Key: "a", Size: 9, Reason: task.Excluded, Rule: 3}, "2026-03-04T04:06:07.080Z\ta\t9\tEXCLUDED_BY_RULE\t3\n"},
	} {
		if got := string(c.line.Append(nil)); got != c.want {
			t.Errorf("%+v\n got %q\nwant %q", c.line, got, c.want)
		}
	}
}

func TestParseRefusesBadLines(t *testing.T) {
	t.Parallel()
	const when = "2026-03-04T04:06:07.080Z"
	parsers := map[string]func([]byte) error{
		"synced":  func(b []byte) error { _, err := ParseSyncedLine(b); return err },
		"failed":  func(b []byte) error { _, err := ParseFailedLine(b); return err },
		"ignored": func(b []byte) error { _, err := ParseIgnoredLine(b); return err },
	}
	for kind, lines := range map[string][]string{
		"synced": {
			"", when, when + "\ta", when + "\ta\t-1", when + "\ta\tx", "now\ta\t1", when + "\ta\t1\tCOPIED", when + "\ta\t1\tDELETED\t",
			"2026-03-04T05:06:07.080+01:00\ta\t1", when + "\ta\\\t1", when + "\t\\q\t1", when + "\t\\x4\t1", when + "\t\\xzz\t1", when + "\t\xff\t1", when + "\ta\rb\t1",
		},
		"failed": {
			"", "R\t" + when + "\ta\ta", "R\t" + when + "\ta\tb\t", "R\t" + when + "\t%zz\ta\t", "R: \t" + when + "\ta\ta\t", "R\tx\ta\ta\t", "R\t" + when + "\ta\ta\t\\",
		},
		"ignored": {when + "\ta\t1", when + "\ta\t1\tR\t0", when + "\ta\t1\tR\tx", when + "\ta\t1\tR\t1\t"},
	} {
		for _, line := range lines {
			if parsers[kind]([]byte(line)) == nil {
				t.Errorf("%s line %q is accepted", kind, line)
			}
		}
	}
}

// FuzzLines writes lines of arbitrary keys and reads them back.
func FuzzLines(f *testing.F) {
	f.Add("photos/a b+c%20.jpg", "timed out: 503", "SlowDown", int64(1), 0)
	f.Add("a\tb\r\n\\x41\\", "\\", "\t", int64(0), 7)
	f.Add("\xff\xfe\xc3", "", "", int64(1<<62), 1)
	f.Add("", ": ", "\ufffd", int64(0), 0)
	f.Fuzz(func(t *testing.T, key, cause, code string, size int64, rule int) {
		size, rule = max(size, 0), max(rule, 0)
		when := at.UTC().Round(0)
		synced := SyncedLine{At: when, Key: key, Size: size, Deleted: rule == 1}
		roundTrip(t, synced.Append(nil), synced, ParseSyncedLine)
		failed := FailedLine{Reason: task.DestinationThrottled, Cause: cause, At: when, Key: key, StoreCode: code}
		line := failed.Append(nil)
		roundTrip(t, line, failed, ParseFailedLine)
		encoded := strings.Split(string(line), "\t")[2]
		for _, decode := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
			if back, err := decode(encoded); err != nil || back != key {
				t.Fatalf("key %q is encoded %q, which reads as %q, %v", key, encoded, back, err)
			}
		}
		ignored := IgnoredLine{At: when, Key: key, Size: size, Reason: task.Excluded, Rule: rule}
		roundTrip(t, ignored.Append(nil), ignored, ParseIgnoredLine)
	})
}

func roundTrip[L any](t *testing.T, line []byte, want L, parse func([]byte) (L, error)) {
	t.Helper()
	text, ended := strings.CutSuffix(string(line), "\n")
	if !ended || strings.ContainsAny(text, "\r\n") {
		t.Fatalf("%q is not one line", line)
	}
	got, err := parse([]byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q (-want +got):\n%s", text, diff)
	}
}

// FuzzParseLines reads arbitrary lines: what is accepted must be written the same way.
func FuzzParseLines(f *testing.F) {
	for _, line := range []string{
		"2026-03-04T04:06:07.080Z\ta b\t7", "2026-03-04T04:06:07.080Z\ta\t0\tDELETED", "2026-03-04T04:06:07.080Z\ta\t9\tEXCLUDED_BY_RULE\t3",
		"DST_DENIED: no\\n\t2026-03-04T04:06:07.080Z\t%C3%A4+\tä \tAccessDenied", "R\t\t\t\t", "\\x\\", "",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if l, err := ParseSyncedLine(line); err == nil {
			again(t, line, l, ParseSyncedLine)
		}
		if l, err := ParseFailedLine(line); err == nil {
			again(t, line, l, ParseFailedLine)
		}
		if l, err := ParseIgnoredLine(line); err == nil {
			again(t, line, l, ParseIgnoredLine)
		}
	})
}

func again[L interface{ Append([]byte) []byte }](t *testing.T, line []byte, l L, parse func([]byte) (L, error)) {
	t.Helper()
	got, err := parse([]byte(strings.TrimSuffix(string(l.Append(nil)), "\n")))
	if err != nil {
		t.Fatalf("%q reads as %+v, which does not read back: %v", line, l, err)
	}
	if diff := cmp.Diff(l, got); diff != "" {
		t.Fatalf("%q changes when written again (-first +second):\n%s", line, diff)
	}
}
