package dbtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Lanes that settle at the same time share transactions: each gets its own answer, and
// neither a lane that was lost nor one the database refuses takes others along.
func testSettleTogether(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	const rounds, keysEach = 10, 400
	requested := int64(0)
	for round := range rounds {
		keys := make([]string, keysEach)
		for i := range keys {
			keys[i] = fmt.Sprintf("%d/%d", round, i)
		}
		w.accept(keys...)
		requested += keysEach
		lanes := w.claim()
		if len(lanes) < 4 {
			t.Fatalf("%d lanes", len(lanes))
		}
		var calls sync.WaitGroup
		var mu sync.Mutex
		ended, lost := 0, 0
		for shard, l := range lanes {
			slice, err := w.s.Slice(t.Context(), l.LaneID, keysEach, nil)
			w.must(err)
			done := make([]queue.Settlement, len(slice.Records))
			for i, r := range slice.Records {
				done[i] = synced(r)
			}
			switch shard {
			case 1:
				l.Epoch--
			case 2: // PostgreSQL refuses this, SQLite takes it
				done[0].Outcome, done[0].Reason = task.Ignored, "NUL\x00"
			}
			calls.Go(func() {
				got, err := w.s.Settle(t.Context(), l, done)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case shard == 1:
					if !errors.Is(err, queue.ErrStale) || got != (queue.Settled{}) {
						t.Errorf("a lost lane: %+v, %v", got, err)
					}
					lost += len(done)
				case shard == 2 && err != nil:
					lost += len(done)
				case err != nil || got != (queue.Settled{Ended: len(done)}):
					t.Errorf("lane %d: %+v, %v; want %d ended", shard, got, err, len(done))
				default:
					ended += len(done)
				}
			})
		}
		calls.Wait()
		if ended+lost != keysEach || ended == 0 || lost == 0 {
			t.Fatalf("%d ended, %d lost", ended, lost)
		}
		w.must(w.s.ReleaseLanes(t.Context(), slices.Collect(maps.Values(lanes))))
		w.work(synced) // the rest
		w.prove()
	}
	c, err := w.s.Total(t.Context(), w.task.ID, false)
	w.must(err)
	if c.Requested != requested || c.Pending() != 0 || c.Failed != 0 {
		t.Fatalf("%+v", c)
	}
}
