package dbtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// watch proves the task again and again until stop is called: the counts reconcile at
// every read, not only at the end.
func (w *world) watch() (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	var wg sync.WaitGroup
	reads := 0
	wg.Go(func() {
		for ctx.Err() == nil {
			p, err := w.s.ProveTask(context.WithoutCancel(ctx), w.task.ID)
			if err == nil {
				err = p.Check()
			}
			if err != nil {
				w.Errorf("read %d: %v", reads, err)
				return
			}
			reads++
		}
	})
	return func() {
		cancel()
		wg.Wait()
		if reads == 0 {
			w.Error("nothing was read meanwhile")
		}
	}
}

// drainers work the task as several nodes that keep taking lanes from each other. Each
// settlement is sometimes sent twice.
func (w *world) drainers(ctx context.Context, n int, ended *atomic.Int64) *sync.WaitGroup {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for ctx.Err() == nil {
				lanes, err := w.s.ClaimLanes(context.WithoutCancel(ctx), task.NodeID(fmt.Sprint("node", i)), 2, time.Duration(r.IntN(5))*time.Millisecond)
				if err != nil {
					w.Error(err)
					return
				}
				for _, l := range lanes {
					if err := w.drain(context.WithoutCancel(ctx), l, r, ended); err != nil {
						w.Error(err)
						return
					}
				}
			}
		})
	}
	return &wg
}

func (w *world) drain(ctx context.Context, l queue.Lane, r *rand.Rand, ended *atomic.Int64) error {
	slice, err := w.s.Slice(ctx, l.LaneID, 1+r.IntN(50), nil)
	if err != nil {
		return err
	}
	done := make([]queue.Settlement, len(slice.Records))
	for i, rec := range slice.Records {
		switch r.IntN(10) {
		case 0:
			done[i] = failed(rec)
		case 1:
			done[i] = ignored(rec)
		case 2:
			done[i] = queue.Settlement{Record: rec, Outcome: task.Pending, Reason: task.DestinationThrottled, NextAt: w.clock.Now()}
		default:
			done[i] = synced(rec)
		}
	}
	for range 1 + r.IntN(2) {
		n, err := w.s.Settle(ctx, l, done)
		if errors.Is(err, queue.ErrStale) {
			break
		}
		if err != nil {
			return err
		}
		ended.Add(int64(n.Ended))
	}
	if r.IntN(2) == 0 {
		return nil // forgets to give it back
	}
	return w.s.ReleaseLanes(ctx, []queue.Lane{l})
}

// Posters name a few keys over and over while nodes settle them, take each other's
// lanes, and readers recount.
func testRaceAcceptAndSettle(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	stop := w.watch()
	ctx, cancel := context.WithCancel(t.Context())
	var ended, accepted atomic.Int64
	drainers := w.drainers(ctx, 4, &ended)
	second := w.committer(queue.CommitterConfig{}) // as if another node accepted too
	var posters sync.WaitGroup
	for i := range 8 {
		posters.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			in := w.in
			if i%2 == 1 {
				in = second
			}
			for range 40 {
				var keys []string
				for range 1 + r.IntN(20) {
					keys = append(keys, fmt.Sprint("k", r.IntN(100)))
				}
				if _, err := in.Accept(t.Context(), queue.Batch{Task: w.task.ID, Entries: entries(keys...)}); err != nil {
					t.Error(err)
					return
				}
				accepted.Add(int64(len(keys)))
				if r.IntN(20) == 0 {
					w.clock.Skip(time.Minute)
				}
			}
		})
	}
	posters.Wait()
	cancel()
	drainers.Wait()
	stop()
	w.clock.Skip(time.Hour)
	rest := w.work(synced)
	got, err := w.s.Total(t.Context(), w.task.ID, false)
	w.must(err)
	if got.Requested != accepted.Load() || got.Pending() != 0 || got.Synced+got.Failed > ended.Load()+int64(rest.Ended) {
		t.Fatalf("accepted %d, settled %d + %d, counted %+v", accepted.Load(), ended.Load(), rest.Ended, got)
	}
	superseded, err := w.s.Reasons(t.Context(), w.task.ID, "")
	w.must(err)
	if n := superseded[task.Ignored][task.Superseded]; got.Requested != n+ended.Load()+int64(rest.Ended) {
		t.Fatalf("%d requested, %d superseded, %d settled", got.Requested, n, ended.Load()+int64(rest.Ended))
	}
	w.prove()
}

// A lane whose lease is over goes on settling: nothing of it counts, and each record
// ends once.
func testRaceZombies(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept(numbered("k", 400)...)
	stop := w.watch()
	zombies := w.claim()
	w.clock.Skip(2 * time.Minute)
	owners := w.claim()
	var zombie, owner atomic.Int64
	var wg sync.WaitGroup
	for shard := range w.task.Shards {
		for _, l := range []queue.Lane{zombies[shard], owners[shard]} {
			wg.Go(func() {
				for {
					slice, err := w.s.Slice(t.Context(), l.LaneID, 7, nil)
					if err != nil {
						t.Error(err)
						return
					}
					if len(slice.Records) == 0 {
						return
					}
					var done []queue.Settlement
					for _, r := range slice.Records {
						done = append(done, synced(r))
					}
					n, err := w.s.Settle(t.Context(), l, done)
					switch {
					case l.Epoch == zombies[shard].Epoch:
						if !errors.Is(err, queue.ErrStale) {
							t.Errorf("a zombie settled %+v, %v", n, err)
						}
						zombie.Add(int64(n.Ended))
					case err != nil:
						t.Error(err)
						return
					default:
						owner.Add(int64(n.Ended))
					}
				}
			})
		}
	}
	wg.Wait()
	stop()
	if zombie.Load() != 0 || owner.Load() != 400 {
		t.Fatalf("zombies settled %d, owners %d", zombie.Load(), owner.Load())
	}
	w.total(task.Counts{Requested: 400, Synced: 400, Bytes: 4000})
}

// No lane has two owners of the same epoch.
func testRaceClaims(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.accept(numbered("k", 100)...)
	var mu sync.Mutex
	seen := map[queue.LaneID]map[int64]task.NodeID{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			me := task.NodeID(fmt.Sprint("node", i))
			for range 30 {
				lanes, err := w.s.ClaimLanes(t.Context(), me, 2, time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, l := range lanes {
					if seen[l.LaneID] == nil {
						seen[l.LaneID] = map[int64]task.NodeID{}
					}
					if other, ok := seen[l.LaneID][l.Epoch]; ok {
						t.Errorf("lane %+v was claimed by %s in this epoch", l, other)
					}
					seen[l.LaneID][l.Epoch] = me
				}
				mu.Unlock()
				if err := w.s.ReleaseLanes(t.Context(), lanes); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != w.task.Shards {
		t.Fatalf("claimed %d lanes of %d", len(seen), w.task.Shards)
	}
}

// Scans, events and lanes at the same time.
func testRacePages(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	stop := w.watch()
	ctx, cancel := context.WithCancel(t.Context())
	var ended atomic.Int64
	drainers := w.drainers(ctx, 2, &ended)
	j, err := w.s.StartJob(t.Context(), queue.JobStart{Task: w.task.ID, Kind: task.ScanJob, Ranges: []queue.Range{{Until: "k1"}, {After: "k1", Until: "k2"}, {After: "k2"}}}, task.Actor{})
	w.must(err)
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			ps, err := w.s.ClaimPartitions(t.Context(), node, 1, time.Hour)
			if err != nil || len(ps) != 1 {
				t.Errorf("claimed %+v, %v", ps, err)
				return
			}
			p, end := ps[0], ps[0].Until
			if end == "" {
				end = "l"
			}
			for page := range 20 {
				keys := numbered(fmt.Sprintf("k%d-%02d-", i, page), 30)
				pg := queue.Page{After: p.After, Enqueue: found(keys...), Unchanged: 10, Delete: found(fmt.Sprintf("d%d-%d", i, page)), Source: 40, Destination: 11}
				if page == 19 {
					pg.After, pg.Done = end, true
				}
				if err := w.s.CommitPage(t.Context(), &p, pg); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 4 {
		wg.Go(func() {
			for page := range 20 {
				if _, err := w.in.Accept(t.Context(), queue.Batch{Task: w.task.ID, Entries: entries(numbered(fmt.Sprintf("k%d-%02d-", i, page), 20)...)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	cancel()
	drainers.Wait()
	w.must(func() error { _, err := w.s.ReleaseDeletes(t.Context(), j.ID, 1000); return err }())
	w.clock.Skip(time.Hour)
	w.work(synced)
	stop()
	got, err := w.s.Total(t.Context(), w.task.ID, false)
	w.must(err)
	if got.Requested != 3*20*41+4*20*20 || got.Pending() != 0 || got.Unchanged != 600 {
		t.Fatalf("counted %+v", got)
	}
	if _, err := w.s.EndJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if job, err := w.s.Job(t.Context(), j.ID); err != nil || job.State != task.JobDone || job.Counts.Requested != 3*20*41 {
		t.Fatalf("scan %+v, %v", job, err)
	}
	w.prove()
}

// Manifests that name the keys of events, and each other's, are cancelled while posters
// name the keys anew and nodes settle them: whatever becomes of whose record, a key is
// worked on after the last event that named it.
func testRaceCancel(t *testing.T, open Open) {
	rounds := 25
	if testing.Short() {
		rounds = 6
	}
	w := newWorld(t, open, db.Config{})
	stop := w.watch()
	keys := numbered("k", 30)
	var told, worked [30]atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var nodes, clients sync.WaitGroup
	for i := range 2 {
		nodes.Go(func() {
			for ctx.Err() == nil {
				w.workSlowly(context.WithoutCancel(ctx), task.NodeID(fmt.Sprint("node", i)), keys, &told, &worked)
			}
		})
	}
	for i := range 3 {
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 11))
			for range rounds {
				k := r.IntN(len(keys) - 5)
				for j := k; j < k+5; j++ {
					told[j].Add(1)
				}
				w.accept(keys[k : k+5]...)
				id := w.openManifest(keys[k:], keys[:k+1])
				if err := w.s.CancelJob(t.Context(), id, "", task.Actor{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	cancel()
	nodes.Wait()
	stop()
	w.clock.Skip(time.Minute) // the nodes' leases are over
	w.workSlowly(t.Context(), node, keys, &told, &worked)
	for i := range keys {
		if told[i].Load() != worked[i].Load() {
			t.Errorf("%s was named %d times, and worked on after %d of them", keys[i], told[i].Load(), worked[i].Load())
		}
	}
	w.prove()
}

// workSlowly settles what is due one by one, and notes for each key that ended how often
// events had named it when the work began.
func (w *world) workSlowly(ctx context.Context, node task.NodeID, keys []string, told, worked *[30]atomic.Int64) {
	lanes, err := w.s.ClaimLanes(ctx, node, 4, time.Minute)
	if err != nil {
		w.Error(err)
	}
	for _, l := range lanes {
		slice, err := w.s.Slice(ctx, l.LaneID, 1000, nil)
		if err != nil {
			w.Error(err)
		}
		for _, r := range slice.Records {
			i := slices.Index(keys, r.Key)
			before := told[i].Load()
			n, err := w.s.Settle(ctx, l, []queue.Settlement{synced(r)})
			if err != nil {
				w.Error(err)
			}
			if n.Ended == 1 {
				worked[i].Store(max(before, worked[i].Load()))
			}
		}
	}
	if err := w.s.ReleaseLanes(ctx, lanes); err != nil {
		w.Error(err)
	}
}
