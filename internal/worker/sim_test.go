package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// TestSimulation runs nodes in virtual time, over a real database and buckets in
// memory, that crash, lose replies and meet faults, and holds the rules of
// DESIGN.md against what comes of it: nothing accepted is lost, counts equal rows
// and lists at every look, older never overwrites newer, nothing is deleted that
// should not be, and the destination ends equal to the source.
func TestSimulation(t *testing.T) {
	t.Parallel()
	// What the database's compression makes at its first use belongs to no bubble.
	warm := newService(t, task.Options{})
	warm.lanes(nil)
	warm.event(keysNamed("a key that is long enough to be compressed", 100)...)
	warm.settled()
	warm.prove()

	seeds := uint64(6)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newSimulation(t, seed).run() })
		})
	}
}

const (
	simKeys  = 60
	simSteps = 120
)

// simulation is one seed's world.
type simulation struct {
	*service
	seed     uint64
	rng      *rand.Rand
	versions [simKeys]int // of the source's objects; 0: never written
	accepted int64        // records by events
	node     *simNode
	nodes    int
	watch    *versionWatch
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	m := &simulation{seed: seed, rng: rand.New(rand.NewPCG(seed, 17))}
	m.service = newService(t, task.Options{Filter: []string{"exclude *.tmp"}})
	m.watch = &versionWatch{Bucket: m.dst, seen: map[string]int{}, fail: func(key string, old, now int) {
		t.Errorf("seed %d: %s went from version %d back to %d", seed, key, old, now)
	}}
	return m
}

func (m *simulation) run() {
	m.boot()
	for range simSteps {
		m.step()
		time.Sleep(time.Duration(m.rng.IntN(400)) * time.Millisecond)
	}
	m.node.kill()
	m.calm()
	m.until("nothing is pending", func() bool { time.Sleep(time.Second); return m.total().Pending() == 0 })
	m.until("the last scan ends", func() bool { return m.scanned() })
	m.until("nothing is pending", func() bool { return m.total().Pending() == 0 })
	m.node.kill()
	m.stores.use(m.src, m.dst)
	m.inStepButExcluded()
	c := m.total()
	if c.Requested < m.accepted {
		m.Errorf("seed %d: %d records of %d accepted", m.seed, c.Requested, m.accepted)
	}
	if c.Deleted != 0 {
		m.Errorf("seed %d: %d objects were deleted although deletes are off", m.seed, c.Deleted)
	}
	m.prove()
}

// step is one thing that happens.
func (m *simulation) step() {
	switch n := m.rng.IntN(100); {
	case n < 70:
		m.write()
	case n < 78:
		i := m.rng.IntN(simKeys)
		m.must(m.src.Delete(m.Context(), m.key(i), objstore.DeleteOptions{}))
		m.tell(i)
	case n < 82:
		_, err := m.db.StartJob(m.Context(), queue.JobStart{Task: m.task.ID, Kind: task.ScanJob}, task.Actor{})
		if err != nil && task.KindOf(err) != task.Conflict {
			m.must(err)
		}
	case n < 86:
		m.node.kill()
		m.boot()
	case n < 89:
		m.change(func(k *task.Task) {
			k.State = map[task.State]task.State{task.Active: task.Paused, task.Paused: task.Active}[k.State]
		})
	default:
		m.recount()
	}
}

func (m *simulation) key(i int) string {
	if i%10 == 9 {
		return fmt.Sprintf("k%02d.tmp", i)
	}
	return fmt.Sprintf("k%02d", i)
}

// write puts new versions of some keys and tells of most of them.
func (m *simulation) write() {
	for range 1 + m.rng.IntN(8) {
		i := m.rng.IntN(simKeys)
		m.versions[i]++
		m.put(m.src, m.key(i), fmt.Sprintf("%d of %s", m.versions[i], m.key(i)))
		if m.rng.IntN(10) > 0 {
			m.tell(i)
		}
	}
}

func (m *simulation) tell(i int) {
	m.event(m.key(i))
	m.accepted++
}

// boot starts a node, whose stores and database fail now and then.
func (m *simulation) boot() {
	m.nodes++
	seed := m.seed*1000 + uint64(m.nodes)
	n := &simNode{m: m, rng: rand.New(rand.NewPCG(seed, 3)), faults: 60}
	script := faulty.Seeded(seed,
		faulty.Rate{Fault: faulty.Fault{Kind: faulty.NotDone}, PerMille: 60, Repeat: true},
		faulty.Rate{Fault: faulty.Fault{Kind: faulty.ReplyLost}, PerMille: 40, Repeat: true},
		faulty.Rate{Fault: faulty.Fault{Kind: faulty.Throttle, Wait: time.Second}, PerMille: 30, Repeat: true},
		faulty.Rate{Fault: faulty.Fault{Kind: faulty.Latency, Wait: 700 * time.Millisecond}, PerMille: 200, Repeat: true})
	m.work(n, faulty.New(n.bucket(m.src), script), faulty.New(n.bucket(m.watch), script))
}

// calm starts a node without faults, and makes the task active.
func (m *simulation) calm() {
	m.nodes++
	n := &simNode{m: m, rng: rand.New(rand.NewPCG(m.seed, 5))}
	m.work(n, n.bucket(m.src), n.bucket(m.watch))
	m.change(func(k *task.Task) { k.State = task.Active })
}

func (m *simulation) work(n *simNode, src, dst objstore.Bucket) {
	m.node = n
	stores := &testStores{db: m.db, src: src, dst: dst}
	id := task.NodeID("n" + strconv.Itoa(m.nodes))
	lanes := NewLanes(LanesConfig{
		Node: id, Queue: simQueue{m.db, n}, Deletes: m.db, Wake: m.db.Wake(), Stores: stores, InFlight: 8,
		Patience: Patience{Attempts: 1000, Base: 100 * time.Millisecond, Max: 2 * time.Second},
	})
	scans := NewScans(ScansConfig{Node: id, Partitions: simPartitions{m.db, n}, Scans: m.db, Jobs: m.db, Stores: stores})
	janitor := NewJanitor(JanitorConfig{Jobs: m.db})
	uploader := NewUploader(UploaderConfig{Outbox: m.db, Stores: stores, Age: 10 * time.Second})
	for _, run := range []func(context.Context) error{lanes.Run, scans.Run, janitor.Run, uploader.Run} {
		n.stops = append(n.stops, m.start(run))
	}
}

// scanned runs a scan to its end, unless one runs: then it waits for that.
func (m *simulation) scanned() bool {
	j, err := m.db.StartJob(m.Context(), queue.JobStart{Task: m.task.ID, Kind: task.ScanJob}, task.Actor{})
	if task.KindOf(err) == task.Conflict && err != nil {
		time.Sleep(time.Second)
		return false
	}
	m.must(err)
	for !j.State.Ended() {
		time.Sleep(time.Second)
		j, err = m.db.Job(m.Context(), j.ID)
		m.must(err)
	}
	if j.State != task.JobDone {
		m.Fatalf("seed %d: the last scan ended %s: %s", m.seed, j.State, j.Why)
	}
	return true
}

func (m *simulation) inStepButExcluded() {
	m.Helper()
	src, dst := m.contents(m.src), m.contents(m.dst)
	for key, etag := range src {
		if !strings.HasSuffix(key, ".tmp") && dst[key] != etag {
			m.Errorf("seed %d: %s differs", m.seed, key)
		}
	}
	for key := range dst {
		if strings.HasSuffix(key, ".tmp") {
			m.Errorf("seed %d: %s was copied although it is excluded", m.seed, key)
		}
	}
}

// simNode is one process: after kill nothing it does has an effect.
type simNode struct {
	m      *simulation
	dead   atomic.Bool
	stops  []func()
	faults int // per mille of settlements and pages whose reply is lost

	mu  sync.Mutex
	rng *rand.Rand
}

var errDead = errors.New("the process was killed")

// kill is kill -9: what was under way neither ends nor is given back.
func (n *simNode) kill() {
	n.dead.Store(true)
	for _, stop := range n.stops {
		stop()
	}
}

func (n *simNode) alive() error {
	if n.dead.Load() {
		return errDead
	}
	return nil
}

// reply loses one now and then, although what it was about was done.
func (n *simNode) reply(err error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil && n.rng.IntN(1000) < n.faults {
		return task.Errorf(task.Unavailable, "the reply was lost")
	}
	return err
}

// simQueue is the lanes' database as a node sees it.
type simQueue struct {
	queue.Lanes
	n *simNode
}

func (q simQueue) ClaimLanes(ctx context.Context, node task.NodeID, limit int, lease time.Duration) ([]queue.Lane, error) {
	if err := q.n.alive(); err != nil {
		return nil, err
	}
	return q.Lanes.ClaimLanes(ctx, node, limit, lease)
}

func (q simQueue) RenewLanes(ctx context.Context, lanes []queue.Lane, lease time.Duration) ([]queue.Lane, error) {
	if err := q.n.alive(); err != nil {
		return nil, err
	}
	return q.Lanes.RenewLanes(ctx, lanes, lease)
}

func (q simQueue) ReleaseLanes(ctx context.Context, lanes []queue.Lane) error {
	if err := q.n.alive(); err != nil {
		return err
	}
	return q.Lanes.ReleaseLanes(ctx, lanes)
}

func (q simQueue) Settle(ctx context.Context, lane queue.Lane, done []queue.Settlement) (queue.Settled, error) {
	if err := q.n.alive(); err != nil {
		return queue.Settled{}, err
	}
	out, err := q.Lanes.Settle(ctx, lane, done)
	if err = q.n.reply(err); err != nil {
		out = queue.Settled{}
	}
	return out, err
}

// simPartitions is the scans' database as a node sees it.
type simPartitions struct {
	queue.Partitions
	n *simNode
}

func (q simPartitions) ClaimPartitions(ctx context.Context, node task.NodeID, limit int, lease time.Duration) ([]queue.Partition, error) {
	if err := q.n.alive(); err != nil {
		return nil, err
	}
	return q.Partitions.ClaimPartitions(ctx, node, limit, lease)
}

func (q simPartitions) ReleasePartitions(ctx context.Context, ps []queue.Partition) error {
	if err := q.n.alive(); err != nil {
		return err
	}
	return q.Partitions.ReleasePartitions(ctx, ps)
}

func (q simPartitions) CommitPage(ctx context.Context, p *queue.Partition, page queue.Page) error {
	if err := q.n.alive(); err != nil {
		return err
	}
	return q.n.reply(q.Partitions.CommitPage(ctx, p, page))
}

// bucket is a bucket as a node reaches it.
func (n *simNode) bucket(b objstore.Bucket) objstore.Bucket { return &simBucket{b, n} }

type simBucket struct {
	objstore.Bucket
	n *simNode
}

func (b *simBucket) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	if err := b.n.alive(); err != nil {
		return objstore.Written{}, err
	}
	return b.Bucket.Put(ctx, key, body, size, opt)
}

func (b *simBucket) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	if err := b.n.alive(); err != nil {
		return err
	}
	return b.Bucket.Delete(ctx, key, opt)
}

// versionWatch sees the versions that are written to the destination, in order.
type versionWatch struct {
	objstore.Bucket
	fail func(key string, old, now int)

	mu   sync.Mutex
	seen map[string]int
}

func (w *versionWatch) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return objstore.Written{}, &objstore.Error{Kind: objstore.ErrUnavailable, Op: "put", Key: key, Err: err}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	out, err := w.Bucket.Put(ctx, key, bytes.NewReader(data), int64(len(data)), opt)
	text, of, ok := strings.Cut(string(data), " of ")
	if now, numeric := strconv.Atoi(text); err == nil && ok && numeric == nil && of == key {
		if old := w.seen[key]; now < old {
			w.fail(key, old, now)
		}
		w.seen[key] = now
	}
	return out, err
}
