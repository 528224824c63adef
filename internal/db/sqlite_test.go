package db

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func openFile(t *testing.T, cfg Config) *Store {
	t.Helper()
	cfg.Path = filepath.Join(t.TempDir(), "lockstep.db")
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A disk that is full makes accepts fail as unavailable; nothing is lost or counted,
// and it goes on once there is room.
func TestSQLiteFull(t *testing.T) {
	t.Parallel()
	s := openFile(t, Config{})
	k, err := s.CreateTask(t.Context(), task.Task{Project: "p", Name: "n"}, task.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	limit := func(pages string) {
		c := <-s.eng.(*sqliteEngine).writer
		defer func() { s.eng.(*sqliteEngine).writer <- c }()
		if _, err := c.c.ExecContext(t.Context(), "PRAGMA max_page_count = "+pages); err != nil {
			t.Fatal(err)
		}
	}
	var accepted int64
	accept := func(prefix byte) error {
		es := make([]queue.Entry, 1000)
		for i := range es {
			es[i].Key = string([]byte{prefix, byte(i), byte(i >> 8)}) + "padding to make pages of it"
		}
		answers := make([]queue.Answer, 1)
		err := s.AcceptGroup(t.Context(), []queue.Batch{{Task: k.ID, Entries: es}}, answers)
		if err == nil {
			accepted += 1000
		}
		return err
	}
	prove := func() {
		t.Helper()
		p, err := s.ProveTask(t.Context(), k.ID)
		if err == nil {
			err = p.Check()
		}
		if err != nil || p.Counted.Requested != accepted {
			t.Fatalf("%d accepted, %+v, %v", accepted, p.Counted, err)
		}
	}
	if err := accept('a'); err != nil {
		t.Fatal(err)
	}
	limit("1") // SQLite takes the present size instead
	refused := 0
	for i := range 10 {
		if err := accept(byte('b' + i)); err != nil {
			if task.KindOf(err) != task.Unavailable {
				t.Fatalf("full: %v", err)
			}
			refused++
		}
		prove()
	}
	if refused == 0 {
		t.Fatal("the limit was not felt")
	}
	limit("1000000")
	if err := accept('z'); err != nil {
		t.Fatal(err)
	}
	prove()
}

// A transaction within a transaction is found, not waited for.
func TestBeginLimit(t *testing.T) {
	t.Parallel()
	s := openFile(t, Config{BeginLimit: 50 * time.Millisecond})
	err := s.write(t.Context(), func(ctx context.Context, _ *txn) error { return s.Ping(ctx) })
	if err == nil {
		t.Fatal("a write within a write")
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A caller that gives up before its transaction began leaves nothing behind.
func TestWriteGivenUp(t *testing.T) {
	t.Parallel()
	s := openFile(t, Config{})
	writer := <-s.eng.(*sqliteEngine).writer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Ping(ctx); err == nil {
		t.Fatal("a write without its writer")
	}
	s.eng.(*sqliteEngine).writer <- writer
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{})
	f.Add(pack([]byte("short\n")))
	f.Add(pack(make([]byte, 4096)))
	f.Add([]byte{packedZstd, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = unpack(b)
		back, err := unpack(pack(b))
		if err != nil || string(back) != string(b) {
			t.Fatalf("packed %q, got %q, %v", b, back, err)
		}
	})
}

func FuzzParseLanes(f *testing.F) {
	id := task.NewID()
	f.Add(string(id) + ":3 " + string(id) + ":-1 x:1 :")
	f.Fuzz(func(t *testing.T, payload string) {
		lanes := map[queue.LaneID]struct{}{}
		for _, l := range parseLanes(payload) {
			lanes[l] = struct{}{}
		}
		again := map[queue.LaneID]struct{}{}
		for _, p := range formatLanes(lanes) {
			for _, l := range parseLanes(p) {
				again[l] = struct{}{}
			}
		}
		if len(again) != len(lanes) {
			t.Fatalf("%v became %v", lanes, again)
		}
	})
}

// TestDamagedFile: who starts on a file that is no database is told what to do.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lockstep.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Path: path})
	if e, ok := errors.AsType[*task.Error](err); !ok || e.Code != "DATABASE_DAMAGED" || !strings.Contains(e.Next, "lockstep restore") {
		t.Errorf("%v", err)
	}
}
