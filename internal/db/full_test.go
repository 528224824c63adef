package db_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/worker"
)

// oneTask opens the two ends of the one task there is.
type oneTask struct {
	s        *db.Store
	src, dst objstore.Bucket
}

func (o oneTask) Open(ctx context.Context, id task.ID) (*worker.Ends, error) {
	k, err := o.s.Task(ctx, id)
	if err != nil {
		return nil, err
	}
	return worker.NewEnds(worker.EndsConfig{Task: k, Src: o.src, Dst: o.dst, Ours: func(other task.ID) bool { return other == id }})
}

// TestFullOrReadOnly: a database that cannot be written refuses events at once and says
// so, keeps what it accepted, and goes on by itself when it can be written again.
func TestFullOrReadOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, breaks, mends string }{
		{"full", "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000000"}, // 1: no more than there are
		{"read-only", "PRAGMA query_only = 1", "PRAGMA query_only = 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := openSQLite(t, db.Config{})
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			k, err := s.CreateTask(t.Context(), task.Task{Project: "p", Name: "full", Shards: 4}, task.Actor{})
			must(err)
			src, dst := mem.New("source"), mem.New("destination")
			in := queue.NewCommitter(s, queue.CommitterConfig{})
			lanes := worker.NewLanes(worker.LanesConfig{Node: "n", Queue: s, Deletes: s, Wake: s.Wake(), Stores: oneTask{s, src, dst}, Sweep: 50 * time.Millisecond})
			ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
			var wg sync.WaitGroup
			wg.Go(func() { _ = in.Run(ctx) })
			for !in.Accepting() {
				time.Sleep(time.Millisecond)
			}
			wg.Go(func() { _ = lanes.Run(ctx) })
			t.Cleanup(func() { cancel(); wg.Wait() })
			var accepted []string
			accept := func(n int) error {
				b := queue.Batch{Task: k.ID}
				for i := range n {
					// Long keys fill a database sooner.
					key := fmt.Sprintf("%05d-%s", len(accepted)+i, strings.Repeat("k", 500))
					_, err := src.Put(t.Context(), key, strings.NewReader("x"), 1, objstore.PutOptions{})
					must(err)
					b.Entries = append(b.Entries, queue.Entry{Key: key})
				}
				_, err := in.Accept(t.Context(), b)
				for _, e := range b.Entries {
					if err == nil {
						accepted = append(accepted, e.Key)
					}
				}
				return err
			}
			until := func(what string, reached func() bool) {
				t.Helper()
				for give := time.Now().Add(time.Minute); !reached(); time.Sleep(5 * time.Millisecond) {
					if time.Now().After(give) {
						t.Fatalf("not within a minute: %s", what)
					}
				}
			}
			total := func() task.Counts {
				c, err := s.Total(t.Context(), k.ID, false)
				must(err)
				return c
			}
			until("the first keys are accepted", func() bool { return accept(100) == nil })
			until("they are synced", func() bool { return total().Synced == int64(len(accepted)) })

			must(s.OnWriter(t.Context(), c.breaks))
			until("events are refused", func() bool { err = accept(100); return err != nil })
			if task.KindOf(err) != task.Unavailable || !strings.Contains(fmt.Sprint(err), "database") {
				t.Errorf("refused with %v of kind %v", err, task.KindOf(err))
			}
			if c.name == "read-only" {
				if err := s.Ping(t.Context()); task.KindOf(err) != task.Unavailable {
					t.Errorf("/readyz would say %v", err)
				}
			}
			kept := total()
			if kept.Requested != int64(len(accepted)) {
				t.Errorf("%d records of %d accepted", kept.Requested, len(accepted))
			}
			proveAll(t, s, k.ID)
			for range 3 { // it stays refused, and loses nothing
				if err := accept(100); err == nil {
					t.Log("a batch found room")
				}
			}
			must(s.OnWriter(t.Context(), c.mends))
			until("events are accepted again", func() bool { return accept(100) == nil })
			until("everything is synced", func() bool { return total().Synced == int64(len(accepted)) })
			if got := total(); got.Requested != int64(len(accepted)) || got.Failed != 0 {
				t.Errorf("%+v, want %d synced", got, len(accepted))
			}
			for _, key := range accepted {
				if _, err := dst.Stat(t.Context(), key); err != nil {
					t.Fatalf("%.20s was accepted and is not there: %v", key, err)
				}
			}
			proveAll(t, s, k.ID)
		})
	}
}
