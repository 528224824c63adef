package worker

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// openedStores counts how often tasks are opened.
type openedStores struct {
	Stores
	n *atomic.Int64
}

func (s openedStores) Open(ctx context.Context, id task.ID) (*Ends, error) {
	s.n.Add(1)
	return s.Stores.Open(ctx, id)
}

// Those that wait go on once they can, also when more wait than may.
func TestAllScansThatWaitGoOn(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	for _, k := range keysNamed("", 200) {
		s.put(s.src, k, k)
	}
	var ranges []queue.Range
	for i := range 20 {
		ranges = append(ranges, queue.Range{After: fmt.Sprintf("%05d", 10*i), Until: fmt.Sprintf("%05d", 10*(i+1))})
	}
	j, err := s.db.StartJob(t.Context(), queue.JobStart{Task: s.task.ID, Kind: task.ScanJob, Ranges: ranges}, task.Actor{})
	s.must(err)
	var away atomic.Bool
	away.Store(true)
	s.stores.use(faulty.New(s.src, func(c faulty.Call) faulty.Fault {
		if c.Op == faulty.List && away.Load() {
			return faulty.Fault{Kind: faulty.NotDone}
		}
		return faulty.Fault{}
	}), nil)
	scans := NewScans(ScansConfig{
		Node: "a", Partitions: s.db, Scans: s.db, Jobs: s.db, Stores: s.stores, Sweep: 10 * time.Millisecond, Backoff: 20 * time.Millisecond, MaxPartitions: 2,
	})
	s.start(scans.Run)
	s.lanes(nil)
	s.janitor()
	s.until("as many wait as may", func() bool {
		scans.mu.Lock()
		defer scans.mu.Unlock()
		return scans.waiting > maxWaiting*2
	})
	away.Store(false)
	s.until("the scan ends", func() bool {
		j, err = s.db.Job(t.Context(), j.ID)
		s.must(err)
		return j.State.Ended()
	})
	if j.State != task.JobDone || j.Counts.Synced != 199 { // the first key is in no range
		t.Errorf("%+v", j)
	}
}

// However many partitions wait for a store that is away, scans of other tasks go on.
func TestScanThatWaitsKeepsNoOtherFromItsTurn(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	other := s.other()
	var ranges []queue.Range
	for i := range defaultMaxPartitions + 4 {
		ranges = append(ranges, queue.Range{After: fmt.Sprintf("%03d", i), Until: fmt.Sprintf("%03d", i+1)})
	}
	_, err := s.db.StartJob(t.Context(), queue.JobStart{Task: other.ID, Kind: task.ScanJob, Ranges: ranges}, task.Actor{})
	s.must(err)
	var opened atomic.Int64
	stores := openedStores{oneAway{s.stores, other.ID}, &opened}
	s.start(NewScans(ScansConfig{
		Node: "a", Partitions: s.db, Scans: s.db, Jobs: s.db, Stores: stores, Sweep: 50 * time.Millisecond, Backoff: time.Second,
	}).Run)
	s.janitor()
	s.until("they have all places", func() bool { return opened.Load() >= defaultMaxPartitions })
	if j := s.scan(); j.State != task.JobDone {
		t.Errorf("%+v", j)
	}
}
