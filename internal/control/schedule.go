package control

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/timetable"
)

// scheduleStore knows the starts of tasks by the clock.
type scheduleStore interface {
	ScheduleState(ctx context.Context, id task.ID) (next time.Time, last queue.Start, err error)
}

// Clock is what a task does by the clock.
type Clock struct {
	Next time.Time   // the next start; zero: there will be none as the task is now
	Last queue.Start // zero: none was due yet
}

// clock returns what a task does by the clock; nil when it has no schedule.
func (c *Control) clock(ctx context.Context, k task.Task) (*Clock, error) {
	if k.Options.Schedule.Cron == "" {
		return nil, nil
	}
	next, last, err := c.store.ScheduleState(ctx, k.ID)
	if err != nil {
		return nil, err
	}
	if next.IsZero() { // nobody has worked it out yet
		next = NextRun(k, c.cfg.Now())
	}
	if k.State != task.Active {
		next = time.Time{}
	}
	return &Clock{Next: next, Last: last}, nil
}

// NextRun returns the start of a task by the clock that comes after a time; zero: it has no
// schedule, or does not work.
func NextRun(k task.Task, after time.Time) time.Time {
	if k.Options.Schedule.Cron == "" || k.State != task.Active {
		return time.Time{}
	}
	s, err := timetable.ParseSchedule(k.Options.Schedule)
	if err != nil {
		return time.Time{}
	}
	return s.Next(after)
}
