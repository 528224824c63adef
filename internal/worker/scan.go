package worker

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
)

// ScanConfig says what a scan compares, how, and who takes what it finds.
type ScanConfig struct {
	Src, Dst objstore.Bucket
	Plan     plan.Options // Now is the start of the scan unless set; RunPartition takes it as it is
	// Prefix restricts the scan to keys that begin with it; the others are neither
	// compared nor counted. Plan.Filter.Prefix is what the filter allows for.
	Prefix   string
	PageSize int // objects of a listing's page; 0: the store's own
	// ListIgnored puts the ignored keys into Batch.Items, not only the flagged ones:
	// all but the unchanged, and with ListUnchanged those too.
	ListIgnored, ListUnchanged bool
	// Emit takes a batch. It may block: the scan waits. Partitions call it at the
	// same time, each in order. An error ends the scan.
	Emit func(context.Context, Batch) error

	// MaxPartitions is the most key ranges that a Scan lists at a time; 0: 16; 1 never splits.
	MaxPartitions int
	// Busy reports that the receiver of batches, not the listing, holds the scan up;
	// nil: never. While it does, a Scan does not split.
	Busy func() bool
}

const defaultMaxPartitions = 16

// Scan compares two buckets whole, in this process. It begins with one partition
// over everything and splits it while it waits for the stores (split.go).
type Scan struct {
	cfg      ScanConfig
	splitter func() (split Splitter, end func()) // of a partition; tests put their own in its place
	group    *errgroup.Group

	mu       sync.Mutex
	slots    int // partitions running, and those that may come of a search for a split
	running  int
	started  int // partitions begun so far
	progress ScanProgress
}

// ScanProgress is a snapshot of a scan. The counts of objects only grow.
type ScanProgress struct {
	Done       bool   // every partition has ended without error
	Partitions int    // key ranges being listed now
	LastKey    string // the greatest key that any partition has passed

	SrcObjects, DstObjects int64 // listed and compared so far
}

// NewScan prepares a scan. It starts nothing.
func NewScan(cfg ScanConfig) *Scan {
	if cfg.MaxPartitions == 0 {
		cfg.MaxPartitions = defaultMaxPartitions
	}
	if cfg.Busy == nil {
		cfg.Busy = func() bool { return false }
	}
	s := &Scan{cfg: cfg}
	s.splitter = s.splitWhileWaiting
	return s
}

// Run compares everything. It returns nil when every key is decided and emitted,
// the first partition's error otherwise, or the cause when ctx ends; then the
// other partitions are stopped, and no delete may be concluded. Call it once.
func (s *Scan) Run(ctx context.Context) error {
	if s.cfg.Plan.Now.IsZero() {
		s.cfg.Plan.Now = time.Now()
	}
	// No limit on the group: slots bound it, and a partition adds to it from within.
	group, inner := errgroup.WithContext(ctx)
	s.group = group
	s.reserve()
	s.start(inner, Partition{})
	err := group.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.Done = err == nil
	return err
}

// Progress may be called at any time, from any goroutine.
func (s *Scan) Progress() ScanProgress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.progress
	p.Partitions = s.running
	return p
}

// start runs a partition in a slot reserved for it, and those split off from it.
func (s *Scan) start(ctx context.Context, p Partition) {
	s.mu.Lock()
	p.Number = s.started
	s.started++
	s.running++
	s.mu.Unlock()
	s.group.Go(func() error {
		split, end := s.splitter()
		defer s.finish()
		defer end()
		cfg, until := s.cfg, p.Until
		cfg.Emit = func(emitCtx context.Context, b Batch) error {
			if err := s.cfg.Emit(emitCtx, b); err != nil {
				return err
			}
			s.passed(&b)
			if b.SplitAt != "" {
				s.start(ctx, Partition{After: b.SplitAt, Until: until})
				until = b.SplitAt
			}
			return nil
		}
		return RunPartition(ctx, &cfg, p, split)
	})
}

func (s *Scan) passed(b *Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.LastKey = max(s.progress.LastKey, b.After)
	s.progress.SrcObjects += b.SrcObjects
	s.progress.DstObjects += b.DstObjects
}

func (s *Scan) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.slots--
}

// reserve takes the slot of a partition to come, if there is one.
func (s *Scan) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots >= s.cfg.MaxPartitions {
		return false
	}
	s.slots++
	return true
}

// release gives back a slot that no partition came to use.
func (s *Scan) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots--
}

func (s *Scan) hasSplit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started > 1
}
