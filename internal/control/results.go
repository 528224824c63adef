package control

import (
	"context"
	"fmt"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// reading returns the task that a caller wants to read about.
func (c *Control) reading(ctx context.Context, who Caller, ref string) (task.Task, error) {
	if err := who.may(mayRead); err != nil {
		return task.Task{}, err
	}
	return c.task(ctx, who, ref)
}

// Failures returns up to limit failed records of a task with Num above after.
func (c *Control) Failures(ctx context.Context, who Caller, ref string, f history.FailureFilter, after int64, limit int) ([]history.Failure, error) {
	k, err := c.reading(ctx, who, ref)
	if err != nil {
		return nil, err
	}
	if err := task.CheckFailureReason(f.Reason); err != nil {
		return nil, err
	}
	if f.Job != "" {
		if err := c.checkJob(ctx, who, k, f.Job); err != nil {
			return nil, err
		}
	}
	return c.store.Failures(ctx, k.ID, f, after, limit)
}

// Reasons returns how many records of a task, or of one job of it, ended for which reason.
func (c *Control) Reasons(ctx context.Context, who Caller, ref string, job task.JobID) (map[task.Outcome]map[task.Reason]int64, error) {
	k, err := c.reading(ctx, who, ref)
	if err != nil {
		return nil, err
	}
	if job != "" {
		if err := c.checkJob(ctx, who, k, job); err != nil {
			return nil, err
		}
	}
	return c.store.Reasons(ctx, k.ID, job)
}

// maxIntervals is the longest time that 5-minute statistics are given for at once.
const maxIntervals = 31 * 24 * time.Hour

// Intervals returns the 5-minute statistics of a task in [from, to), without empty ones;
// namedOnly leaves out what scans found.
func (c *Control) Intervals(ctx context.Context, who Caller, ref string, from, to time.Time, namedOnly bool) ([]history.Span, error) {
	k, err := c.reading(ctx, who, ref)
	if err != nil {
		return nil, err
	}
	if !from.Before(to) || to.Sub(from) > maxIntervals {
		return nil, invalid("BAD_TIME_RANGE", "the time range is empty or longer than 31 days", "ask for it in parts")
	}
	return c.store.Intervals(ctx, k.ID, from, to, namedOnly)
}

// Month returns the counts of the month, UTC, that holds at; the zero time is now.
func (c *Control) Month(ctx context.Context, who Caller, ref string, at time.Time, namedOnly bool) (history.Span, error) {
	k, err := c.reading(ctx, who, ref)
	if err != nil {
		return history.Span{}, err
	}
	if at.IsZero() {
		at = c.cfg.Now()
	}
	counts, err := c.store.Month(ctx, k.ID, at, namedOnly)
	at = at.UTC()
	return history.Span{At: time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC), Counts: counts}, err
}

// Status is how one task stands.
type Status struct {
	Task   task.Task
	Counts task.Counts // since it was made
	Marks  history.Watermarks
	Clock  *Clock // nil: the task has no schedule
	// Obstacle says why a side cannot be opened at all, so that nothing is even tried; it is
	// looked for when keys wait and none has been tried.
	Obstacle string
	At       time.Time // when this was read
}

// InStep says whether nothing that Lockstep heard of is outstanding.
func (s Status) InStep() bool { return s.Counts.Pending() == 0 && s.Marks.Open == 0 }

// Behind is how far the destination lags behind what was heard; 0 when nothing is open.
func (s Status) Behind() time.Duration {
	if s.InStep() {
		return 0
	}
	return max(0, s.At.Sub(s.Marks.Heard))
}

// Status returns how a task stands.
func (c *Control) Status(ctx context.Context, who Caller, ref string) (Status, error) {
	k, err := c.reading(ctx, who, ref)
	if err != nil {
		return Status{}, err
	}
	return c.status(ctx, k)
}

func (c *Control) status(ctx context.Context, k task.Task) (s Status, err error) {
	s = Status{Task: k, At: c.cfg.Now()}
	if s.Counts, err = c.store.Total(ctx, k.ID, false); err != nil {
		return s, err
	}
	if s.Marks, err = c.store.Watermarks(ctx, k.ID); err != nil {
		return s, err
	}
	if s.Counts.Pending() > 0 && len(s.Marks.Delayed) == 0 {
		s.Obstacle = c.obstacle(ctx, k)
	}
	s.Clock, err = c.clock(ctx, k)
	return s, err
}

// obstacleTime bounds the question whether a bucket can be opened. The answer is known
// nearly always: the lanes ask all the time.
const obstacleTime = 2 * time.Second

// obstacle names the side of a task that cannot be opened, and why; "" when both can.
func (c *Control) obstacle(ctx context.Context, k task.Task) string {
	if c.cfg.Stores == nil || k.State != task.Active {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, obstacleTime)
	defer cancel()
	for _, side := range []struct {
		name string
		at   task.Location
	}{{"source", k.Source}, {"destination", k.Destination}} {
		if _, err := c.bucket(ctx, k.Project, side.at); err != nil {
			return fmt.Sprintf("%s: %s: %v", side.name, storeCode(err), err)
		}
	}
	return ""
}

// Statuses returns how up to limit tasks stand that were made after one.
func (c *Control) Statuses(ctx context.Context, who Caller, after task.ID, limit int) ([]Status, error) {
	ks, err := c.Tasks(ctx, who, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Status, 0, len(ks))
	for _, k := range ks {
		s, err := c.status(ctx, k)
		if task.KindOf(err) == task.NotFound {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Audit returns up to limit entries of the caller's project below before, newest first;
// before 0 begins at the end.
func (c *Control) Audit(ctx context.Context, who Caller, before int64, limit int) ([]history.AuditEntry, error) {
	if err := who.may(mayOperate); err != nil {
		return nil, err
	}
	if who.Project == "" {
		return nil, errNoProject
	}
	return c.store.Audit(ctx, who.Project, before, limit)
}

// VerifyAudit walks the whole chain, which all projects share, and returns its length and
// the number of the first entry that does not fit, 0 when all do.
func (c *Control) VerifyAudit(ctx context.Context, who Caller) (entries, broken int64, err error) {
	if err := who.may(mayAdminister); err != nil {
		return 0, 0, err
	}
	return c.store.VerifyAudit(ctx)
}
