package worker

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

const (
	maxSlice = 1000 // keys read from the database at a time
	// maxBusy is how many keys of a lane may be sliced and not settled.
	maxBusy = 2 * maxSlice
	// checkEvery is how often a lane looks whether its task still works.
	checkEvery = 200 * time.Millisecond
)

// lane is a leased lane at work: one goroutine takes keys, one for each key works
// on it, one settles.
type lane struct {
	r      *Lanes
	lease  queue.Lane
	hold   *hold
	booker booker
	ended  chan struct{}

	wake    chan struct{}  // holds a token when there may be something to take
	ready   chan struct{}  // holds a token when there is something to settle
	keys    sync.WaitGroup // in flight
	resting bool           // it ended because its task does not work now

	// Of the taker.
	ends    *Ends
	opened  time.Time // when ends were asked for
	slots   chan struct{}
	trouble backoff
	refused time.Time // since when stores refuse the task; zero: they do not

	mu       sync.Mutex
	busy     map[string]struct{} // sliced and not settled
	slices   int                 // begun
	full     bool                // the taker waits for busy to shrink
	finished []queue.Settlement
	settleAt time.Time // when they are to be settled, if no more finish
	closed   bool      // nothing more will finish
}

func newLane(r *Lanes, lease queue.Lane, h *hold) *lane {
	return &lane{
		r: r, lease: lease, hold: h, booker: booker{deletes: r.cfg.Deletes, task: lease.Task},
		ended: make(chan struct{}), wake: make(chan struct{}, 1), ready: make(chan struct{}, 1),
		busy: map[string]struct{}{}, trouble: backoff{base: 100 * time.Millisecond, most: 15 * time.Second},
	}
}

// run takes keys while ctx and work live, and there are any, and settles what was
// taken. The end of work, when the lease is lost or the node's grace is over, also
// ends the keys in flight.
func (l *lane) run(ctx, work context.Context) {
	taking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(work, func() { stop(context.Cause(work)) })()
	var settler sync.WaitGroup
	settler.Go(func() { l.settleAll(work) })
	l.take(taking, work)
	l.keys.Wait()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	poke(l.ready)
	settler.Wait()
}

// take slices and dispatches until ctx ends, the task rests, or the lane has been
// idle for a while.
func (l *lane) take(ctx, work context.Context) {
	idle := time.Now()
	for ctx.Err() == nil {
		s, next, err := l.slice(ctx)
		if err == nil {
			l.trouble.ok()
			if len(s.records) > 0 {
				idle = time.Now()
				err = l.dispatch(ctx, work, s)
			}
		}
		var wait time.Duration
		switch linger := l.r.cfg.Linger - time.Since(idle); {
		case errors.Is(err, errIdle), lost(err):
			l.resting = true
			return
		case ctx.Err() != nil:
			return
		case err != nil:
			l.r.cfg.Log.Error("lane waits", "task", l.lease.Task, "shard", l.lease.Shard, "err", err)
			if l.endRefused(ctx, err) {
				continue
			}
			// Wake-ups would not mend it.
			if !pause(ctx, l.trouble.next(), nil) {
				return
			}
			continue
		case s.more:
			continue
		case s.blocked:
			wait = l.r.cfg.Lease // settling wakes us
		case !next.IsZero() && time.Until(next) < l.r.cfg.Linger:
			wait = max(0, time.Until(next))
		case linger <= 0 && l.quiet():
			return
		default:
			wait = max(linger, 50*time.Millisecond)
		}
		// A wake-up may be lost between nodes; the sweep is the net below it.
		if !pause(ctx, min(wait, l.r.cfg.Sweep), l.wake) {
			return
		}
	}
}

// sliced is a slice with what its keys share.
type sliced struct {
	slice
	records []queue.Record
	more    bool // the lane has more that is due
	blocked bool // nothing was read because too much has not been settled
}

// slice reads the next keys and marks them busy.
func (l *lane) slice(ctx context.Context) (s *sliced, next time.Time, err error) {
	s = &sliced{}
	limit := l.r.sliceSize()
	l.mu.Lock()
	if l.full = len(l.busy)+limit > maxBusy; l.full {
		l.mu.Unlock()
		s.blocked = true
		return s, next, nil
	}
	l.slices++
	busy := maps.Clone(l.busy)
	l.mu.Unlock()
	if err := l.open(ctx); err != nil {
		return s, next, err
	}
	got, err := l.r.cfg.Queue.Slice(ctx, l.lease.LaneID, limit, busy)
	if err != nil {
		return s, next, err
	}
	l.mu.Lock()
	for i := range got.Records {
		l.busy[got.Records[i].Key] = struct{}{}
	}
	l.mu.Unlock()
	s.records, s.more = got.Records, len(got.Records) == limit
	l.share(&s.slice)
	return s, got.Next, nil
}

// share fills in what the keys of a slice share, by the task as it is now.
func (l *lane) share(s *slice) {
	s.ends, s.plan = l.ends, l.ends.Plan(time.Now())
	s.source.unwanted = s.plan.Filter.Unwanted
	s.patience, s.booker, s.accept = l.r.cfg.Patience, &l.booker, l.r.cfg.Accept
}

// open asks for the task as it is now. errIdle: it does not work.
func (l *lane) open(ctx context.Context) error {
	now := time.Now()
	ends, err := l.r.cfg.Stores.Open(ctx, l.lease.Task)
	if err != nil {
		return err
	}
	if ends.Task.State != task.Active {
		return errIdle
	}
	if l.ends != ends {
		l.slots = l.r.slotsOf(l.lease.Task, ends.Task.Options.Concurrency)
	}
	l.ends, l.opened, l.refused = ends, now, time.Time{}
	return nil
}

// dispatch starts the work on every record of a slice, as slots come free. When the
// task stops to work, or ctx ends, the rest stays in the queue.
func (l *lane) dispatch(ctx, work context.Context, s *sliced) error {
	share := &s.slice
	for i, rec := range s.records {
		slots := l.slots
		if !acquire(ctx, slots, l.r.slots) {
			l.forget(s.records[i:])
			return context.Cause(ctx)
		}
		if time.Since(l.opened) > checkEvery {
			before := l.ends
			if err := l.open(ctx); err != nil {
				release(slots, l.r.slots)
				l.forget(s.records[i:])
				return err
			}
			if l.ends != before {
				share = &slice{}
				l.share(share)
			}
		}
		l.keys.Go(func() {
			d, ok := l.work(work, share, rec)
			release(slots, l.r.slots)
			l.finish(d, ok)
		})
	}
	return nil
}

// work works on one key.
func (l *lane) work(ctx context.Context, s *slice, rec queue.Record) (queue.Settlement, bool) {
	if l.r.cfg.Work != nil {
		return l.r.cfg.Work(ctx, s.ends, rec), ctx.Err() == nil
	}
	return s.end(ctx, rec)
}

// acquire takes a slot of the task and one of the node.
func acquire(ctx context.Context, own, node chan struct{}) bool {
	select {
	case own <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	select {
	case node <- struct{}{}:
		return true
	case <-ctx.Done():
		<-own
		return false
	}
}

func release(own, node chan struct{}) {
	<-node
	<-own
}

// forget makes records free to be sliced again.
func (l *lane) forget(records []queue.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range records {
		delete(l.busy, records[i].Key)
	}
}

// quiet says that everything that was sliced is settled.
func (l *lane) quiet() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.busy) == 0
}
