package timetable

import (
	"fmt"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Windows are the parts of a day in which a task has less bandwidth.
type Windows []window

type window struct {
	from, to int // minutes of the day, both inside; from > to goes over midnight
	zone     *time.Location
	rate     int64
}

const day = 24 * 60

// ParseWindows reads bandwidth windows. Invalid: a bad time, zone or rate, or two windows
// that share a minute of some day.
func ParseWindows(in []task.Window) (Windows, error) {
	out := make(Windows, len(in))
	for i, w := range in {
		var err error
		if out[i], err = parseWindow(w); err != nil {
			return nil, err
		}
	}
	for i, a := range out {
		for j, b := range out[:i] {
			if a.zone.String() != b.zone.String() {
				return nil, invalid(badWindow, "the bandwidth windows are in different time zones", "write all of them in one")
			}
			if a.overlaps(b) {
				return nil, invalid(badWindow, fmt.Sprintf("the bandwidth windows %s-%s and %s-%s overlap", in[j].From, in[j].To, in[i].From, in[i].To),
					"both ends are inside: let the next one begin a minute later")
			}
		}
	}
	return out, nil
}

func parseWindow(w task.Window) (window, error) {
	var out window
	for _, end := range []struct {
		text string
		into *int
	}{{w.From, &out.from}, {w.To, &out.to}} {
		at, err := time.Parse("15:04", end.text)
		if err != nil || len(end.text) != 5 {
			return out, invalid(badWindow, "a bandwidth window begins and ends at a time like 09:30", "write two digits for the hour and two for the minute")
		}
		*end.into = at.Hour()*60 + at.Minute()
	}
	if w.BytesPerSecond <= 0 {
		return out, invalid(badWindow, "a bandwidth window lets no byte through", "pause the task instead, or name bytes per second")
	}
	out.rate = w.BytesPerSecond
	var err error
	out.zone, err = parseZone(badWindow, w.Zone)
	return out, err
}

// minutes is how long a window is. Both ends are inside.
func (w window) minutes() int { return (w.to-w.from+day)%day + 1 }

// holds says whether a minute of the day is inside.
func (w window) holds(minute int) bool { return (minute-w.from+day)%day < w.minutes() }

func (w window) overlaps(v window) bool { return w.holds(v.from) || v.holds(w.from) }

// At returns the bytes per second that hold at a time, 0 for no limit, and until when
// that is certain.
func (ws Windows) At(now time.Time) (bytesPerSecond int64, until time.Time) {
	if len(ws) == 0 {
		return 0, now.Add(24 * time.Hour)
	}
	local := now.In(ws[0].zone)
	minute := local.Hour()*60 + local.Minute()
	// A clock is set at a full minute: looking again each minute misses no turn of it.
	until = now.Add(time.Minute - time.Duration(local.Second())*time.Second - time.Duration(local.Nanosecond()))
	for _, w := range ws {
		if w.holds(minute) {
			return w.rate, until
		}
	}
	return 0, until
}
