package queue

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Schedules keeps the starts of scans by the clock.
type Schedules interface {
	// DueSchedules returns up to limit schedules whose next start is due or has not been
	// worked out, earliest first, with the clock that all nodes go by and the earliest start
	// that is not due yet; zero: there is none.
	DueSchedules(ctx context.Context, limit int) (due []Due, now, next time.Time, err error)
	// MoveSchedule takes the start that is due and sets the next one. Of all nodes that
	// try, one does: moved says who. In the same transaction it starts the scan, unless m
	// or the state of the task say no, and notes what became of the start.
	MoveSchedule(ctx context.Context, m ScheduleMove) (moved bool, last Start, err error)
}

// Due is a schedule that wants its next start worked out.
type Due struct {
	Task     task.ID
	Schedule task.Schedule
	At       time.Time // the start that is due; zero: none was worked out yet
	SetAt    time.Time // when the schedule was set; zero: nobody knows
}

// ScheduleMove is what becomes of a Due.
type ScheduleMove struct {
	Due
	Next time.Time // the start after it; zero: there will be none
	Skip string    // why there is no scan; empty: there is one
}

// Start is what became of a start that was due.
type Start struct {
	At      time.Time // when it was due; zero: none was
	Outcome string    // StartDone or StartSkipped
	Job     task.JobID
	Why     string // why it was skipped
}

// What becomes of a start.
const (
	StartDone    = "started"
	StartSkipped = "skipped"
)

// Never is the next start of a schedule that has none.
var Never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
