// Package app wires the parts into a running whole and owns the order in which
// they start and stop.
package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/limit"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
	"github.com/lockstep-sync/lockstep/internal/worker"
)

// SyncConfig is one run of `lockstep sync`.
type SyncConfig struct {
	Src, Dst config.Store
	Plan     plan.Options
	DryRun   bool // decide and count, write nothing

	Concurrency    int     // requests in flight per endpoint, reads and writes apart; 0 adapts
	BytesPerSecond int64   // of object bodies; 0: no limit
	RequestsPerSec float64 // per endpoint; 0: no limit

	StateFile       string // remembers unfinished uploads; "" keeps none
	ReportDir       string // lists and manifest; "" writes none
	ReportUnchanged bool   // list unchanged objects too

	Log *slog.Logger
}

// Sync is one run of `lockstep sync`: plan and transfer in one process, with a
// queue in memory and no database.
type Sync struct {
	cfg      SyncConfig
	stores   *stores
	src, dst objstore.Bucket
	limits   *limit.Endpoint // the destination's
	copier   *transfer.Copier
	state    *transfer.StateFile
	scan     *worker.Scan
	report   *history.Report
	work     chan plan.Item
	staged   spool
	counts   counts
	moved    atomic.Int64
	started  atomic.Int64 // unix nanoseconds; 0 before Run
}

// queueLength bounds the keys that wait in memory between scan and transfer.
const queueLength = 1024

// maxWorkers is the number of keys settled at a time at most; the endpoints'
// limits decide how many of them have requests in flight.
const maxWorkers = 128

// NewSync opens both stores, checks that they answer and starts nothing.
func NewSync(ctx context.Context, cfg SyncConfig) (*Sync, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	stores, err := openStores(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	return newSync(cfg, stores)
}

// newSync prepares a run between opened stores.
func newSync(cfg SyncConfig, stores *stores) (*Sync, error) {
	s := &Sync{cfg: cfg, stores: stores, src: stores.src, dst: stores.dst, limits: stores.dstLimits, work: make(chan plan.Item, queueLength)}
	s.counts.init()
	s.cfg.Plan.SrcETagMD5 = s.src.Capabilities().ETag == objstore.ETagMD5
	s.cfg.Plan.DstETagMD5 = s.dst.Capabilities().ETag == objstore.ETagMD5
	if s.cfg.Plan.Now.IsZero() {
		s.cfg.Plan.Now = time.Now()
	}
	if err := s.openFiles(); err != nil {
		return nil, err
	}
	copying := transfer.Config{Src: s.src, Dst: s.dst, Moved: &s.moved, Held: cfg.BytesPerSecond > 0}
	if s.state != nil {
		copying.Uploads = s.state
	}
	s.copier = transfer.New(copying)
	s.scan = worker.NewScan(worker.ScanConfig{
		Src: s.src, Dst: s.dst, Plan: s.cfg.Plan, Emit: s.emit,
		Busy:        func() bool { return len(s.work) > queueLength/2 },
		ListIgnored: s.report != nil, ListUnchanged: s.report != nil && cfg.ReportUnchanged,
	})
	return s, nil
}

// openFiles opens what was asked to be kept: the state file and the report.
func (s *Sync) openFiles() (err error) {
	if s.cfg.StateFile != "" && !s.cfg.DryRun {
		if s.state, err = transfer.OpenStateFile(s.cfg.StateFile); err != nil {
			return &task.Error{
				Kind: task.Invalid, Code: "STATE_FILE", Text: "cannot use the state file: " + err.Error(),
				Next: "name a writable file that no other run uses with --state", Err: err,
			}
		}
	}
	if s.cfg.ReportDir == "" {
		return nil
	}
	s.report, err = history.NewReport(s.cfg.ReportDir, history.ReportMeta{Source: s.cfg.Src.String(), Destination: s.cfg.Dst.String(), DryRun: s.cfg.DryRun})
	if err != nil {
		return &task.Error{
			Kind: task.Invalid, Code: "REPORT_DIR", Text: "cannot write the report: " + err.Error(),
			Next: "name an empty or new directory with --report", Err: err,
		}
	}
	return nil
}

// Run compares and copies until both sides are in step, ctx ends or a guard stops
// it. A guard's stop and the end of ctx are in SyncResult.Stopped; an error means
// that the comparison itself could not be finished.
func (s *Sync) Run(ctx context.Context) (SyncResult, error) {
	s.started.Store(time.Now().UnixNano())
	scanErr := s.copyAll(ctx)
	stopped := context.Cause(ctx)
	if scanErr == nil && stopped == nil {
		stopped = s.deleteStaged(ctx)
	}
	if scanErr == nil && stopped == nil {
		s.abortStale(ctx)
	}
	if stopped != nil && errors.Is(scanErr, context.Cause(ctx)) {
		scanErr = nil
	}
	res := s.result(stopped)
	return res, errors.Join(scanErr, s.closeFiles(res))
}

// copyAll runs scan and workers until the scan has ended and its queue is empty.
func (s *Sync) copyAll(ctx context.Context) (scanErr error) {
	var g errgroup.Group
	g.Go(func() error {
		defer close(s.work)
		scanErr = s.scan.Run(ctx)
		return nil
	})
	for range maxWorkers {
		g.Go(func() error {
			for item := range s.work {
				s.settle(ctx, item)
			}
			return nil
		})
	}
	_ = g.Wait()
	return scanErr
}

// emit takes a page of the comparison: it counts what needs no work, stages
// deletes and queues the rest, waiting while the queue is full.
func (s *Sync) emit(ctx context.Context, b worker.Batch) error {
	s.counts.page(&b)
	for _, item := range b.Items {
		switch item.Verb {
		case plan.Ignore:
			s.reportIgnored(item)
		case plan.Delete:
			if err := s.staged.add(item.Key); err != nil {
				return err
			}
		default:
			s.counts.pendingBytes.Add(item.Src.Size)
			select {
			case s.work <- item:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// settle carries out one item and counts how it ended. An item that the end of
// the run interrupts stays pending.
func (s *Sync) settle(ctx context.Context, item plan.Item) {
	if ctx.Err() != nil {
		return
	}
	s.counts.inFlight.Add(1)
	defer s.counts.inFlight.Add(-1)
	res := transfer.Result{Outcome: task.Synced, Reason: task.Copied, Size: item.Src.Size}
	if !s.cfg.DryRun {
		res = s.copier.Do(ctx, item)
	}
	if res.Outcome == task.Failed && ctx.Err() != nil {
		return
	}
	s.counts.pendingBytes.Add(-item.Src.Size)
	s.record(item.Key, res)
}

// record counts and lists one outcome.
func (s *Sync) record(key string, res transfer.Result) {
	now := time.Now()
	if res.Outcome == task.Failed {
		res.Reason, _ = worker.Classify(res.Err)
		if res.Reason == task.SourceGone { // gone between the comparison and its turn
			res = transfer.Result{Outcome: task.Ignored, Reason: task.SourceGone}
		}
	}
	s.counts.settled(key, &res)
	switch {
	case res.Outcome == task.Failed:
		s.cfg.Log.Warn("failed", "key", key, "reason", res.Reason, "err", res.Err)
	case s.cfg.DryRun:
		s.cfg.Log.Debug("would be "+res.Outcome.String(), "key", key, "reason", res.Reason)
	default:
		s.cfg.Log.Debug(res.Outcome.String(), "key", key, "reason", res.Reason)
	}
	if s.report == nil {
		return
	}
	switch {
	case res.Reason == task.Deleted:
		s.report.Deleted(key, now)
	case res.Outcome == task.Synced:
		s.report.Synced(key, res.Size, now)
	case res.Outcome == task.Failed:
		s.report.Failed(key, res.Reason, res.Err, storeCode(res.Err), now)
	default:
		s.report.Ignored(key, res.Reason, 0, res.Size, now)
	}
}

func (s *Sync) reportIgnored(item plan.Item) {
	if s.report != nil {
		s.report.Ignored(item.Key, item.Reason, item.Rule, item.Src.Size, time.Now())
	}
}

// storeCode is the store's own code of a failure, e.g. AccessDenied.
func storeCode(err error) string {
	if e, ok := errors.AsType[*objstore.Error](err); ok {
		return e.Code
	}
	return ""
}

// deleteStaged deletes the staged keys once the guard has agreed to all of them.
func (s *Sync) deleteStaged(ctx context.Context) error {
	if s.staged.count == 0 {
		return nil
	}
	p := s.scan.Progress()
	if err := s.cfg.Plan.Guard.Check(s.staged.count, p.DstObjects, p.SrcObjects); err != nil {
		return err
	}
	return s.staged.chunks(1000, func(keys []string) error {
		items := make([]plan.Item, len(keys))
		for i, k := range keys {
			items[i] = plan.Item{Key: k, Decision: plan.Decision{Verb: plan.Delete}, SrcAbsent: true}
		}
		results := make([]transfer.Result, len(items))
		if s.cfg.DryRun {
			for i := range results {
				results[i] = transfer.Result{Outcome: task.Synced, Reason: task.Deleted}
			}
		} else {
			results = s.copier.Remove(ctx, items)
		}
		for i, res := range results {
			if res.Outcome == task.Failed && ctx.Err() != nil {
				continue
			}
			s.record(keys[i], res)
		}
		return context.Cause(ctx)
	})
}

// abortStale aborts our uploads of earlier runs that this complete run did not need.
func (s *Sync) abortStale(ctx context.Context) {
	if s.state == nil {
		return
	}
	id := s.dst.Identity()
	for _, u := range s.state.Stale(id.Service, id.Bucket) {
		key, ours := strings.CutPrefix(u.To.Key, id.Prefix)
		if !ours {
			continue
		}
		if err := s.dst.AbortMultipart(ctx, key, u.ID); err != nil {
			s.cfg.Log.Warn("unfinished upload not aborted", "key", key, "err", err)
			continue
		}
		if err := s.state.End(u.To); err != nil {
			s.cfg.Log.Warn("state file", "err", err)
		}
	}
}

func (s *Sync) closeFiles(res SyncResult) error {
	err := s.staged.close()
	if s.state != nil {
		err = errors.Join(err, s.state.Close())
	}
	if s.report != nil {
		err = errors.Join(err, s.report.Close(res.reportCounts()))
	}
	return errors.Join(err, s.stores.close())
}
