package worker

import (
	"context"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
)

const (
	// settleMost is how many records one transaction settles.
	settleMost = 1000
	// settleAtOnce settles as soon as so many have finished.
	settleAtOnce = 500
	// settleEvery is how often a node settles at most while fewer finish: after a pause
	// it settles at once. Objects are visible before that; only their keys wait.
	settleEvery = 50 * time.Millisecond
)

// pace gives the lanes of a node common moments to settle at: lanes that settle together
// share a transaction.
type pace struct {
	mu sync.Mutex
	at time.Time // the last moment given, which may be yet to come
}

// next is the moment for a lane that has something to settle now.
func (p *pace) next(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch since := now.Sub(p.at); {
	case since >= settleEvery:
		p.at = now
	case since >= 0:
		p.at = p.at.Add(settleEvery)
	}
	return p.at
}

// finish hands over how a key ended. ok is false when nothing is known of it: its
// record stays.
func (l *lane) finish(d queue.Settlement, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ok {
		// Its work was cut off, so the lane ends: the key stays busy until then.
		return
	}
	l.finished = append(l.finished, d)
	switch len(l.finished) {
	case 1:
		l.settleAt = l.r.pace.next(time.Now())
		poke(l.ready)
	case settleAtOnce:
		poke(l.ready)
	}
}

// settleAll settles what finishes until the lane is closed.
func (l *lane) settleAll(work context.Context) {
	later := time.NewTimer(time.Hour)
	defer later.Stop()
	for {
		select {
		case <-l.ready:
		case <-later.C:
		}
		for {
			group, closed := l.group(time.Now())
			if len(group) == 0 {
				if closed {
					return
				}
				break
			}
			if !l.settle(work, group) {
				l.drain()
				return
			}
		}
		if wait := l.due(time.Now()); wait > 0 {
			later.Reset(wait)
		}
	}
}

// group takes what is to be settled now.
func (l *lane) group(now time.Time) (group []queue.Settlement, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.finished)
	if !l.closed && n < settleAtOnce && now.Before(l.settleAt) {
		return nil, false
	}
	n = min(n, settleMost)
	group = l.finished[:n:n]
	if l.finished = l.finished[n:]; len(l.finished) == 0 {
		l.finished = nil
	}
	return group, l.closed
}

// due is how long the records that have finished wait for their settlement; 0: there
// are none.
func (l *lane) due(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.finished) == 0 {
		return 0
	}
	return max(l.settleAt.Sub(now), time.Microsecond)
}

// settle records a group, for as long as it takes. It reports false when the lane is
// no longer ours, or the node gives up: the records stay in the queue.
func (l *lane) settle(work context.Context, group []queue.Settlement) bool {
	l.mu.Lock()
	slices := l.slices
	l.mu.Unlock()
	trouble := backoff{base: 50 * time.Millisecond, most: 2 * time.Second}
	for {
		// A group that is complete is worth a moment more when work is cut.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(work), 2*time.Second)
		out, err := l.r.cfg.Queue.Settle(ctx, l.lease, group)
		cancel()
		if err == nil {
			l.settled(group, out, slices)
			return true
		}
		if lost(err) {
			l.hold.lose(queue.ErrStale)
			return false
		}
		l.r.cfg.Log.Error("outcomes not settled", "task", l.lease.Task, "shard", l.lease.Shard, "keys", len(group), "err", err)
		if !pause(work, trouble.next(), nil) {
			return false
		}
	}
}

// settled makes the keys of a group free to be taken again.
func (l *lane) settled(group []queue.Settlement, out queue.Settled, slices int) {
	l.mu.Lock()
	for i := range group {
		delete(l.busy, group[i].Record.Key)
	}
	// A slice left out the keys that were busy: their later versions wait.
	again := out.Moved > 0 || l.slices != slices || l.full || out.Rescheduled > 0
	l.mu.Unlock()
	if again {
		poke(l.wake)
	}
	if l.r.cfg.Ended != nil {
		for i := range group {
			l.r.cfg.Ended(l.lease.Task, &group[i])
		}
	}
}

// drain waits until the lane is closed and forgets what finishes.
func (l *lane) drain() {
	for {
		l.mu.Lock()
		l.finished = nil
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return
		}
		<-l.ready
	}
}
