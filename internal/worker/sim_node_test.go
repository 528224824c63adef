package worker

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// simNode is one process: after kill nothing it does has an effect.
type simNode struct {
	m      *simulation
	dead   atomic.Bool
	thaws  atomic.Int64 // when it goes on, nanoseconds; 0: it is not frozen
	stops  []func()
	faults int // per mille of the calls of the database that break

	mu   sync.Mutex
	rng  *rand.Rand
	away time.Time // until then the database cannot be reached
	left int       // calls of the database until the process dies; 0: it lives on
	// script decides instead of all that; nil: it does not.
	script func(call string) fate
}

var errDead = errors.New("the process was killed")

// boot starts a node whose stores and database fail now and then.
func (m *simulation) boot() {
	seed := m.seed*1000 + uint64(m.nodes)
	n := m.newNode(60)
	if n.rng.IntN(3) == 0 {
		n.left = 1 + n.rng.IntN(300)
	}
	script := faulty.Seeded(seed,
		faulty.Rate{Fault: faulty.Fault{Kind: faulty.NotDone}, PerMille: 60, Repeat: true},
		faulty.Rate{Fault: faulty.Fault{Kind: faulty.ReplyLost}, PerMille: 40, Repeat: true},
		faulty.Rate{Fault: faulty.Fault{Kind: faulty.NotDone, Err: objstore.ErrTooLarge}, Ops: []faulty.Op{faulty.Put}, PerMille: 10, Repeat: true},
		faulty.Rate{Fault: faulty.Fault{Kind: faulty.Throttle, Wait: time.Second}, PerMille: 30, Repeat: true},
		faulty.Rate{Fault: faulty.Fault{Kind: faulty.Latency, Wait: 700 * time.Millisecond}, PerMille: 200, Repeat: true})
	n.work(faulty.New(n.bucket(m.source), script), faulty.New(n.bucket(m.dest), script))
}

// calm starts a node without faults, and makes the task active.
func (m *simulation) calm() {
	n := m.newNode(0)
	n.work(n.bucket(m.source), n.bucket(m.dest))
	m.change(func(k *task.Task) { k.State = task.Active })
}

func (m *simulation) newNode(faults int) *simNode {
	m.nodes++
	m.node = &simNode{m: m, rng: rand.New(rand.NewPCG(m.seed*1000+uint64(m.nodes), 3)), faults: faults, script: m.script}
	return m.node
}

func (n *simNode) work(src, dst objstore.Bucket) {
	m := n.m
	stores := &testStores{db: m.db, src: src, dst: dst}
	id := task.NodeID("n" + strconv.Itoa(m.nodes))
	var lanes queue.Lanes = m.db
	var parts queue.Partitions = m.db
	if m.mistake != nil {
		lanes, parts = m.mistake.plant(n, lanes, parts)
	}
	p := simPartitions{m.ledger.partitions(parts), n}
	jobs := simJobs{m.db, n}
	for _, run := range []func(context.Context) error{
		NewLanes(LanesConfig{
			Node: id, Queue: simLanes{m.ledger.claims(lanes), n}, Deletes: p, Wake: m.db.Wake(), Stores: stores, InFlight: 8, Grace: 2 * time.Second,
			Patience: Patience{Attempts: 1000, Base: 100 * time.Millisecond, Max: 2 * time.Second},
		}).Run,
		NewScans(ScansConfig{Node: id, Partitions: p, Scans: m.db, Jobs: jobs, Stores: stores}).Run,
		NewJanitor(JanitorConfig{Jobs: jobs}).Run,
		NewUploader(UploaderConfig{Outbox: simOutbox{m.db, n}, Stores: stores, Age: 10 * time.Second}).Run,
	} {
		n.stops = append(n.stops, m.start(run))
	}
}

// kill is kill -9: what was under way neither ends nor is given back.
func (n *simNode) kill() {
	n.dead.Store(true)
	n.m.reaping.Go(n.stop)
}

// stop ends the process in order.
func (n *simNode) stop() {
	for _, stop := range n.stops {
		stop()
	}
}

// reap ends nodes that died by themselves, and those that have thawed, and starts
// another when none is left.
func (m *simulation) reap() {
	kept := m.frozen[:0]
	for _, n := range m.frozen {
		if n.dead.Load() || time.Since(time.Unix(0, n.thaws.Load())) > 3*time.Second {
			n.kill()
			continue
		}
		kept = append(kept, n)
	}
	m.frozen = kept
	if m.node.dead.Load() {
		m.node.kill()
		m.boot()
	}
}

func (m *simulation) killAll() {
	for _, n := range m.frozen {
		n.kill()
	}
	m.frozen = nil
	m.node.kill()
}

// freeze stops what the process does for a while, as a hypervisor does.
func (n *simNode) freeze(d time.Duration) { n.thaws.Store(time.Now().Add(d).UnixNano()) }

// alive waits while the process is frozen, and says whether it lives.
func (n *simNode) alive() error {
	for {
		wait := time.Until(time.Unix(0, n.thaws.Load()))
		if n.dead.Load() {
			return errDead
		}
		if wait <= 0 {
			return nil
		}
		time.Sleep(min(wait, time.Second))
	}
}

// fate is what becomes of a call of the database.
type fate int

const (
	answered fate = iota
	notDone
	replyLost
	dies    // before it was done
	diesNow // after it was done
)

func (n *simNode) fate(call string) fate {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.script != nil {
		what := n.script(call)
		if what == dies || what == diesNow {
			n.dead.Store(true)
		}
		return what
	}
	if n.left > 0 {
		if n.left--; n.left == 0 {
			n.dead.Store(true)
			return dies + fate(n.rng.IntN(2))
		}
	}
	if time.Now().Before(n.away) {
		return notDone
	}
	if n.rng.IntN(1000) >= n.faults {
		return answered
	}
	if n.rng.IntN(2) == 0 {
		n.away = time.Now().Add(time.Duration(n.rng.Int64N(int64(3 * time.Second)))) // what broke stays so for a while
	}
	if n.rng.IntN(3) == 0 {
		return notDone
	}
	return replyLost
}

var errAway = task.Errorf(task.Unavailable, "the database cannot be reached")

// change is a call that changes the database: it may not arrive, or its reply may not.
func (n *simNode) change(call string, f func() error) error {
	if err := n.alive(); err != nil {
		return err
	}
	what := n.fate(call)
	switch what {
	case notDone:
		return errAway
	case dies:
		return errDead
	}
	n.m.world.Lock()
	err := f()
	n.m.world.Unlock()
	switch {
	case n.dead.Load():
		return errDead
	case what == replyLost && err == nil:
		return errAway
	}
	return err
}

// changed is change for calls that return a value.
func changed[T any](n *simNode, call string, f func() (T, error)) (out T, err error) {
	err = n.change(call, func() (err error) {
		out, err = f()
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return out, nil
}

// simLanes is the lanes' database as a node sees it.
type simLanes struct {
	queue.Lanes
	n *simNode
}

func (q simLanes) ClaimLanes(ctx context.Context, node task.NodeID, limit int, lease time.Duration) ([]queue.Lane, error) {
	return changed(q.n, "ClaimLanes", func() ([]queue.Lane, error) {
		return q.Lanes.ClaimLanes(context.WithoutCancel(ctx), node, limit, lease)
	})
}

func (q simLanes) RenewLanes(ctx context.Context, lanes []queue.Lane, lease time.Duration) ([]queue.Lane, error) {
	return changed(q.n, "RenewLanes", func() ([]queue.Lane, error) {
		return q.Lanes.RenewLanes(context.WithoutCancel(ctx), lanes, lease)
	})
}

func (q simLanes) ReleaseLanes(ctx context.Context, lanes []queue.Lane) error {
	return q.n.change("ReleaseLanes", func() error { return q.Lanes.ReleaseLanes(context.WithoutCancel(ctx), lanes) })
}

func (q simLanes) Settle(ctx context.Context, lane queue.Lane, done []queue.Settlement) (queue.Settled, error) {
	return changed(q.n, "Settle", func() (queue.Settled, error) { return q.Lanes.Settle(context.WithoutCancel(ctx), lane, done) })
}

// simPartitions is the scans' database as a node sees it.
type simPartitions struct {
	queue.Partitions
	n *simNode
}

func (q simPartitions) ClaimPartitions(ctx context.Context, node task.NodeID, limit int, lease time.Duration) ([]queue.Partition, error) {
	return changed(q.n, "ClaimPartitions", func() ([]queue.Partition, error) {
		return q.Partitions.ClaimPartitions(context.WithoutCancel(ctx), node, limit, lease)
	})
}

func (q simPartitions) RenewPartitions(ctx context.Context, ps []queue.Partition, lease time.Duration) ([]queue.Partition, error) {
	return changed(q.n, "RenewPartitions", func() ([]queue.Partition, error) {
		return q.Partitions.RenewPartitions(context.WithoutCancel(ctx), ps, lease)
	})
}

func (q simPartitions) ReleasePartitions(ctx context.Context, ps []queue.Partition) error {
	return q.n.change("ReleasePartitions", func() error { return q.Partitions.ReleasePartitions(context.WithoutCancel(ctx), ps) })
}

func (q simPartitions) CommitPage(ctx context.Context, p *queue.Partition, page queue.Page) error {
	before := *p
	err := q.n.change("CommitPage", func() error { return q.Partitions.CommitPage(context.WithoutCancel(ctx), p, page) })
	if err != nil {
		*p = before // the process was not told
	}
	return err
}

func (q simPartitions) ReleaseDeletes(ctx context.Context, job task.JobID, _ int) (bool, error) {
	return changed(q.n, "ReleaseDeletes", func() (bool, error) { return q.Partitions.ReleaseDeletes(context.WithoutCancel(ctx), job, 3) })
}

func (q simPartitions) RefuseDeletes(ctx context.Context, job task.JobID, _ int) (bool, error) {
	return changed(q.n, "RefuseDeletes", func() (bool, error) { return q.Partitions.RefuseDeletes(context.WithoutCancel(ctx), job, 3) })
}

func (q simPartitions) ReserveDeletes(ctx context.Context, id task.ID, at time.Time, k, limit int64) (int64, error) {
	return changed(q.n, "ReserveDeletes", func() (int64, error) {
		return q.Partitions.ReserveDeletes(context.WithoutCancel(ctx), id, at, k, limit)
	})
}

// simJobs are the jobs as a node sees them.
type simJobs struct {
	queue.Jobs
	n *simNode
}

func (q simJobs) EndJob(ctx context.Context, id task.JobID, state task.JobState, why string) error {
	return q.n.change("EndJob", func() error { return q.Jobs.EndJob(context.WithoutCancel(ctx), id, state, why) })
}

func (q simJobs) EndJobs(ctx context.Context) ([]task.Job, error) {
	return changed(q.n, "EndJobs", func() ([]task.Job, error) { return q.Jobs.EndJobs(context.WithoutCancel(ctx)) })
}

// simOutbox is the outbox as a node sees it.
type simOutbox struct {
	Outbox
	n *simNode
}

func (q simOutbox) SealLists(ctx context.Context, age time.Duration, lines int64) (int, error) {
	return changed(q.n, "SealLists", func() (int, error) { return q.Outbox.SealLists(context.WithoutCancel(ctx), age, lines) })
}

func (q simOutbox) ConfirmList(ctx context.Context, f queue.ListFile, o queue.ListObject) error {
	return q.n.change("ConfirmList", func() error { return q.Outbox.ConfirmList(context.WithoutCancel(ctx), f, o) })
}

func (q simOutbox) ManifestWritten(ctx context.Context, job task.JobID) error {
	return q.n.change("ManifestWritten", func() error { return q.Outbox.ManifestWritten(context.WithoutCancel(ctx), job) })
}

// bucket is a bucket as a node reaches it.
func (n *simNode) bucket(b objstore.Bucket) objstore.Bucket { return &simBucket{b, n} }

type simBucket struct {
	objstore.Bucket
	n *simNode
}

func (b *simBucket) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	// Where a store knows no conditions, a process that is stopped in the middle of a
	// write is what the promise leaves out.
	if b.n.dead.Load() {
		return objstore.Written{}, errDead
	}
	if b.Capabilities().Conditional == objstore.ConditionalFull {
		if err := b.n.alive(); err != nil {
			return objstore.Written{}, err
		}
	}
	return b.Bucket.Put(ctx, key, body, size, opt)
}

func (b *simBucket) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	if b.n.dead.Load() {
		return errDead
	}
	return b.Bucket.Delete(ctx, key, opt)
}

// simAcceptor takes events with faults; clients ask again until they are told.
type simAcceptor struct {
	m   *simulation
	rng *rand.Rand // of the committer's goroutine
}

func (a simAcceptor) AcceptGroup(ctx context.Context, group []queue.Batch, answers []queue.Answer) error {
	what := a.fate()
	if what == notDone {
		return errAway
	}
	a.m.world.Lock()
	defer a.m.world.Unlock()
	err := a.m.db.AcceptGroup(ctx, group, answers)
	if err == nil && what == replyLost {
		return errAway
	}
	return err
}

func (a simAcceptor) fate() fate {
	switch {
	case a.m.script != nil && a.m.in != nil && a.m.nodes > 0:
		return a.m.script("AcceptGroup")
	case a.m.script != nil:
		return answered
	}
	switch a.rng.IntN(20) {
	case 0:
		return notDone
	case 1:
		return replyLost
	}
	return answered
}
