package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// slowStore holds every group until it is told to let it go.
type slowStore struct {
	entered chan int // keys of a group that waits
	letGo   chan error
	mu      sync.Mutex
	order   []string
}

func newSlowStore() *slowStore {
	return &slowStore{entered: make(chan int), letGo: make(chan error)}
}

func (s *slowStore) AcceptGroup(ctx context.Context, group []queue.Batch, answers []queue.Answer) error {
	keys := 0
	for i, b := range group {
		keys += len(b.Entries)
		if answers[i].Receipt.Job = task.JobID(b.Entries[0].Key); strings.HasPrefix(b.Entries[0].Key, "bad") {
			answers[i] = queue.Answer{Err: task.Errorf(task.Conflict, "bad")}
		}
		s.mu.Lock()
		s.order = append(s.order, b.Entries[0].Key)
		s.mu.Unlock()
	}
	s.entered <- keys
	err := <-s.letGo
	return errors.Join(err, ctx.Err())
}

type rig struct {
	*testing.T
	c    *queue.Committer
	s    *slowStore
	stop func()
}

func newRig(t *testing.T, cfg queue.CommitterConfig) *rig {
	r := &rig{T: t, s: newSlowStore()}
	r.c = queue.NewCommitter(r.s, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.c.Run(ctx)
	}()
	r.stop = func() { cancel(); <-done }
	return r
}

// accept sends a batch and returns where its answer will be. It returns once the batch
// is in line: until then it is told that nobody accepts.
func (r *rig) accept(key string, n int) chan queue.Answer {
	out := make(chan queue.Answer, 1)
	es := make([]queue.Entry, n)
	for i := range es {
		es[i].Key = key
	}
	go func() {
		for {
			receipt, err := r.c.Accept(r.Context(), queue.Batch{Task: "t", Entries: es})
			var e *task.Error
			if errors.As(err, &e) && e.Code == "NOT_ACCEPTING" && r.Context().Err() == nil {
				continue
			}
			out <- queue.Answer{Receipt: receipt, Err: err}
			return
		}
	}()
	return out
}

func TestCommitterGroups(t *testing.T) {
	t.Parallel()
	r := newRig(t, queue.CommitterConfig{MaxGroupKeys: 10})
	defer r.stop()
	first := r.accept("first", 3)
	if n := <-r.s.entered; n != 3 {
		t.Fatalf("the first group has %d keys", n)
	}
	// What arrives while it is committed shares the next ones, as far as they hold.
	var rest []chan queue.Answer
	for i := range 5 {
		rest = append(rest, r.accept(fmt.Sprint("k", i), 4))
	}
	r.waitLine(20)
	r.s.letGo <- nil
	if a := <-first; a.Err != nil || a.Receipt.Job != "first" {
		t.Fatalf("%+v", a)
	}
	for _, want := range []int{8, 8, 4} {
		if n := <-r.s.entered; n != want {
			t.Fatalf("a group has %d keys, want %d", n, want)
		}
		r.s.letGo <- nil
	}
	for i, c := range rest {
		if a := <-c; a.Err != nil || a.Receipt.Job != task.JobID(fmt.Sprint("k", i)) {
			t.Fatalf("batch %d: %+v", i, a)
		}
	}
}

// waitLine waits until n keys are in line.
func (r *rig) waitLine(n int) {
	r.Helper()
	deadline := time.After(10 * time.Second)
	for r.c.Waiting() != n {
		select {
		case <-deadline:
			r.Fatalf("%d keys in line, want %d", r.c.Waiting(), n)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestCommitterErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t, queue.CommitterConfig{})
	defer r.stop()
	gate := r.accept("gate", 1)
	<-r.s.entered
	bad, good := r.accept("bad", 1), r.accept("good", 1)
	r.waitLine(2)
	r.s.letGo <- nil
	<-gate
	<-r.s.entered
	r.s.letGo <- nil
	if a := <-bad; task.KindOf(a.Err) != task.Conflict {
		t.Fatalf("refused batch: %+v", a)
	}
	if a := <-good; a.Err != nil {
		t.Fatalf("batch beside it: %+v", a)
	}
	failed := r.accept("k", 1)
	<-r.s.entered
	r.s.letGo <- errors.New("disk gone")
	if a := <-failed; a.Err == nil || a.Receipt.Job != "" {
		t.Fatalf("failed group: %+v", a)
	}
}

// A full line refuses at once, by keys and by bytes, and nobody waits behind it.
func TestCommitterFull(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		cfg  queue.CommitterConfig
		key  string
		n    int
	}{
		{"keys", queue.CommitterConfig{MaxWaitingKeys: 10}, "k", 6},
		{"bytes", queue.CommitterConfig{MaxWaitingBytes: 1000}, strings.Repeat("k", 600), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.cfg)
			defer r.stop()
			gate := r.accept("g", 1)
			<-r.s.entered
			fits := r.accept(c.key, c.n)
			r.waitLine(c.n)
			a := <-r.accept(c.key, c.n) // while nothing moves
			if task.KindOf(a.Err) != task.Unavailable {
				t.Fatalf("full: %+v", a)
			}
			r.s.letGo <- nil
			<-gate
			<-r.s.entered
			r.s.letGo <- nil
			if a := <-fits; a.Err != nil {
				t.Fatalf("%+v", a)
			}
		})
	}
}

// The end of Run commits what is in line; what comes later is refused.
func TestCommitterStops(t *testing.T) {
	t.Parallel()
	r := newRig(t, queue.CommitterConfig{})
	first := r.accept("a", 1)
	<-r.s.entered
	second := r.accept("b", 1)
	r.waitLine(1)
	stopped := make(chan struct{})
	go func() {
		r.stop()
		close(stopped)
	}()
	r.s.letGo <- nil
	<-r.s.entered
	r.s.letGo <- nil
	<-stopped
	for _, c := range []chan queue.Answer{first, second} {
		if a := <-c; a.Err != nil {
			t.Fatalf("%+v", a)
		}
	}
	if _, err := r.c.Accept(t.Context(), queue.Batch{Entries: []queue.Entry{{Key: "c"}}}); task.KindOf(err) != task.Unavailable {
		t.Fatalf("after the end: %v", err)
	}
}

func TestCommitterCallerGivesUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, queue.CommitterConfig{})
	defer r.stop()
	gate := r.accept("g", 1)
	<-r.s.entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.c.Accept(ctx, queue.Batch{Entries: []queue.Entry{{Key: "k"}}}); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	r.s.letGo <- nil
	<-gate
	<-r.s.entered // it may still be committed
	r.s.letGo <- nil
}
