package worker

import (
	"context"
	"errors"

	"github.com/lockstep-sync/lockstep/internal/task"
)

const (
	judgeAtOnce = 100  // scans of one look
	judgeStep   = 1000 // deletes of one transaction
)

// judgeWhile judges the deletes of compared scans until ctx ends. It goes by what
// the database holds, so that it goes on after a crash at any moment.
func (r *Scans) judgeWhile(ctx context.Context) {
	for pause(ctx, r.cfg.Sweep, r.verdict) {
		scans, err := r.cfg.Scans.ComparedScans(ctx, judgeAtOnce)
		for _, id := range scans {
			if err = r.judge(ctx, id); err != nil && ctx.Err() == nil {
				r.cfg.Log.Error("deletes of a scan not judged", "job", id, "err", err)
			}
		}
		if err != nil && len(scans) == 0 && ctx.Err() == nil {
			r.cfg.Log.Error("compared scans not found", "err", err)
		}
	}
}

// judge lets the staged deletes of a compared scan go on, all of them, or refuses
// them and stops the scan.
func (r *Scans) judge(ctx context.Context, id task.JobID) error {
	job, err := r.cfg.Scans.Job(ctx, id)
	if err != nil {
		return err
	}
	if job.Why != "" { // it was ended, and a crash left some deletes
		return inSteps(func() (bool, error) { return r.cfg.Partitions.RefuseDeletes(ctx, id, judgeStep) })
	}
	ends, err := r.open(ctx, job.Task)
	if errors.Is(err, errIdle) {
		return nil // judged when the task works again
	}
	if err != nil {
		return err
	}
	totals, err := r.cfg.Partitions.ScanTotals(ctx, id)
	if err != nil || totals.Unfinished > 0 {
		return err
	}
	if why := refusal(ends, totals.Deletes, totals.Destination, totals.Source); why != "" {
		r.cfg.Log.Warn("deletes of a scan refused", "job", id, "deletes", totals.Deletes, "why", why)
		return r.cfg.Jobs.EndJob(ctx, id, task.JobStopped, why)
	}
	return inSteps(func() (bool, error) { return r.cfg.Partitions.ReleaseDeletes(ctx, id, judgeStep) })
}

// refusal says why deletes may not go on; "" when they may.
func refusal(ends *Ends, deletes, destination, source int64) string {
	if !ends.plan.Deletes {
		return "DELETES_OFF: deletes were turned off while the scan ran, so none was done"
	}
	err := ends.plan.Guard.Check(deletes, destination, source)
	var e *task.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code + ": " + e.Text
	}
	return err.Error()
}

// inSteps repeats step until it says that nothing is left.
func inSteps(step func() (more bool, err error)) error {
	for {
		if more, err := step(); err != nil || !more {
			return err
		}
	}
}
