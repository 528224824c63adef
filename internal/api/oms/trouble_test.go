//go:build unix

package oms_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
)

// broken is a queue that fails in a way nobody has foreseen.
type broken struct{}

func (broken) Accept(context.Context, queue.Batch) (queue.Receipt, error) {
	return queue.Receipt{}, errors.New("disk of host db-7: input/output error")
}

// Events that cannot be stored are answered 503, to come again; what nobody foresaw is
// 500, and says nothing of where.
func TestRecordedTrouble(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	tp := newTape(&world{TB: t})
	for _, c := range []struct {
		what string
		in   func(*db.Store) queue.Acceptor
	}{
		{"a queue that is full", func(store *db.Store) queue.Acceptor {
			in := queue.NewCommitter(store, queue.CommitterConfig{MaxWaitingKeys: 1})
			running.Go(func() { _ = in.Run(ctx) })
			return in
		}},
		{"a service that is going down", func(store *db.Store) queue.Acceptor {
			return queue.NewCommitter(store, queue.CommitterConfig{})
		}},
		{"a disk that fails", func(*db.Store) queue.Acceptor { return broken{} }},
	} {
		b := newBench(t, c.in)
		server := httptest.NewServer(b.front)
		t.Cleanup(server.Close)
		tp.url, tp.sender = server.URL, b.key
		tp.say("%s", c.what)
		path := p1 + "/" + string(b.task)
		for c.what == "a queue that is full" && tp.do(tp.sender, "POST", path+"/events", objectKeys("a")).status == 503 {
			continue // it does not run yet
		}
		tp.play("sender", "POST", path+"/events", objectKeys("a", "b"))
	}
	tp.compare("trouble")
}
