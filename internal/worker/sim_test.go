package worker

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// TestSimulation runs nodes in virtual time, over a real database and buckets in
// memory, that crash, freeze, lose replies and meet faults, and holds the rules of
// DESIGN.md against what comes of it: nothing accepted is lost, counts equal rows
// and lists at every look, older never overwrites newer, nothing is deleted that
// should not be, and the destination ends equal to the source.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds := uint64(100)
	if testing.Short() {
		seeds = 1 // the race detector makes the database slow
	}
	simulate(t, seeds)
}

// TestInteropSimulation is the same for longer.
func TestInteropSimulation(t *testing.T) {
	if !strings.Contains(os.Getenv("LOCKSTEP_REQUIRE"), "minio") {
		t.Skip("slow: part of `make interop`")
	}
	t.Parallel()
	simulate(t, 1000)
}

func simulate(t *testing.T, seeds uint64) {
	warmUp(t)
	for seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			if what := simulateOnce(t, seed, nil); what != "" {
				t.Errorf("seed %d: %s", seed, what)
			}
		})
	}
}

// warmUp makes outside all bubbles what belongs to none: the template database, and
// what its compression makes at its first use.
func warmUp(t *testing.T) {
	t.Helper()
	s := newService(t, task.Options{})
	s.lanes(nil)
	s.event(keysNamed("a key that is long enough to be compressed", 100)...)
	s.settled()
	s.prove()
}

// simulateOnce runs one seed, with a mistake planted or none, and returns the first
// rule that was broken.
func simulateOnce(t *testing.T, seed uint64, mistake *mistake) (broken string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newSimulation(t, seed, mistake)
		m.run()
		broken = m.first()
	})
	return broken
}

const (
	simKeys    = 50
	simSteps   = 120
	simDeletes = 8 // the guard's limit, for a scan and for the hour's events
)

// simulation is one seed's world.
type simulation struct {
	*service
	seed     uint64
	rng      *rand.Rand
	mistake  *mistake
	versions [simKeys]int // of the source's objects; 0: not there
	last     [simKeys]int // the highest version that ever was
	// told are the versions that must be at the destination once nothing of the key
	// waits and nothing of it has failed; 0: none. Manifests have their own.
	told      [simKeys]int
	accepted  int64 // records by event and manifest
	manifests []simManifest
	lastScan  task.JobID
	source    *moody
	dest      objstore.Bucket
	node      *simNode
	frozen    []*simNode // others have taken over from them
	nodes     int
	reaping   sync.WaitGroup // of dead nodes
	broke     atomic.Pointer[string]
	script    func(call string) fate // of all nodes; nil: chance decides

	// world is held by whoever changes the database, so that what a ledger notes is in
	// the order in which it was committed.
	world  worldLock
	ledger ledger
}

// worldLock is a mutex whose waiters let the time of a bubble go on: who holds it may have
// to wait for a busy database.
type worldLock chan struct{}

func (w worldLock) Lock()   { w <- struct{}{} }
func (w worldLock) Unlock() { <-w }

// simManifest is a manifest job. Once it is cancelled it promises nothing.
type simManifest struct {
	job  task.JobID
	told map[int]int
}

func newSimulation(t *testing.T, seed uint64, mistake *mistake) *simulation {
	m := &simulation{seed: seed, rng: rand.New(rand.NewPCG(seed, 17)), mistake: mistake}
	m.ledger = ledger{m: m, lanes: map[queue.LaneID]int64{}, parts: map[int64]int64{}}
	opt := task.Options{Filter: []string{"exclude *.tmp"}, ListUnchanged: seed%4 == 3}
	if seed%2 == 1 {
		opt.Deletes, opt.Guard = true, task.Guard{MaxDeletes: simDeletes, MaxPercent: -1}
	}
	var caps []mem.Option
	if seed%3 == 2 {
		caps = append(caps, mem.WithCapabilities(func(c *objstore.Capabilities) { c.Conditional = objstore.ConditionalNone }))
	}
	m.prepare(t, opt, caps)
	return m
}

// prepare opens the database and makes the task.
func (m *simulation) prepare(t *testing.T, opt task.Options, caps []mem.Option) {
	m.world = make(worldLock, 1)
	m.service = &service{T: t, src: mem.New("source"), dst: mem.New("destination", caps...), broken: m.violate}
	m.open(opt)
	m.accept(simAcceptor{m: m, rng: rand.New(rand.NewPCG(m.seed, 23))})
	m.source = &moody{Bucket: m.src}
	m.dest = &watched{Bucket: m.dst, m: m, seen: map[string]int{}}
}

// violate notes the first rule that is broken.
func (m *simulation) violate(what string) { m.broke.CompareAndSwap(nil, &what) }

// first returns it; "" when none is.
func (m *simulation) first() string {
	if what := m.broke.Load(); what != nil {
		return *what
	}
	return ""
}

func (m *simulation) run() {
	m.boot()
	for range simSteps {
		m.step()
		pace := 400
		if m.source.mood() != fine {
			pace = 1500 // a bad mood is to outlast the patience of scans
		}
		time.Sleep(time.Duration(m.rng.IntN(pace)) * time.Millisecond)
		if m.first() != "" {
			break
		}
	}
	m.endMood()
	m.killAll()
	if m.first() == "" {
		m.finish()
	}
	m.killAll()
	m.reaping.Wait()
}

// finish lets a node without faults bring everything to its end.
func (m *simulation) finish() {
	m.calm()
	for _, f := range m.manifests {
		m.mayConflict(m.db.CloseJob(m.Context(), f.job))
	}
	m.settleAll("the events settle")
	m.checkTold()
	m.retry()
	m.settleAll("the retries settle")
	if m.first() == "" && m.task.Options.Deletes {
		m.until("the scans end", m.scansEnded)
		m.purge()
		m.until("the scan of what was purged ends", m.scansEnded)
		m.settleAll("what was purged settles")
	}
	m.checkDeletes()
	m.change(func(k *task.Task) { k.Options.Guard.MaxDeletes = -1 })
	m.finalScan()
	m.settleAll("the last scan settles")
	if m.first() != "" {
		return
	}
	m.node.kill()
	m.stores.use(m.src, m.dst)
	m.wantInStep()
	if c := m.total(); c.Requested < m.accepted {
		m.breaks("%d records of %d accepted", c.Requested, m.accepted)
	}
	m.prove()
}

func (m *simulation) settleAll(what string) {
	m.Helper()
	if m.first() == "" {
		m.until(what, func() bool { time.Sleep(time.Second); return m.total().Pending() == 0 })
	}
}

// finalScan runs a scan to its end, after the one that runs.
func (m *simulation) finalScan() {
	var j task.Job
	m.until("the last scan starts", func() bool {
		var err error
		j, err = m.db.StartJob(m.Context(), queue.JobStart{Task: m.task.ID, Kind: task.ScanJob}, task.Actor{})
		if err != nil && task.KindOf(err) == task.Conflict {
			time.Sleep(time.Second)
			return false
		}
		m.must(err)
		return true
	})
	if j.ID == "" {
		return // an earlier scan never ends, and that is told
	}
	m.lastScan = j.ID
	m.until("the last scan ends", func() bool {
		time.Sleep(time.Second)
		var err error
		j, err = m.db.Job(m.Context(), j.ID)
		m.must(err)
		return j.State.Ended()
	})
	if j.State != task.JobDone {
		m.breaks("the last scan ended %s: %s", j.State, j.Why)
	}
}

// wantInStep: the destination is the source without what is excluded; where deletes
// are off, it may hold more.
func (m *simulation) wantInStep() {
	m.Helper()
	src, dst := m.contents(m.src), m.contents(m.dst)
	for key, etag := range src {
		if !strings.HasSuffix(key, ".tmp") && dst[key] != etag {
			m.breaks("%s differs at the end", key)
		}
	}
	for key := range dst {
		_, there := src[key]
		switch {
		case strings.HasSuffix(key, ".tmp"):
			m.breaks("%s was copied although it is excluded", key)
		case !there && m.task.Options.Deletes:
			m.breaks("%s is left at the destination", key)
		}
	}
}

// checkTold: what was accepted, and neither waits nor has failed, is at the
// destination in the version that was there when the event was sent, or a later one.
func (m *simulation) checkTold() {
	m.Helper()
	for i := range m.told {
		key, version := m.key(i), m.promised(i)
		if version == 0 || strings.HasSuffix(key, ".tmp") {
			continue
		}
		waiting, failed, err := m.db.KeyState(m.Context(), m.task.ID, key)
		m.must(err)
		if waiting != nil || openFailure(failed) {
			continue
		}
		text, _ := m.text(m.dst, key)
		if got, _ := versionOf(key, text); got < version {
			m.breaks("%s was told in version %d and has ended; the destination holds %q", key, version, text)
		}
	}
}

// promised is the version of a key that must be at the destination once it is settled:
// the last that an event told of, or a manifest that was not cancelled. Whose record it is
// that waits, and whether that is cancelled, makes no difference.
func (m *simulation) promised(i int) int {
	version := m.told[i]
	for _, f := range m.manifests {
		version = max(version, f.told[i])
	}
	return version
}

func openFailure(failed []history.Failure) bool {
	for _, f := range failed {
		if f.Open {
			return true
		}
	}
	return false
}

// checkDeletes: off means none; a scan that did not end well deleted nothing; no scan,
// and no hour of events, deletes more than the limit.
func (m *simulation) checkDeletes() {
	m.Helper()
	jobs, err := m.db.Jobs(m.Context(), "p", db.JobFilter{Task: m.task.ID})
	m.must(err)
	byEvents := int64(0)
	for _, j := range jobs {
		n := j.Counts.Deleted
		switch {
		case n == 0:
		case !m.task.Options.Deletes:
			m.breaks("job %s deleted %d objects although deletes are off", j.ID, n)
		case j.Kind != task.ScanJob:
			byEvents += n
		case j.State == task.JobStopped, j.State == task.JobFailed:
			m.breaks("scan %s deleted %d objects although it ended %s: %s", j.ID, n, j.State, j.Why)
		case n > simDeletes:
			m.breaks("scan %s deleted %d objects; the guard allows %d", j.ID, n, simDeletes)
		}
	}
	if byEvents > simDeletes {
		m.breaks("events deleted %d objects; the guard allows %d in an hour", byEvents, simDeletes)
	}
}

// look recounts everything while nothing is under way in the database.
func (m *simulation) look() {
	m.world.Lock()
	m.recount()
	m.world.Unlock()
	m.checkTold()
	m.checkDeletes()
}

func (m *simulation) key(i int) string {
	if i%10 == 9 {
		return fmt.Sprintf("k%02d.tmp", i)
	}
	return fmt.Sprintf("k%02d", i)
}

// mayConflict lets only a refusal because of the state of things pass.
func (m *simulation) mayConflict(err error) {
	m.Helper()
	if err != nil && task.KindOf(err) != task.Conflict {
		m.must(err)
	}
}
