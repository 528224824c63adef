package db_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/db/dbtest/pgserver"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func asError(err error, e **task.Error) bool { return errors.As(err, e) }

// What one node accepts wakes the lanes of another.
func TestNodesWakeEachOther(t *testing.T) {
	t.Parallel()
	url := pgserver.Shared(t).Database(t)
	a, b := open(t, db.Config{URL: url}), open(t, db.Config{URL: url})
	k, err := a.CreateTask(t.Context(), task.Task{Project: "p", Name: "n"}, task.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()
	for _, s := range []*db.Store{a, b} {
		wg.Go(func() { _ = s.Run(ctx) })
	}
	up := b.Wake().Subscribe()
	defer up.Close()
	want := queue.LaneID{Task: k.ID, Shard: task.ShardOf("key", k.Shards)}
	deadline := time.After(20 * time.Second)
	for {
		// The listener may not listen yet: a sweep is what makes up for that, here a repetition.
		answers := make([]queue.Answer, 1)
		if err := a.AcceptGroup(ctx, []queue.Batch{{Task: k.ID, Entries: []queue.Entry{{Key: "key"}}}}, answers); err != nil || answers[0].Err != nil {
			t.Fatal(err, answers[0].Err)
		}
		select {
		case <-up.C():
			if got := up.Take(); len(got) != 1 || got[0] != want {
				t.Fatalf("woke %v, want %v", got, want)
			}
			return
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatal("not woken")
		}
	}
}

// Two nodes that accept the same keys of one task at the same time neither deadlock for
// good nor lose or double a record.
func TestNodesAcceptTheSameKeys(t *testing.T) {
	t.Parallel()
	url := pgserver.Shared(t).Database(t)
	nodes := []*db.Store{open(t, db.Config{URL: url}), open(t, db.Config{URL: url}), open(t, db.Config{URL: url})}
	k, err := nodes[0].CreateTask(t.Context(), task.Task{Project: "p", Name: "n"}, task.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	const rounds, keys = 30, 100
	var wg sync.WaitGroup
	for n, s := range nodes {
		wg.Go(func() {
			for r := range rounds {
				es := make([]queue.Entry, keys)
				for i := range es {
					es[i].Key = string(rune('a' + (i*(n+1)+r)%50))
				}
				answers := make([]queue.Answer, 1)
				err := s.AcceptGroup(t.Context(), []queue.Batch{{Task: k.ID, Entries: es}}, answers)
				if err := errors.Join(err, answers[0].Err); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	proveAll(t, nodes[0], k.ID)
	c, err := nodes[0].Total(t.Context(), k.ID, true)
	if err != nil || c.Requested != 3*rounds*keys || c.Pending() != 50 {
		t.Fatalf("%+v, %v", c, err)
	}
	jobs, err := nodes[0].Jobs(t.Context(), "p", db.JobFilter{})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("jobs %+v, %v", jobs, err)
	}
}
