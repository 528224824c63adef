package app

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
	"github.com/lockstep-sync/lockstep/internal/worker"
)

// Progress is a snapshot of a run. Counts only grow, but for Pending.
type Progress struct {
	Elapsed   time.Duration
	Requested int64 // keys compared so far: synced + failed + ignored + pending
	Synced    int64
	Failed    int64
	Ignored   int64
	Unchanged int64 // the part of Ignored that was equal
	Deleted   int64 // the part of Synced that was deleted
	Flagged   int64 // ignored although disproved equal (mode oms)
	Dropped   int64 // objects that lost a header, metadata or tags
	Bytes     int64 // of synced objects, at the destination
	Moved     int64 // bytes received so far, unfinished objects included
	InFlight  int   // objects being copied now
	Limit     int   // requests in flight allowed now, destination side

	// Listing says how far the scan is.
	Listing ListingProgress
	// PendingBytes is the size of the objects found but not settled.
	PendingBytes int64
}

// Pending is what was requested and has not ended.
func (p Progress) Pending() int64 { return p.Requested - p.Synced - p.Failed - p.Ignored }

// ListingProgress says how far the comparison of the two listings is.
type ListingProgress struct {
	Done       bool
	Partitions int    // key ranges being listed now
	LastKey    string // the greatest key any partition has passed
}

// Failure is one failed key.
type Failure struct {
	Key    string
	Reason task.Reason
	Err    error
}

// SyncResult is how a run ended.
type SyncResult struct {
	Progress
	// ByReason counts outcomes by reason, synced and ignored ones included.
	ByReason map[task.Reason]int64
	// Failures holds the first failed keys, at most 100; the report holds all.
	Failures []Failure
	// Lost counts what the destination did not keep, by name ("tags", "meta:owner", …).
	Lost map[string]int64
	// Stopped is set when a guard or the end of the context stopped the run; nil when it went to its end.
	Stopped error
}

const (
	maxFailures = 100 // failed keys kept in memory
	maxLost     = 100 // names of lost attributes kept in memory; the rest count as "other"
)

// counts is what a run knows of itself. One lock guards all of it, so that every
// snapshot reconciles.
type counts struct {
	inFlight, pendingBytes atomic.Int64

	mu       sync.Mutex
	p        Progress
	byReason map[task.Reason]int64
	lost     map[string]int64
	failures []Failure
}

func (c *counts) init() {
	c.byReason, c.lost = map[task.Reason]int64{}, map[string]int64{}
}

// page counts a page of the comparison.
func (c *counts) page(b *worker.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.p.Requested += b.Requested
	c.p.Unchanged += b.Unchanged
	for reason, n := range b.Ignored {
		c.p.Ignored += n
		c.byReason[reason] += n
		if reason == task.UpToDateButDifferent {
			c.p.Flagged += n
		}
	}
}

// settled counts one outcome.
func (c *counts) settled(key string, res *transfer.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byReason[res.Reason]++
	switch res.Outcome {
	case task.Synced:
		c.p.Synced++
		c.p.Bytes += res.Size
		if res.Reason == task.Deleted {
			c.p.Deleted++
		}
	case task.Failed:
		c.p.Failed++
		if len(c.failures) < maxFailures {
			c.failures = append(c.failures, Failure{key, res.Reason, res.Err})
		}
	case task.Ignored, task.Pending:
		c.p.Ignored++
		if res.Reason == task.UpToDate {
			c.p.Unchanged++
		}
	}
	if len(res.Dropped) > 0 {
		c.p.Dropped++
	}
	for _, name := range res.Dropped {
		if _, known := c.lost[name]; !known && len(c.lost) >= maxLost {
			name = "other"
		}
		c.lost[name]++
	}
}

// Progress may be called at any time, from any goroutine.
func (s *Sync) Progress() Progress {
	s.counts.mu.Lock()
	p := s.counts.p
	s.counts.mu.Unlock()
	if start := s.started.Load(); start != 0 {
		p.Elapsed = time.Since(time.Unix(0, start))
	}
	p.Moved, p.PendingBytes, p.InFlight = s.moved.Load(), s.counts.pendingBytes.Load(), int(s.counts.inFlight.Load())
	p.Limit, _ = s.limits.Concurrency()
	listing := s.scan.Progress()
	p.Listing = ListingProgress{Done: listing.Done, Partitions: listing.Partitions, LastKey: listing.LastKey}
	return p
}

func (s *Sync) result(stopped error) SyncResult {
	res := SyncResult{Progress: s.Progress(), Stopped: stopped}
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	res.ByReason, res.Lost, res.Failures = maps.Clone(s.counts.byReason), maps.Clone(s.counts.lost), s.counts.failures
	return res
}

// reportCounts are the figures of the report's manifest.
func (r *SyncResult) reportCounts() history.ReportCounts {
	return history.ReportCounts{
		Requested: r.Requested, Synced: r.Synced, Failed: r.Failed, Ignored: r.Ignored, Unchanged: r.Unchanged,
		Deleted: r.Deleted, Bytes: r.Bytes, ByReason: r.ByReason, Lost: r.Lost, Complete: r.Stopped == nil && r.Listing.Done,
	}
}
