package worker

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Outbox is what an Uploader reads.
type Outbox interface {
	queue.Outbox
	// Reasons returns how many records of a job ended for which reason.
	Reasons(ctx context.Context, id task.ID, job task.JobID) (map[task.Outcome]map[task.Reason]int64, error)
}

// UploaderConfig says what an Uploader works on. Outbox and Stores are needed; zero
// values of the others use the defaults.
type UploaderConfig struct {
	Outbox Outbox
	Stores Stores
	Log    *slog.Logger

	Every time.Duration // between rounds; 0: 5 s
	// A list of a job that goes on is uploaded when its first line is older than Age,
	// or it has Lines or more.
	Age   time.Duration // 0: 5 min
	Lines int64         // 0: 50,000
}

// Uploader writes the lists of tasks, and a manifest for every ended job, into
// their destination buckets. A list waits in the database until it is there, so a
// destination that is away loses none. It runs on one node.
type Uploader struct {
	cfg UploaderConfig
}

// NewUploader returns an Uploader. It starts nothing.
func NewUploader(cfg UploaderConfig) *Uploader {
	cfg.Every = or(cfg.Every, 5*time.Second)
	cfg.Age = or(cfg.Age, 5*time.Minute)
	if cfg.Lines == 0 {
		cfg.Lines = 50_000
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Uploader{cfg: cfg}
}

// Run uploads until ctx ends. What was under way then is repeated by the next run,
// under the same name with the same bytes.
func (u *Uploader) Run(ctx context.Context) error {
	for pause(ctx, u.cfg.Every, nil) {
		if err := u.Round(ctx); err != nil && ctx.Err() == nil {
			u.cfg.Log.Error("lists not uploaded", "err", err)
		}
	}
	return nil
}

const (
	filesAtOnce = 8    // uploads at a time
	filesRound  = 1000 // files of one round
	jobsRound   = 200  // manifests of one round
)

// Round seals and uploads what is due. Tasks whose stores are away keep theirs; the
// error is the database's.
func (u *Uploader) Round(ctx context.Context) error {
	_, err := u.cfg.Outbox.SealLists(ctx, u.cfg.Age, u.cfg.Lines)
	away := &awayTasks{}
	ferr := inTurn(away, filesRound, func(but []task.ID) ([]queue.ListFile, error) {
		return u.cfg.Outbox.SealedLists(ctx, filesRound, but...)
	}, func(f queue.ListFile) { u.attempt(ctx, away, f.Task, func() error { return u.upload(ctx, f) }) })
	jerr := inTurn(away, jobsRound, func(but []task.ID) ([]task.Job, error) {
		return u.cfg.Outbox.UnlistedJobs(ctx, jobsRound, but...)
	}, func(j task.Job) { u.attempt(ctx, away, j.Task, func() error { return u.manifest(ctx, j) }) })
	return errors.Join(err, ferr, jerr)
}

// inTurn does up to most items of those that wait. Tasks that turn out to be away are left
// out of another turn: more may wait of them than that, and must not keep others waiting.
func inTurn[T any](away *awayTasks, most int, next func(but []task.ID) ([]T, error), do func(T)) error {
	for {
		but := away.all()
		items, err := next(but)
		each(items, do)
		if err != nil || len(items) < most || len(away.all()) == len(but) {
			return err
		}
	}
}

// each calls f for all items, several at a time.
func each[T any](items []T, f func(T)) {
	var g errgroup.Group
	g.SetLimit(filesAtOnce)
	for _, it := range items {
		g.Go(func() error {
			f(it)
			return nil
		})
	}
	_ = g.Wait()
}

// attempt runs f unless the stores of the task were away in this round.
func (u *Uploader) attempt(ctx context.Context, away *awayTasks, id task.ID, f func() error) {
	if ctx.Err() != nil || away.has(id) {
		return
	}
	if err := f(); err != nil && ctx.Err() == nil {
		away.add(id)
		u.cfg.Log.Warn("lists of a task wait", "task", id, "err", err)
	}
}

// awayTasks are those not to be tried again in this round.
type awayTasks struct {
	mu  sync.Mutex
	ids map[task.ID]struct{}
}

func (a *awayTasks) has(id task.ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.ids[id]
	return ok
}

func (a *awayTasks) add(id task.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ids == nil {
		a.ids = map[task.ID]struct{}{}
	}
	a.ids[id] = struct{}{}
}

func (a *awayTasks) all() []task.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.ids))
}

// batchName is the directory of a job's lists.
func batchName(k task.Task, start time.Time, job task.JobID) string {
	return history.BatchName(k.Source.Bucket, k.Destination.Bucket, start, job)
}
