package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// ScansConfig says what a Scans works on. Node, Partitions, Scans, Jobs and Stores
// are needed; zero values of the others use the defaults.
type ScansConfig struct {
	Node       task.NodeID
	Partitions queue.Partitions
	Scans      queue.Scans
	Jobs       queue.Jobs
	Stores     Stores
	Log        *slog.Logger

	MaxPartitions int           // compared at a time by this node; 0: 16
	Lease         time.Duration // 0: 7 s
	Sweep         time.Duration // between looks for partitions; 0: 2 s
	Backoff       time.Duration // before the second try of a listing that failed; 0: 1 s
}

func (c ScansConfig) withDefaults() ScansConfig {
	c.MaxPartitions = or(c.MaxPartitions, defaultMaxPartitions)
	c.Lease = or(c.Lease, leaseTime)
	c.Sweep = or(c.Sweep, sweepEvery)
	c.Backoff = or(c.Backoff, time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Scans compares the partitions of scans that it can lease, and judges the deletes
// of scans that have been compared. It writes to no store.
type Scans struct {
	cfg     ScansConfig
	claims  chan struct{} // holds a token when partitions may be there to claim
	verdict chan struct{} // holds a token when a scan may be there to judge
	running sync.WaitGroup

	mu      sync.Mutex
	parts   map[int64]*heldRange
	waiting int // of parts: their stores are away, or the queue has no room for what they find
}

// heldRange is a leased partition at work. The lease is the goroutine's own; renewing
// needs only what never changes of it.
type heldRange struct {
	lease queue.Partition
	hold  *hold
	ended chan struct{}
}

// NewScans returns a Scans. It starts nothing.
func NewScans(cfg ScansConfig) *Scans {
	return &Scans{cfg: cfg.withDefaults(), claims: make(chan struct{}, 1), verdict: make(chan struct{}, 1), parts: map[int64]*heldRange{}}
}

// Wake says that a scan was started: its partitions are claimed at once.
func (r *Scans) Wake() { poke(r.claims) }

// Run works until ctx ends, then gives the partitions back. Call it once.
func (r *Scans) Run(ctx context.Context) error {
	renewing, stopRenewing := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	helpers.Go(func() { r.renew(renewing) })
	helpers.Go(func() { r.judgeWhile(ctx) })
	for wait := time.Duration(0); pause(ctx, wait, r.claims); {
		wait = r.cfg.Sweep
		if err := r.claim(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Log.Error("partitions cannot be claimed", "err", err)
		}
	}
	r.running.Wait()
	stopRenewing()
	helpers.Wait()
	return nil
}

// room is how many more partitions this node may compare. Those that wait leave their places
// to others, of other tasks for one, but pages of theirs may be in memory: a few times as
// many wait as are compared.
func (r *Scans) room() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.MaxPartitions - (len(r.parts) - min(r.waiting, maxWaiting*r.cfg.MaxPartitions))
}

const maxWaiting = 4 // times MaxPartitions

// wait leaves the place of a partition to others for a time, and then until there is one
// again. It reports whether ctx lives.
func (r *Scans) wait(ctx context.Context, d time.Duration) (lives bool) {
	r.mu.Lock()
	r.waiting++
	r.mu.Unlock()
	poke(r.claims)
	for {
		lives = pause(ctx, d, nil)
		r.mu.Lock()
		if !lives || len(r.parts)-r.waiting < r.cfg.MaxPartitions {
			r.waiting--
			r.mu.Unlock()
			return lives
		}
		r.mu.Unlock()
		d = jittered(time.Second)
	}
}

func (r *Scans) claim(ctx context.Context) error {
	room := r.room()
	if room <= 0 {
		return nil
	}
	asked := time.Now()
	claimed, err := r.cfg.Partitions.ClaimPartitions(ctx, r.cfg.Node, room, r.cfg.Lease)
	if err != nil {
		return err
	}
	for _, p := range claimed {
		r.start(ctx, p, asked)
	}
	return nil
}

func (r *Scans) start(ctx context.Context, p queue.Partition, asked time.Time) {
	work, h := holdLease(ctx, asked, r.cfg.Lease)
	held := &heldRange{lease: p, hold: h, ended: make(chan struct{})}
	r.mu.Lock()
	before := r.parts[p.Num]
	r.parts[p.Num] = held
	r.mu.Unlock()
	r.running.Go(func() {
		defer close(held.ended)
		if before != nil {
			before.hold.lose(queue.ErrStale)
			<-before.ended
		}
		err := r.compare(work, &p)
		h.end()
		if err != nil && !errors.Is(err, queue.ErrStale) {
			r.giveBack(ctx, held.lease)
		}
		r.mu.Lock()
		if r.parts[p.Num] == held {
			delete(r.parts, p.Num)
		}
		r.mu.Unlock()
		if err == nil {
			poke(r.claims)
			poke(r.verdict)
		}
	})
}

func (r *Scans) giveBack(ctx context.Context, p queue.Partition) {
	give, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := r.cfg.Partitions.ReleasePartitions(give, []queue.Partition{p}); err != nil {
		r.cfg.Log.Warn("partition not given back: it is free when its lease ends", "job", p.Job, "err", err)
	}
}

// renew keeps the leases of all partitions.
func (r *Scans) renew(ctx context.Context) {
	for pause(ctx, r.cfg.Lease/4, nil) {
		r.mu.Lock()
		held := make([]*heldRange, 0, len(r.parts))
		leases := make([]queue.Partition, 0, len(r.parts))
		for _, p := range r.parts {
			held, leases = append(held, p), append(leases, p.lease)
		}
		r.mu.Unlock()
		if len(held) == 0 {
			continue
		}
		asked := time.Now()
		limited, cancel := context.WithTimeout(ctx, r.cfg.Lease)
		kept, err := r.cfg.Partitions.RenewPartitions(limited, leases, r.cfg.Lease)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				r.cfg.Log.Error("leases not renewed", "partitions", len(held), "err", err)
			}
			continue
		}
		ours := make(map[int64]int64, len(kept))
		for _, k := range kept {
			ours[k.Num] = k.Epoch
		}
		for _, p := range held {
			if ours[p.lease.Num] == p.lease.Epoch {
				p.hold.renewed(asked, r.cfg.Lease)
			} else {
				p.hold.lose(queue.ErrStale)
			}
		}
	}
}
