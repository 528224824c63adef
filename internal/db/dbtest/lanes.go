package dbtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func testLanesClaim(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	if got := w.claim(); len(got) != 0 {
		t.Fatalf("claimed %+v of an empty queue", got)
	}
	w.accept(numbered("k", 100)...)
	first := w.claim()
	if len(first) != w.task.Shards {
		t.Fatalf("claimed %d lanes of %d", len(first), w.task.Shards)
	}
	if again := w.claim(); len(again) != 0 {
		t.Fatalf("claimed owned lanes %+v", again)
	}
	w.must(w.s.ReleaseLanes(t.Context(), []queue.Lane{first[0], first[1]}))
	second := w.claim()
	if len(second) != 2 || second[0].Epoch != first[0].Epoch+1 {
		t.Fatalf("claimed %+v after %+v was released", second, first)
	}
	w.clock.Skip(50 * time.Second)
	kept, err := w.s.RenewLanes(t.Context(), []queue.Lane{second[0]}, time.Minute)
	w.must(err)
	if len(kept) != 1 || !kept[0].Expires.After(second[0].Expires) {
		t.Fatalf("renewed %+v", kept)
	}
	w.clock.Skip(20 * time.Second)
	if third := w.claim(); len(third) != w.task.Shards-1 {
		t.Fatalf("claimed %+v, want all but the renewed one", third)
	}
	if lanes, err := w.s.ClaimLanes(t.Context(), node, 0, time.Minute); err != nil || len(lanes) != 0 {
		t.Fatalf("a limit of 0 claimed %+v, %v", lanes, err)
	}
}

func testLanesOfPausedTasks(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a")
	w.setState(task.Paused)
	if got := w.claim(); len(got) != 0 {
		t.Fatalf("claimed %+v of a paused task", got)
	}
	up := w.s.Wake().Subscribe()
	defer up.Close()
	w.setState(task.Active)
	if got := up.Take(); len(got) != w.task.Shards {
		t.Fatalf("resuming woke %v", got)
	}
	if got := w.claim(); len(got) != 1 {
		t.Fatalf("claimed %+v", got)
	}
}

// sameShard returns n keys of shard 0.
func (w *world) sameShard(prefix string, n int) []string {
	var keys []string
	for i := 0; len(keys) < n; i++ {
		if k := fmt.Sprintf("%s%05d", prefix, i); task.ShardOf(k, w.task.Shards) == 0 {
			keys = append(keys, k)
		}
	}
	return keys
}

func keysOf(rs []queue.Record) []string {
	keys := make([]string, len(rs))
	for i, r := range rs {
		keys[i] = r.Key
	}
	return keys
}

func testSliceOrder(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	early, late := w.sameShard("z", 3), w.sameShard("a", 3)
	w.accept(early[1], early[0], early[2])
	w.clock.Skip(time.Second)
	w.accept(late...)
	_, err := w.in.Accept(t.Context(), queue.Batch{Task: w.task.ID, Entries: []queue.Entry{
		{Key: w.sameShard("m", 1)[0], NotBefore: w.clock.Now().Add(time.Hour)},
	}})
	w.must(err)
	lane := queue.LaneID{Task: w.task.ID}
	slice, err := w.s.Slice(t.Context(), lane, 100, nil)
	w.must(err)
	if want := append(slices.Clone(early), late...); !slices.Equal(keysOf(slice.Records), want) {
		t.Fatalf("slice %q, want %q", keysOf(slice.Records), want)
	}
	if left := slice.Next.Sub(w.clock.Now()); left < 59*time.Minute || left > time.Hour {
		t.Fatalf("next is due in %v", left)
	}
	busy := map[string]struct{}{early[0]: {}, early[2]: {}}
	slice, err = w.s.Slice(t.Context(), lane, 2, busy)
	w.must(err)
	if want := []string{early[1], late[0]}; !slices.Equal(keysOf(slice.Records), want) {
		t.Fatalf("slice beside busy keys %q, want %q", keysOf(slice.Records), want)
	}
}

// Events go before what a scan found, but never all of the time.
func testSliceKeepsRoom(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	p := w.scan(queue.JobStart{})
	scanned := w.sameShard("s", 50)
	w.must(w.s.CommitPage(t.Context(), &p, queue.Page{After: "t", Enqueue: found(scanned...)}))
	events := w.sameShard("e", 50)
	w.accept(events...)
	slice, err := w.s.Slice(t.Context(), queue.LaneID{Task: w.task.ID}, 20, nil)
	w.must(err)
	if want := append(slices.Clone(events[:15]), scanned[:5]...); !slices.Equal(keysOf(slice.Records), want) {
		t.Fatalf("slice %q, want %q", keysOf(slice.Records), want)
	}
	slice, err = w.s.Slice(t.Context(), queue.LaneID{Task: w.task.ID}, 90, nil)
	w.must(err)
	if want := append(slices.Clone(events), scanned[:40]...); !slices.Equal(keysOf(slice.Records), want) {
		t.Fatalf("slice %q, want %q", keysOf(slice.Records), want)
	}
}

func testWake(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	up := w.s.Wake().Subscribe()
	defer up.Close()
	w.accept("a")
	select {
	case <-up.C():
	case <-time.After(10 * time.Second):
		t.Fatal("an accept did not wake its lane")
	}
	want := queue.LaneID{Task: w.task.ID, Shard: task.ShardOf("a", w.task.Shards)}
	if got := up.Take(); len(got) != 1 || got[0] != want {
		t.Fatalf("woke %v, want %v", got, want)
	}
}
