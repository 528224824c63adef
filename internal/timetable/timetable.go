// Package timetable says what the clock says: when scans of a schedule start, and how much
// bandwidth a task has now. It is pure: whoever asks brings the time.
package timetable

import (
	"errors"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Schedule is when scans start: five fields of cron by the clock of a time zone.
//
// Where a clock is set forward, a start in the hour that is left out comes at its end; where
// it is set back, a start in the hour that is there twice comes the first time only. A
// schedule for every hour (hours begin with *) goes by the time that passes instead.
type Schedule struct {
	spec   *cron.SpecSchedule
	zone   *time.Location
	hourly bool
}

// ParseSchedule reads a schedule with times. Invalid.
func ParseSchedule(s task.Schedule) (Schedule, error) {
	spec, err := parseFields(s.Cron)
	switch {
	case err != nil && len(strings.Fields(s.Cron)) == 5 && !errors.Is(err, errNoFields):
		return Schedule{}, invalid(badSchedule, "a field of the schedule cannot be: "+err.Error(), "write minute, hour, day of month, month, day of week, e.g. 30 2 * * *")
	case err != nil:
		return Schedule{}, invalid(badSchedule, "the schedule is not five fields of cron", "write minute, hour, day of month, month, day of week, e.g. 30 2 * * *")
	}
	zone, err := parseZone(badSchedule, s.Zone)
	if err != nil {
		return Schedule{}, err
	}
	switch s.Missed {
	case "", "run", "skip":
	default:
		return Schedule{}, invalid(badSchedule, "there is no such policy for missed starts", "use run or skip")
	}
	spec.Location = time.UTC // the parser's own arithmetic with zones goes wrong where days have no midnight
	out := Schedule{spec: spec, zone: zone, hourly: strings.HasPrefix(strings.Fields(s.Cron)[1], "*")}
	if out.Next(time.Unix(0, 0)).IsZero() {
		return Schedule{}, invalid(badSchedule, "the schedule names a day that never comes", "check day of month and month")
	}
	return out, nil
}

// errNoFields is what is wrong with text that is no list of fields.
var errNoFields = errors.New("not five fields")

// parseFields reads five fields. A zone in front of them (TZ=) is none of them: it is not
// shown to the parser, which takes one and panics when nothing follows it.
func parseFields(text string) (*cron.SpecSchedule, error) {
	if strings.Contains(text, "TZ=") {
		return nil, errNoFields
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(text)
	if err != nil {
		return nil, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, errNoFields
	}
	return spec, nil
}

// Next returns the first start after a time; zero when none comes within five years.
func (s Schedule) Next(after time.Time) time.Time {
	if s.hourly {
		return s.nextElapsed(after)
	}
	// The clock on the wall, as if it were never set: one that was set back since after may
	// show times again that have passed.
	wall := asUTC(after.In(s.zone)).Add(-time.Second)
	for range 2000 { // a day that a zone has twice holds 1,440 minutes
		if wall = s.spec.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if at := first(wall, s.zone); at.After(after) {
			return at
		}
	}
	return time.Time{}
}

// nextElapsed goes from one setting of the clock to the next: between them it shows every
// time once.
func (s Schedule) nextElapsed(after time.Time) time.Time {
	at := after.In(s.zone)
	for begun := after; ; {
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		ahead := time.Duration(offset) * time.Second
		wall := s.spec.Next(begun.UTC().Add(ahead))
		if wall.IsZero() {
			return time.Time{}
		}
		next := wall.Add(-ahead)
		if end.IsZero() || next.Before(end) {
			return next
		}
		at, begun = end, end.Add(-time.Second)
	}
}

// asUTC is the time in UTC at which a clock shows what it shows at t in its zone.
func asUTC(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// first is when the clock of a zone shows wall for the first time, or, where it leaves that
// out, when it goes on.
func first(wall time.Time, zone *time.Location) time.Time {
	_, before := wall.Add(-26 * time.Hour).In(zone).Zone()
	_, later := wall.Add(26 * time.Hour).In(zone).Zone()
	at := func(offset int) time.Time { return wall.Add(-time.Duration(offset) * time.Second).In(zone) }
	a, b := at(before), at(later)
	if b.Before(a) {
		a, b = b, a
	}
	for _, t := range []time.Time{a, b} {
		if asUTC(t).Equal(wall) {
			return t.UTC()
		}
	}
	start, _ := at(before).ZoneBounds()
	return start.UTC()
}

func parseZone(code, name string) (*time.Location, error) {
	if name == "Local" {
		return nil, invalid(code, "the time zone Local is another on every machine", "name it as the IANA does, e.g. Europe/Berlin")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, invalid(code, "there is no such time zone", "name it as the IANA does, e.g. Europe/Berlin")
	}
	return zone, nil
}

const (
	badSchedule = "BAD_SCHEDULE"
	badWindow   = "BAD_WINDOW"
)

func invalid(code, text, next string) error {
	return &task.Error{Kind: task.Invalid, Code: code, Text: text, Next: next}
}
