package worker

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// BenchmarkDrain settles keys without transferring anything: what the queue, the
// lanes and exact counters cost.
func BenchmarkDrain(b *testing.B) {
	store, err := db.Open(b.Context(), db.Config{Path: filepath.Join(b.TempDir(), "lockstep.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	k, err := store.CreateTask(b.Context(), task.Task{Project: "p", Name: "main", Origin: task.Native}, task.Actor{})
	if err != nil {
		b.Fatal(err)
	}
	keys := keysNamed("some/directory/object-", b.N)
	for batch := range slices.Chunk(keys, 4*task.MaxBatchKeys) {
		var group []queue.Batch
		for part := range slices.Chunk(batch, task.MaxBatchKeys) {
			one := queue.Batch{Task: k.ID}
			for _, key := range part {
				one.Entries = append(one.Entries, queue.Entry{Key: key})
			}
			group = append(group, one)
		}
		if err := store.AcceptGroup(b.Context(), group, make([]queue.Answer, len(group))); err != nil {
			b.Fatal(err)
		}
	}
	done := make(chan struct{}, b.N)
	lanes := NewLanes(LanesConfig{
		Node: "a", Queue: store, Deletes: store, Wake: store.Wake(),
		Stores: &testStores{db: store, src: mem.New("source"), dst: mem.New("destination")},
		Ended:  func(task.ID, *queue.Settlement) { done <- struct{}{} },
		Work: func(_ context.Context, _ *Ends, rec queue.Record) queue.Settlement {
			return queue.Settlement{Record: rec, Outcome: task.Synced, Reason: task.Copied, Size: 4096, At: time.Now()}
		},
	})
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error)
	b.ResetTimer()
	go func() { ended <- lanes.Run(ctx) }()
	for range b.N {
		<-done
	}
	b.StopTimer()
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}
