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

// LanesConfig says what a Lanes works on. Queue, Deletes, Wake, Stores and Node are
// needed; zero values of the others use the defaults.
type LanesConfig struct {
	Node    task.NodeID
	Queue   queue.Lanes
	Deletes Deletes
	Wake    *queue.Wake
	Stores  Stores
	Log     *slog.Logger

	InFlight int           // keys of one task worked on at a time by this node, and a quarter more of all; 0: 128
	MaxLanes int           // lanes held at a time; 0: 1,024
	Patience Patience      // with keys that fail
	Lease    time.Duration // 0: 7 s
	Sweep    time.Duration // between looks for lanes nobody has woken; 0: 2 s
	Linger   time.Duration // how long an idle lane is kept; 0: 30 s
	Grace    time.Duration // for keys in flight when the node stops; 0: 7 s
	// Refused is how long stores may refuse a task of the OMS dialect as a whole before
	// its waiting events end failed; 0: 5 min. Tasks of other dialects wait.
	Refused time.Duration

	// Accept takes the other key of a record whose own key the source does not hold;
	// nil: other keys are not looked for.
	Accept queue.Acceptor
	// Ended is told of every settlement that the database has taken; nil: nobody is.
	Ended func(task.ID, *queue.Settlement)
	// Work replaces the work on one key; nil: look, decide, transfer. Benchmarks of
	// the queue set it.
	Work func(context.Context, *Ends, queue.Record) queue.Settlement
}

func (c LanesConfig) withDefaults() LanesConfig {
	c.InFlight = or(c.InFlight, 128)
	c.MaxLanes = or(c.MaxLanes, 1024)
	c.Lease = or(c.Lease, leaseTime)
	c.Sweep = or(c.Sweep, sweepEvery)
	c.Linger = or(c.Linger, 30*time.Second)
	c.Grace = or(c.Grace, 7*time.Second)
	c.Refused = or(c.Refused, 5*time.Minute)
	c.Patience = c.Patience.withDefaults()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func or[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// Lanes works the pending keys of the lanes it can lease: it copies, deletes, and
// settles. Nothing else writes to the destinations of tasks.
type Lanes struct {
	cfg     LanesConfig
	slots   chan struct{} // one for each key in flight
	claims  chan struct{} // holds a token when lanes may be there to claim
	running sync.WaitGroup
	pace    pace

	mu    sync.Mutex
	lanes map[queue.LaneID]*lane
	// wanted lanes were woken but are not ours, elsewhere are those that others had
	// when we asked last: no need to ask for every event of theirs.
	wanted    map[queue.LaneID]struct{}
	elsewhere map[queue.LaneID]time.Time
	// tasks are their own slots. One whose store hangs holds all of them, and leaves some of
	// the node's to others.
	tasks map[task.ID]chan struct{}
}

// NewLanes returns a Lanes. It starts nothing.
func NewLanes(cfg LanesConfig) *Lanes {
	cfg = cfg.withDefaults()
	return &Lanes{
		cfg: cfg, slots: make(chan struct{}, cfg.InFlight+cfg.InFlight/4), claims: make(chan struct{}, 1),
		lanes: map[queue.LaneID]*lane{}, wanted: map[queue.LaneID]struct{}{},
		elsewhere: map[queue.LaneID]time.Time{}, tasks: map[task.ID]chan struct{}{},
	}
}

// Run works until ctx ends. Then it claims nothing more, lets keys in flight finish
// for the time of Grace, settles them and gives the lanes back. Call it once.
func (r *Lanes) Run(ctx context.Context) error {
	sub := r.cfg.Wake.Subscribe()
	defer sub.Close()
	whole := context.WithoutCancel(ctx)
	work, cut := context.WithCancelCause(whole)
	defer cut(nil)
	renewing, stopRenewing := context.WithCancel(whole)
	var helpers sync.WaitGroup
	helpers.Go(func() { r.listen(ctx, sub) })
	helpers.Go(func() { r.renew(renewing) })
	r.claimWhile(ctx, work)
	grace := time.AfterFunc(r.cfg.Grace, func() { cut(errStopped) })
	r.running.Wait()
	grace.Stop()
	stopRenewing()
	helpers.Wait()
	return nil
}

// elsewhereFor is how long a lane that somebody else has is not asked for again.
const elsewhereFor = 500 * time.Millisecond

// listen passes wake-ups on to the lanes that are here, and has others claimed.
func (r *Lanes) listen(ctx context.Context, sub *queue.Wakeup) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-sub.C():
		}
		now, claim := time.Now(), false
		r.mu.Lock()
		for _, id := range sub.Take() {
			if l := r.lanes[id]; l != nil {
				poke(l.wake)
				continue
			}
			if now.Before(r.elsewhere[id]) {
				continue
			}
			r.wanted[id] = struct{}{}
			claim = true
		}
		r.mu.Unlock()
		if claim {
			poke(r.claims)
		}
	}
}

// claimWhile claims lanes when one may be there, and every now and then.
func (r *Lanes) claimWhile(ctx, work context.Context) {
	failures := backoff{base: 100 * time.Millisecond, most: r.cfg.Sweep}
	for wait := time.Duration(0); pause(ctx, wait, r.claims); {
		wait = r.cfg.Sweep
		more, err := r.claim(ctx, work)
		switch {
		case err != nil && ctx.Err() == nil:
			r.cfg.Log.Error("lanes cannot be claimed", "err", err)
			wait = failures.next()
		case more:
			wait = 0
		}
		if err == nil {
			failures.ok()
		}
	}
}

// claimAtOnce is the most lanes of one claim.
const claimAtOnce = 64

// claim leases lanes and works them. more says that there may be others.
func (r *Lanes) claim(ctx, work context.Context) (more bool, err error) {
	r.mu.Lock()
	limit := min(claimAtOnce, r.cfg.MaxLanes-len(r.lanes))
	wanted := r.wanted
	r.wanted = map[queue.LaneID]struct{}{}
	r.mu.Unlock()
	if limit <= 0 {
		return false, nil
	}
	asked := time.Now()
	claimed, err := r.cfg.Queue.ClaimLanes(ctx, r.cfg.Node, limit, r.cfg.Lease)
	if err != nil {
		return false, err
	}
	for _, c := range claimed {
		delete(wanted, c.LaneID)
		r.start(ctx, work, c, asked)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for id, until := range r.elsewhere {
		if now.After(until) {
			delete(r.elsewhere, id)
		}
	}
	for id := range wanted {
		if r.lanes[id] == nil {
			r.elsewhere[id] = now.Add(elsewhereFor)
		}
	}
	return len(claimed) == limit, nil
}

// start works a claimed lane until it is idle, lost or stopped. Where an earlier
// hold on the same lane has not ended, it was lost: the new one waits for its end.
func (r *Lanes) start(ctx, work context.Context, lease queue.Lane, asked time.Time) {
	work, h := holdLease(work, asked, r.cfg.Lease)
	l := newLane(r, lease, h)
	r.mu.Lock()
	before := r.lanes[lease.LaneID]
	r.lanes[lease.LaneID] = l
	r.mu.Unlock()
	r.running.Go(func() {
		defer close(l.ended)
		if before != nil {
			before.hold.lose(queue.ErrStale)
			<-before.ended
		}
		l.run(ctx, work)
		r.leave(ctx, l, errors.Is(context.Cause(work), queue.ErrStale))
	})
}

// leave gives a lane back, unless somebody has taken it.
func (r *Lanes) leave(ctx context.Context, l *lane, taken bool) {
	l.hold.end()
	if !taken {
		give, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := r.cfg.Queue.ReleaseLanes(give, []queue.Lane{l.lease}); err != nil {
			r.cfg.Log.Warn("lane not given back: it is free when its lease ends", "lane", l.lease.LaneID, "err", err)
		}
	}
	r.mu.Lock()
	if r.lanes[l.lease.LaneID] == l {
		delete(r.lanes, l.lease.LaneID)
	}
	r.mu.Unlock()
	if !l.resting {
		poke(r.claims) // what woke it while it left finds nobody
	}
}

// renew keeps the leases of all lanes. One that the database no longer knows as ours
// stops at once.
func (r *Lanes) renew(ctx context.Context) {
	for pause(ctx, r.cfg.Lease/4, nil) {
		r.mu.Lock()
		held := make([]*lane, 0, len(r.lanes))
		leases := make([]queue.Lane, 0, len(r.lanes))
		for _, l := range r.lanes {
			held, leases = append(held, l), append(leases, l.lease)
		}
		r.mu.Unlock()
		if len(held) == 0 {
			continue
		}
		asked := time.Now()
		limited, cancel := context.WithTimeout(ctx, r.cfg.Lease)
		kept, err := r.cfg.Queue.RenewLanes(limited, leases, r.cfg.Lease)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				r.cfg.Log.Error("leases not renewed", "lanes", len(held), "err", err)
			}
			continue
		}
		ours := make(map[queue.LaneID]int64, len(kept))
		for _, k := range kept {
			ours[k.LaneID] = k.Epoch
		}
		for _, l := range held {
			if ours[l.lease.LaneID] == l.lease.Epoch {
				l.hold.renewed(asked, r.cfg.Lease)
			} else {
				l.hold.lose(queue.ErrStale)
			}
		}
	}
}

// slotsOf returns the slots of a task, whose own limit is 0 when it has none.
// After a change of the limit the keys in flight count towards the old one.
func (r *Lanes) slotsOf(id task.ID, limit int) chan struct{} {
	if limit <= 0 || limit > r.cfg.InFlight {
		limit = r.cfg.InFlight
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if cap(r.tasks[id]) != limit {
		r.tasks[id] = make(chan struct{}, limit)
	}
	return r.tasks[id]
}

// sliceSize shares what may wait in memory between the lanes.
func (r *Lanes) sliceSize() int {
	const inMemory = 16_000
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(50, min(maxSlice, inMemory/max(1, len(r.lanes))))
}

// lost says whether err means that the lane is somebody else's.
func lost(err error) bool {
	return errors.Is(err, queue.ErrStale) || task.KindOf(err) == task.NotFound
}
