package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/timetable"
)

// SchedulesConfig says how a Schedules works. Queue is needed.
type SchedulesConfig struct {
	Queue queue.Schedules
	Log   *slog.Logger
	// Sweep is the longest time between two looks: changes are seen within it; 0: 2 s.
	Sweep time.Duration
	// Late is how long after its time a start is missed; 0: 1 minute.
	Late time.Duration
	// Started is told of every start that was taken here; nil: nobody is.
	Started func(task.ID, queue.Start)
}

// Schedules starts scans by the clock of the database. It may run on every node: who moves
// a schedule on has the start.
type Schedules struct {
	cfg SchedulesConfig
}

// NewSchedules returns a Schedules. It starts nothing.
func NewSchedules(cfg SchedulesConfig) *Schedules {
	cfg.Sweep, cfg.Late = or(cfg.Sweep, 2*time.Second), or(cfg.Late, time.Minute)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Schedules{cfg: cfg}
}

// dueStep is how many schedules are read at a time.
const dueStep = 100

// Run works until ctx ends.
func (s *Schedules) Run(ctx context.Context) error {
	trouble := backoff{base: 100 * time.Millisecond, most: 15 * time.Second}
	for {
		wait, err := s.Look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.cfg.Log.Error("schedules wait", "err", err)
			wait = trouble.next()
		default:
			trouble.ok()
		}
		if !pause(ctx, wait, nil) {
			return nil
		}
	}
}

// Look takes every start that is due now, works out those of new schedules, and returns
// when to look again.
func (s *Schedules) Look(ctx context.Context) (wait time.Duration, err error) {
	due, now, next, err := s.cfg.Queue.DueSchedules(ctx, dueStep)
	if err != nil {
		return 0, err
	}
	fresh := false
	for _, d := range due {
		if err := s.take(ctx, d, now); err != nil {
			return 0, err
		}
		fresh = fresh || d.At.IsZero()
	}
	wait = s.cfg.Sweep
	if fresh || len(due) == dueStep { // what was worked out is not in next
		wait = 0
	} else if !next.IsZero() {
		wait = min(wait, max(0, next.Sub(now)))
	}
	return wait, nil
}

// take moves one schedule on. Starts that were missed one after the other are one.
func (s *Schedules) take(ctx context.Context, d queue.Due, now time.Time) error {
	m := queue.ScheduleMove{Due: d}
	times, err := timetable.ParseSchedule(d.Schedule)
	switch {
	case err != nil: // it was checked when it was made: another version did
		m.Skip = "the schedule cannot be read"
	case d.At.IsZero() && !d.SetAt.IsZero():
		m.Next = times.Next(d.SetAt) // which may be due by now
	default:
		m.Next = times.Next(now)
		if late := now.Sub(d.At); !d.At.IsZero() && late > s.cfg.Late && d.Schedule.Missed == "skip" {
			m.Skip = "it was missed: nothing ran when it was due"
			m.Next = times.Next(now.Add(-s.cfg.Late)) // a later one may be due, and not missed
		}
	}
	moved, last, err := s.cfg.Queue.MoveSchedule(ctx, m)
	if err != nil || !moved || last.Outcome == "" {
		return err
	}
	s.cfg.Log.Info("schedule", "task", d.Task, "due", last.At, "outcome", last.Outcome, "job", last.Job, "why", last.Why, "next", m.Next)
	if s.cfg.Started != nil {
		s.cfg.Started(d.Task, last)
	}
	return nil
}
