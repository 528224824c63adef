package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// JanitorConfig says what a Janitor does. Jobs is needed.
type JanitorConfig struct {
	Jobs  queue.Jobs
	Log   *slog.Logger
	Every time.Duration // between looks for jobs that have ended; 0: 2 s
	// Ended is told of every job that has ended here; nil: nobody is.
	Ended func(context.Context, task.Job)
	// Chores are done besides, e.g. retention.
	Chores []Chore
}

// Chore is work done every now and then. What fails is tried again at its next turn.
type Chore struct {
	Name  string
	Every time.Duration
	Do    func(context.Context) error
}

// Janitor ends jobs whose records have all ended, and does chores. It runs on one
// node; more do no harm.
type Janitor struct {
	cfg JanitorConfig
}

// NewJanitor returns a Janitor. It starts nothing.
func NewJanitor(cfg JanitorConfig) *Janitor {
	cfg.Every = or(cfg.Every, 2*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Janitor{cfg: cfg}
}

// Run works until ctx ends. Every chore is done once at the beginning.
func (j *Janitor) Run(ctx context.Context) error {
	due := make([]time.Time, len(j.cfg.Chores))
	for {
		ended, err := j.cfg.Jobs.EndJobs(ctx)
		if err != nil && ctx.Err() == nil {
			j.cfg.Log.Error("jobs cannot be ended", "err", err)
		}
		for _, job := range ended {
			j.cfg.Log.Info("job ended", "job", job.ID, "kind", job.Kind, "state", job.State, "why", job.Why)
			if j.cfg.Ended != nil {
				j.cfg.Ended(ctx, job)
			}
		}
		for i, c := range j.cfg.Chores {
			if now := time.Now(); ctx.Err() == nil && !now.Before(due[i]) {
				due[i] = now.Add(c.Every)
				if err := c.Do(ctx); err != nil && ctx.Err() == nil {
					j.cfg.Log.Error("chore failed", "chore", c.Name, "err", err)
				}
			}
		}
		if !pause(ctx, j.cfg.Every, nil) {
			return nil
		}
	}
}
