package worker

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// matrixCalls are the calls each run makes; others depend on which goroutine is first.
var matrixCalls = []string{
	"AcceptGroup", "ClaimLanes", "ReleaseLanes", "RenewLanes", "Settle", "ClaimPartitions", "RenewPartitions", "CommitPage",
	"ReleaseDeletes", "ReserveDeletes", "EndJobs", "SealLists", "ConfirmList", "ManifestWritten",
}

// TestFaultMatrixOfOwnWrites breaks what a service writes to its own database, one call at
// a time: it was not done; it was done and the reply was lost; the process died before it,
// and after it. The same work comes out each time.
func TestFaultMatrixOfOwnWrites(t *testing.T) {
	t.Parallel()
	warmUp(t)
	calls := map[string]int{}
	var mu sync.Mutex
	t.Run("clean", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			newMatrix(t, func(call string) fate {
				mu.Lock()
				defer mu.Unlock()
				calls[call]++
				return answered
			}).runMatrix()
		})
	})
	for _, call := range matrixCalls {
		if calls[call] == 0 {
			t.Errorf("%s is not called by a clean run: %v", call, calls)
		}
	}
	most := 3
	if testing.Short() {
		most = 1
	}
	for _, call := range slices.Sorted(maps.Keys(calls)) {
		for nth := 1; nth <= min(calls[call], most); nth++ {
			for what, name := range map[fate]string{notDone: "not done", replyLost: "reply lost", dies: "died before", diesNow: "died after"} {
				if call == "AcceptGroup" && what >= dies {
					continue // the client is the test, which has no other to ask
				}
				if testing.Short() && what != replyLost {
					continue
				}
				t.Run(fmt.Sprintf("%s %d %s", call, nth, name), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { breakOne(t, call, nth, what) })
				})
			}
		}
	}
}

func breakOne(t *testing.T, call string, nth int, what fate) {
	n := 0
	var mu sync.Mutex
	m := newMatrix(t, func(c string) fate {
		mu.Lock()
		defer mu.Unlock()
		if c == call {
			if n++; n == nth {
				return what
			}
		}
		return answered
	})
	m.runMatrix()
	if n < nth && nth == 1 && slices.Contains(matrixCalls, call) {
		t.Errorf("no call of %s: nothing was broken", call)
	}
}

// newMatrix is a simulation without chance.
func newMatrix(t *testing.T, script func(string) fate) *simulation {
	m := &simulation{script: script}
	m.ledger = ledger{m: m, lanes: map[queue.LaneID]int64{}, parts: map[int64]int64{}}
	m.prepare(t, task.Options{Deletes: true, Guard: task.Guard{MaxDeletes: -1, MaxPercent: -1}}, nil)
	m.broken = nil // a broken rule fails the test at once
	return m
}

// runMatrix does some of everything: events of new, changed and lost keys, one that fails
// and is tried again, a scan with deletes, and lists.
func (m *simulation) runMatrix() {
	for i := range 30 {
		m.put(m.src, m.key(i), fmt.Sprintf("1 of %s", m.key(i)))
	}
	for _, key := range []string{"surplus", "surplus/2", "lost"} {
		m.put(m.dst, key, "old")
	}
	refused := faulty.New(m.dest, func(c faulty.Call) faulty.Fault {
		if c.Op == faulty.Put && c.Key == m.key(3) && c.Nth == 1 {
			return faulty.Fault{Kind: faulty.NotDone, Err: objstore.ErrTooLarge}
		}
		return faulty.Fault{}
	})
	// The scan's pages are late: its leases must be renewed.
	slow := faulty.New(m.source, func(c faulty.Call) faulty.Fault {
		if c.Op == faulty.List {
			return faulty.Fault{Kind: faulty.Latency, Wait: renewEvery + time.Second}
		}
		return faulty.Fault{}
	})
	start := func() { m.newNode(0).work(slow, refused) }
	start()
	reap := func() {
		time.Sleep(time.Second)
		if m.node.dead.Load() {
			m.node.kill()
			start()
		}
	}
	settled := func() { m.until("everything settles", func() bool { reap(); return m.total().Pending() == 0 }) }
	m.event(m.key(1), m.key(2), m.key(3), "lost", "nowhere")
	settled()
	m.retry()
	time.Sleep(40 * time.Second) // leases are renewed, then idle lanes are given back
	settled()
	j, err := m.db.StartJob(m.Context(), queue.JobStart{Task: m.task.ID, Kind: task.ScanJob}, task.Actor{})
	m.must(err)
	m.until("the scan ends", func() bool {
		reap()
		j, err = m.db.Job(m.Context(), j.ID)
		m.must(err)
		return j.State.Ended()
	})
	m.event(m.key(1))
	settled()
	m.until("all lists are there", func() bool {
		reap()
		j, err = m.db.Job(m.Context(), j.ID)
		m.must(err)
		return j.Listed
	})
	m.node.kill()
	m.reaping.Wait()
	if j.State != task.JobDone || j.Counts.Deleted != 2 || j.Counts.Failed != 0 {
		m.Errorf("the scan ended %+v", j)
	}
	// A client that was not told asks again: then there are records more, never fewer. A
	// delete by event that a dead process did is found done: ignored, SOURCE_GONE.
	if c := m.total(); c.Deleted < 2 || c.Failed != 0 || c.Requested < 30+2+5 {
		m.Errorf("%+v", c)
	}
	m.inStep()
	m.stores.use(m.src, m.dst)
	m.prove()
}
