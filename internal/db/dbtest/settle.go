package dbtest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func testSettleOutcomes(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	r := w.accept("copied", "deleted", "denied", "same", "flagged")
	w.work(func(r queue.Record) queue.Settlement {
		switch r.Key {
		case "deleted":
			return queue.Settlement{Record: r, Outcome: task.Synced, Reason: task.Deleted}
		case "denied":
			return failed(r)
		case "same":
			return ignored(r)
		case "flagged":
			return queue.Settlement{Record: r, Outcome: task.Ignored, Reason: task.UpToDateButDifferent, Size: 3}
		}
		return synced(r)
	})
	want := task.Counts{Requested: 5, Synced: 2, Failed: 1, Ignored: 2, Deleted: 1, Flagged: 1, Bytes: 10}
	w.total(want)
	w.job(r.Job, want)
	fs, err := w.s.Failures(t.Context(), w.task.ID, history.FailureFilter{}, 0, 10)
	w.must(err)
	if len(fs) != 1 || fs[0].Key != "denied" || fs[0].Reason != task.DestinationDenied || fs[0].Code != "AccessDenied" ||
		fs[0].Attempts != 1 || !fs[0].Open || fs[0].Job != r.Job || fs[0].Cause != "no\uFFFDway" {
		t.Fatalf("failures %+v", fs)
	}
}

// A settlement that is repeated, because its answer was lost, counts nothing twice.
func testSettleTwice(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a")
	l, r := w.one()
	for i, want := range []queue.Settled{{Ended: 1}, {Moved: 1}, {Moved: 1}} {
		s := synced(r)
		if i == 2 {
			s = failed(r)
		}
		got, err := w.s.Settle(t.Context(), l, []queue.Settlement{s})
		w.must(err)
		if got != want {
			t.Fatalf("settlement %d: %+v, want %+v", i, got, want)
		}
	}
	w.total(task.Counts{Requested: 1, Synced: 1, Bytes: 10})
}

// A key named again while it is being copied stays pending: the copy may be of the
// state before.
func testSettleSuperseded(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a")
	l, r := w.one()
	w.accept("a")
	got, err := w.s.Settle(t.Context(), l, []queue.Settlement{synced(r)})
	w.must(err)
	if got != (queue.Settled{Moved: 1}) {
		t.Fatalf("%+v", got)
	}
	w.total(task.Counts{Requested: 2, Ignored: 1})
	slice, err := w.s.Slice(t.Context(), l.LaneID, 10, nil)
	w.must(err)
	if len(slice.Records) != 1 || slice.Records[0].Seq == r.Seq {
		t.Fatalf("slice %+v", slice)
	}
	if _, err := w.s.Settle(t.Context(), l, []queue.Settlement{synced(slice.Records[0])}); err != nil {
		t.Fatal(err)
	}
	w.total(task.Counts{Requested: 2, Ignored: 1, Synced: 1, Bytes: 10})
}

func testSettleStale(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a")
	old, r := w.one()
	w.clock.Skip(2 * time.Minute)
	lanes, err := w.s.ClaimLanes(t.Context(), "node-b", 10, time.Minute)
	w.must(err)
	if len(lanes) != 1 || lanes[0].Epoch <= old.Epoch {
		t.Fatalf("claimed %+v after %+v", lanes, old)
	}
	if _, err := w.s.Settle(t.Context(), old, []queue.Settlement{synced(r)}); !errors.Is(err, queue.ErrStale) {
		t.Fatalf("settled with an old epoch: %v", err)
	}
	w.total(task.Counts{Requested: 1})
	if kept, err := w.s.RenewLanes(t.Context(), []queue.Lane{old, lanes[0]}, time.Minute); err != nil || len(kept) != 1 || kept[0].Owner != "node-b" {
		t.Fatalf("renewed %+v, %v", kept, err)
	}
	w.must(w.s.ReleaseLanes(t.Context(), []queue.Lane{old})) // not its own any more
	if _, err := w.s.Settle(t.Context(), lanes[0], []queue.Settlement{synced(r)}); err != nil {
		t.Fatal(err)
	}
	w.total(task.Counts{Requested: 1, Synced: 1, Bytes: 10})
}

func testSettleAgainLater(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a", "b")
	later := w.clock.Now().Add(time.Minute).Truncate(time.Microsecond)
	tries := map[string]int{}
	asked := w.clock.Now().Add(-time.Hour).Truncate(time.Microsecond)
	again := func(r queue.Record) queue.Settlement {
		if r.Attempts != tries[r.Key] {
			t.Fatalf("record %+v, tried %d times", r, tries[r.Key])
		}
		tries[r.Key]++
		return queue.Settlement{Record: r, Outcome: task.Pending, Reason: task.DestinationThrottled, NextAt: later, RestoringAt: asked}
	}
	if n := w.work(again); n != (queue.Settled{Rescheduled: 2}) {
		t.Fatalf("%+v", n)
	}
	w.total(task.Counts{Requested: 2})
	lane := queue.LaneID{Task: w.task.ID, Shard: task.ShardOf("a", w.task.Shards)}
	slice, err := w.s.Slice(t.Context(), lane, 10, nil)
	w.must(err)
	if len(slice.Records) != 0 || !slice.Next.Equal(later) {
		t.Fatalf("slice %+v, want nothing before %v", slice, later)
	}
	w.clock.Skip(61 * time.Second)
	slice, err = w.s.Slice(t.Context(), lane, 10, nil)
	w.must(err)
	if len(slice.Records) == 0 || slice.Records[0].Reason != task.DestinationThrottled || !slice.Records[0].RestoringAt.Equal(asked) {
		t.Fatalf("slice %+v", slice)
	}
	later = later.Add(time.Hour)
	w.work(again)
	w.clock.Skip(2 * time.Hour)
	later = later.Add(2 * time.Hour)
	w.work(func(r queue.Record) queue.Settlement { // no attempt: there is nothing to try yet
		return queue.Settlement{Record: r, Outcome: task.Pending, Reason: task.SourceRestoring, NextAt: later, RestoringAt: asked}
	})
	waiting, _, err := w.s.KeyState(t.Context(), w.task.ID, "a")
	w.must(err)
	if waiting == nil || !waiting.RestoringAt.Equal(asked) {
		t.Fatalf("waiting %+v", waiting)
	}
	w.clock.Skip(2 * time.Hour)
	w.work(failed)
	w.total(task.Counts{Requested: 2, Failed: 2})
	fs, err := w.s.Failures(t.Context(), w.task.ID, history.FailureFilter{Key: "a"}, 0, 10)
	w.must(err)
	if len(fs) != 1 || fs[0].Attempts != 3 {
		t.Fatalf("failures %+v, want one after 3 attempts", fs)
	}
}

// What a lane says of a record that does not fit the row changes nothing.
func testSettleChangedRecord(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept("a")
	l, r := w.one()
	for _, change := range []func(*queue.Record){
		func(r *queue.Record) { r.Seq++ },
		func(r *queue.Record) { r.Key = "b" },
		func(r *queue.Record) { r.JobNum++ },
		func(r *queue.Record) { r.AcceptedAt = r.AcceptedAt.Add(-time.Hour) },
	} {
		bad := r
		change(&bad)
		got, err := w.s.Settle(t.Context(), l, []queue.Settlement{synced(bad)})
		w.must(err)
		if got != (queue.Settled{Moved: 1}) {
			t.Fatalf("%+v settled %+v", bad, got)
		}
	}
	w.total(task.Counts{Requested: 1})
}

// A lane that was stopped in the middle of a copy must not settle a record that came
// after: a number per row would begin again.
func testSeqNeverReused(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	seen := map[int64]bool{}
	for range 5 {
		w.accept("a")
		l, r := w.one()
		if seen[r.Seq] {
			t.Fatalf("seq %d was used before", r.Seq)
		}
		seen[r.Seq] = true
		for old := range seen {
			if old == r.Seq {
				continue
			}
			zombie := r
			zombie.Seq = old
			if n, err := w.s.Settle(t.Context(), l, []queue.Settlement{synced(zombie)}); err != nil || n.Ended != 0 {
				t.Fatalf("old seq settled %+v, %v", n, err)
			}
		}
		_, err := w.s.Settle(t.Context(), l, []queue.Settlement{synced(r)})
		w.must(err)
		w.must(w.s.ReleaseLanes(t.Context(), []queue.Lane{l}))
	}
	w.total(task.Counts{Requested: 5, Synced: 5, Bytes: 50})
}

func testOddKeys(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	keys := []string{
		"a", "A", "a/", "/", "//", " ", "a b", "a+b", "a%20b", "\x00", "a\x00b", "\xff\xfe", "tab\t", "new\nline", "\r\n", `back\slash`,
		"é", "e\u0301", "😀", "'; DROP TABLE pending; --", "$1", "?", ":x", string(make([]byte, task.MaxKeyBytes)),
	}
	w.accept(keys...)
	got := map[string]bool{}
	w.work(func(r queue.Record) queue.Settlement {
		got[r.Key] = true
		if len(r.Key)%2 == 0 {
			return failed(r)
		}
		return synced(r)
	})
	want := map[string]bool{}
	var n int64
	for _, k := range keys {
		want[k] = true
		n += int64(len(k) & 1)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	w.total(task.Counts{Requested: int64(len(keys)), Synced: n, Failed: int64(len(keys)) - n, Bytes: 10 * n})
	for _, k := range keys {
		_, fs, err := w.s.KeyState(t.Context(), w.task.ID, k)
		w.must(err)
		if (len(fs) == 1) != (len(k)%2 == 0) {
			t.Fatalf("key %q has failures %+v", k, fs)
		}
	}
}
