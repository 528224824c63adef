package db

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// wakeChannel carries lanes with new keys: "task:shard task:shard …". A lost message
// costs a sweep's time, nothing else. Messages are sent after the commit and apart
// from it, since NOTIFY inside makes all commits of a server queue up.
const wakeChannel = "lockstep_wake"

// announcements are the lanes that other nodes have not been told of yet.
type announcements struct {
	mu    sync.Mutex
	lanes map[queue.LaneID]struct{}
}

func (e *postgresEngine) announce(lanes []queue.LaneID) {
	e.told.mu.Lock()
	if e.told.lanes == nil {
		e.told.lanes = map[queue.LaneID]struct{}{}
	}
	// Without Run nobody empties it; there are as many entries as lanes at most.
	for _, l := range lanes {
		e.told.lanes[l] = struct{}{}
	}
	e.told.mu.Unlock()
	select {
	case e.bell <- struct{}{}:
	default:
	}
}

// run tells other nodes and listens to them, each on a connection of its own, again
// after every failure.
func (e *postgresEngine) run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, part := range []func(context.Context) error{e.listen, e.tell} {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := part(ctx); err != nil && ctx.Err() == nil {
					e.s.log.WarnContext(ctx, "wake-ups between nodes interrupted", "err", err)
				}
				pause := time.NewTimer(time.Second)
				select {
				case <-pause.C:
				case <-ctx.Done():
					pause.Stop()
				}
			}
		})
	}
	wg.Wait()
	return nil
}

func (e *postgresEngine) listen(ctx context.Context) error {
	c, err := e.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// A connection that listens does not go back to the pool.
	conn := c.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+wakeChannel); err != nil {
		return err
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		e.s.wake.Notify(parseLanes(n.Payload)...)
	}
}

func (e *postgresEngine) tell(ctx context.Context) error {
	for {
		select {
		case <-e.bell:
		case <-ctx.Done():
			return nil
		}
		for _, payload := range formatLanes(e.told.take()) {
			if _, err := e.pool.Exec(ctx, "SELECT pg_notify($1, $2)", wakeChannel, payload); err != nil {
				return err
			}
		}
	}
}

func (a *announcements) take() map[queue.LaneID]struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	lanes := a.lanes
	a.lanes = nil
	return lanes
}

// maxPayload is below the 8,000 bytes that PostgreSQL takes.
const maxPayload = 7_900

func formatLanes(lanes map[queue.LaneID]struct{}) []string {
	var out []string
	var b strings.Builder
	for l := range lanes {
		if b.Len() > maxPayload-64 {
			out = append(out, b.String())
			b.Reset()
		}
		b.WriteString(string(l.Task) + ":" + strconv.Itoa(l.Shard) + " ")
	}
	if b.Len() > 0 {
		out = append(out, b.String())
	}
	return out
}

// parseLanes reads what formatLanes wrote and skips what it does not know.
func parseLanes(payload string) []queue.LaneID {
	var lanes []queue.LaneID
	for f := range strings.FieldsSeq(payload) {
		id, shard, _ := strings.Cut(f, ":")
		n, err := strconv.Atoi(shard)
		if err != nil || n < 0 || !task.ID(id).Valid() {
			continue
		}
		lanes = append(lanes, queue.LaneID{Task: task.ID(id), Shard: n})
	}
	return lanes
}
