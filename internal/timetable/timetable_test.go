package timetable_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones, whatever the machine has

	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/timetable"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestNext goes through nights in which clocks are set. Berlin: forward on March 29, 2026 at
// 01:00Z (02:00 → 03:00), back on October 25 at 01:00Z (03:00 → 02:00). Lord Howe: by half
// an hour, back on April 4 at 15:00Z (02:00 → 01:30).
func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, cron, zone, after, want string }{
		{"utc", "0 3 * * *", "", "2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"},
		{"just before", "0 3 * * *", "", "2026-01-01T02:59:59.5Z", "2026-01-01T03:00:00Z"},
		{"winter", "0 3 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z"},
		{"summer", "0 3 * * *", "Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T01:00:00Z"},
		{"gap", "30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z"},
		{"after the gap", "30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		{"two starts in the gap fall together", "15,45 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:15:00Z"},
		{"twice, the first", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"twice, not the second", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"asked in the second", "30 2 * * *", "Europe/Berlin", "2026-10-25T01:15:00Z", "2026-10-26T01:30:00Z"},
		{"after the turn", "0 3 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"},
		{"every half hour goes on", "*/30 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"},
		{"and in the second", "*/30 * * * *", "Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"},
		{"every half hour over the gap", "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		{"half an hour twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-04T14:45:00Z"},
		{"half an hour once", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"},
		{"no midnight", "*/42 * 4-25 12 *", "America/Asuncion", "1983-03-07T07:29:43Z", "1983-12-04T03:00:00Z"},
		{"a day left out", "0 12 * * *", "Pacific/Apia", "2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z"},
		{"leap day", "0 0 29 2 *", "", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"weekday", "0 0 * * MON", "Asia/Tokyo", "2026-01-01T00:00:00Z", "2026-01-04T15:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := timetable.ParseSchedule(task.Schedule{Cron: c.cron, Zone: c.zone})
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Next(at(t, c.after)); !got.Equal(at(t, c.want)) {
				t.Errorf("after %s: %s, want %s", c.after, got.UTC().Format(time.RFC3339), c.want)
			}
		})
	}
}

// FuzzSchedule: what is taken has a next start, and each start comes after the one before.
func FuzzSchedule(f *testing.F) {
	f.Add("30 2 * * *", "Europe/Berlin", int64(1774746000))
	f.Add("*/5 0-5/2 1,15 JAN-DEC MON-FRI", "America/New_York", int64(0))
	f.Add("0 0 30 2 *", "UTC", int64(1))
	f.Add("TZ=UTC * * * * *", "", int64(1))
	f.Add("TZ=UTC", "", int64(1))
	f.Fuzz(func(t *testing.T, text, zone string, after int64) {
		s, err := timetable.ParseSchedule(task.Schedule{Cron: text, Zone: zone})
		if err != nil {
			if task.KindOf(err) != task.Invalid {
				t.Fatal(err)
			}
			return
		}
		last := time.Unix(after%(1<<32), 0)
		for range 5 {
			next := s.Next(last)
			if next.IsZero() {
				return
			}
			if !next.After(last) || next.Second() != 0 && zone == "" {
				t.Fatalf("%q in %q after %s: %s", text, zone, last, next)
			}
			last = next
		}
	})
}

func TestBadSchedules(t *testing.T) {
	t.Parallel()
	for _, bad := range []task.Schedule{
		{},
		{Cron: "* * * *"},
		{Cron: "* * * * * *"},
		{Cron: "@daily"},
		{Cron: "@every 1h"},
		{Cron: "TZ=UTC * * * * *"},
		{Cron: "TZ=UTC"}, // the parser panics at these
		{Cron: "CRON_TZ="},
		{Cron: "61 * * * *"},
		{Cron: "0 0 30 2 *"},
		{Cron: "* * * * *", Zone: "Local"},
		{Cron: "* * * * *", Zone: "Mars/Olympus"},
		{Cron: "* * * * *", Zone: "../etc"},
		{Cron: "* * * * *", Missed: "twice"},
	} {
		if _, err := timetable.ParseSchedule(bad); task.KindOf(err) != task.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestBadFieldIsNamed(t *testing.T) {
	t.Parallel()
	if _, err := timetable.ParseSchedule(task.Schedule{Cron: "0 25 * * *"}); err == nil || !strings.Contains(err.Error(), "25") {
		t.Errorf("%v does not say which field cannot be", err)
	}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	ws, err := timetable.ParseWindows([]task.Window{
		{From: "08:00", To: "17:59", Zone: "Europe/Berlin", BytesPerSecond: 10},
		{From: "22:00", To: "05:59", Zone: "Europe/Berlin", BytesPerSecond: 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int64{
		"2026-01-01T06:59:59Z": 0, "2026-01-01T07:00:00Z": 10, "2026-01-01T16:59:59Z": 10, "2026-01-01T17:00:00Z": 0,
		"2026-01-01T21:00:00Z": 20, "2026-01-01T23:30:00Z": 20, "2026-01-01T04:59:00Z": 20, "2026-01-01T05:00:00Z": 0,
		"2026-07-01T06:00:00Z": 10, "2026-07-01T05:59:59Z": 0, // summer
	} {
		now := at(t, text)
		got, until := ws.At(now)
		if got != want || !until.After(now) || until.After(now.Add(time.Minute)) || until.Second() != 0 {
			t.Errorf("%s: %d until %s, want %d", text, got, until, want)
		}
	}
	if got, _ := timetable.Windows(nil).At(time.Now()); got != 0 {
		t.Errorf("no window: %d", got)
	}
}

func TestBadWindows(t *testing.T) {
	t.Parallel()
	w := func(from, to string) task.Window { return task.Window{From: from, To: to, BytesPerSecond: 1} }
	for name, c := range map[string]struct {
		in   []task.Window
		text string // in the error; empty: it is good
	}{
		"touching":      {[]task.Window{w("08:00", "11:59"), w("12:00", "18:00")}, ""},
		"whole day":     {[]task.Window{w("00:00", "23:59")}, ""},
		"one minute":    {[]task.Window{w("08:00", "08:00"), w("08:01", "07:59")}, ""},
		"shared end":    {[]task.Window{w("08:00", "12:00"), w("12:00", "18:00")}, "overlap"},
		"inside":        {[]task.Window{w("08:00", "18:00"), w("09:00", "10:00")}, "overlap"},
		"over midnight": {[]task.Window{w("22:00", "06:00"), w("05:00", "07:00")}, "overlap"},
		"zones":         {[]task.Window{w("08:00", "09:00"), {From: "12:00", To: "13:00", Zone: "Asia/Tokyo", BytesPerSecond: 1}}, "zones"},
		"24:00":         {[]task.Window{w("08:00", "24:00")}, "a time like"},
		"one digit":     {[]task.Window{w("8:00", "12:00")}, "a time like"},
		"empty":         {[]task.Window{w("", "")}, "a time like"},
		"no byte":       {[]task.Window{{From: "08:00", To: "09:00"}}, "no byte"},
		"no such zone":  {[]task.Window{{From: "08:00", To: "09:00", BytesPerSecond: 1, Zone: "X/Y"}}, "zone"},
	} {
		_, err := timetable.ParseWindows(c.in)
		if (err == nil) != (c.text == "") || err != nil && (task.KindOf(err) != task.Invalid || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
