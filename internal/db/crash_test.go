package db_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/db/dbtest/pgserver"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// childRole makes this test binary the process that is killed; its value is where the
// database is.
const childRole = "LOCKSTEP_TEST_CHILD"

// child accepts, scans and settles until it is killed. It prints every key that was
// acknowledged, on a line of its own.
func child(where string) (code int) {
	ctx := context.Background()
	s, err := db.Open(ctx, config(where))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	k, err := s.TaskNamed(ctx, "p", "crash")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := queue.NewCommitter(s, queue.CommitterConfig{})
	go func() { _ = c.Run(ctx) }()
	var mu sync.Mutex
	run := rand.Uint32()
	for poster := range 8 {
		go func() {
			for i := 0; ; i++ {
				var b queue.Batch
				b.Task = k.ID
				for j := range 1 + i%5 {
					b.Entries = append(b.Entries, queue.Entry{Key: fmt.Sprintf("%08x-%d-%d-%d", run, poster, i, j)})
				}
				if _, err := c.Accept(ctx, b); err != nil {
					continue // not running yet, or the server is gone
				}
				mu.Lock()
				for _, e := range b.Entries {
					fmt.Println(e.Key + ".")
				}
				mu.Unlock()
			}
		}()
	}
	go childScan(ctx, s, k.ID)
	for ctx.Err() == nil {
		if err := drainAll(ctx, s); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return 0
}

func childScan(ctx context.Context, s *db.Store, id task.ID) {
	_, _ = s.StartJob(ctx, queue.JobStart{Task: id, Kind: task.ScanJob}, task.Actor{})
	for {
		ps, err := s.ClaimPartitions(ctx, "child", 1, time.Millisecond)
		if err != nil || len(ps) == 0 {
			continue
		}
		p := ps[0]
		for i := range 50 {
			var pg queue.Page
			for j := range 20 {
				pg.Enqueue = append(pg.Enqueue, queue.Found{Key: fmt.Sprintf("%s~%02d%02d", p.After, i, j)})
			}
			pg.After, pg.Unchanged = pg.Enqueue[19].Key[:min(len(pg.Enqueue[19].Key), 40)], 7
			if pg.After <= p.After {
				pg.After = p.After + "~"
			}
			if err := s.CommitPage(ctx, &p, pg); err != nil || len(p.After) > 1000 {
				break
			}
		}
	}
}

// drainAll settles everything that is due.
func drainAll(ctx context.Context, s *db.Store) error {
	for {
		lanes, err := s.ClaimLanes(ctx, "child", 4, time.Minute)
		if err != nil || len(lanes) == 0 {
			return err
		}
		for _, l := range lanes {
			slice, err := s.Slice(ctx, l.LaneID, 100, nil)
			if err != nil {
				return err
			}
			var done []queue.Settlement
			for i, r := range slice.Records {
				d := queue.Settlement{Record: r, Outcome: task.Synced, Reason: task.Copied, Size: 1}
				if i%10 == 0 {
					d.Outcome, d.Reason = task.Failed, task.DestinationDenied
				}
				done = append(done, d)
			}
			_, err = s.Settle(ctx, l, done)
			if err == nil {
				err = s.ReleaseLanes(ctx, []queue.Lane{l})
			}
			if err != nil && !errors.Is(err, queue.ErrStale) {
				return err
			}
		}
	}
}

func config(where string) db.Config {
	if strings.HasPrefix(where, "postgres:") {
		return db.Config{URL: where}
	}
	return db.Config{Path: where}
}

// A process that is killed loses no key it acknowledged, and leaves counts that
// reconcile.
func TestCrash(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes for ten seconds")
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		crash(t, filepath.Join(t.TempDir(), "lockstep.db"), func() {})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := pgserver.Start(t, pgserver.Options{})
		crash(t, server.Database(t), func() { server.Crash(t) })
	})
}

func crash(t *testing.T, where string, server func()) {
	s := open1(t, where)
	k, err := s.CreateTask(t.Context(), task.Task{Project: "p", Name: "crash", Shards: 4}, task.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]bool{}
	for round := range 5 {
		killChild(t, where, 200+rand.IntN(800), acknowledged)
		if round%2 == 1 {
			server()
		}
		start := time.Now()
		s := open1(t, where)
		received := map[string]bool{}
		proveAll(t, s, k.ID)
		if _, err := s.SealLists(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
		files, err := s.SealedLists(t.Context(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.Kind != queue.ListReceived {
				continue
			}
			for piece, err := range s.ListText(t.Context(), f) {
				if err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(string(piece)) {
					received[strings.TrimSuffix(line, "\n")] = true
				}
			}
		}
		for key := range acknowledged {
			if !received[key] {
				t.Fatalf("round %d: key %s was acknowledged and is lost", round, key)
			}
		}
		t.Logf("round %d: %d acknowledged, opened and read in %v", round, len(acknowledged), time.Since(start))
		proveAll(t, s, k.ID)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Once the dead process's leases are over, another node works off what it left.
	later := config(where)
	later.Now = func() time.Time { return time.Now().Add(time.Hour) }
	s = open(t, later)
	if err := drainAll(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	proveAll(t, s, k.ID)
	if c, err := s.Total(t.Context(), k.ID, false); err != nil || c.Pending() != 0 || c.Requested < int64(len(acknowledged)) {
		t.Fatalf("%+v, %v", c, err)
	}
}

func open1(t *testing.T, where string) *db.Store {
	t.Helper()
	s, err := db.Open(t.Context(), config(where))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func proveAll(t *testing.T, s *db.Store, id task.ID) {
	t.Helper()
	p, err := s.ProveTask(t.Context(), id)
	if err == nil {
		err = p.Check()
	}
	if err != nil {
		t.Fatalf("%v\n%+v", err, p)
	}
}

// killChild starts a child and kills it once it has acknowledged about n keys.
func killChild(t *testing.T, where string, n int, acknowledged map[string]bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childRole+"="+where)
	var trouble strings.Builder
	cmd.Stderr = &trouble
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	got := 0
	for lines.Scan() {
		// The last line may be cut: a key is whole with its dot.
		if key, whole := strings.CutSuffix(lines.Text(), "."); whole {
			acknowledged[key] = true
		}
		if got++; got == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if got < n {
		t.Fatalf("the child ended by itself: %s", trouble.String())
	}
}
