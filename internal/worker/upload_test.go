package worker

import (
	"context"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// oneAway opens all tasks but one.
type oneAway struct {
	Stores
	id task.ID
}

func (s oneAway) Open(ctx context.Context, id task.ID) (*Ends, error) {
	if id == s.id {
		return nil, objstore.ErrUnavailable
	}
	return s.Stores.Open(ctx, id)
}

// However many lists wait of a task whose destination is away, those of others go on.
func TestListsOfOneTaskKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	for i := range filesRound + 5 {
		s.event(keysNamed("k", 10)[i%10])
		_, err := s.db.SealLists(t.Context(), time.Hour, 1)
		s.must(err)
	}
	other := s.other()
	_, err := s.in.Accept(t.Context(), queue.Batch{Task: other.ID, Entries: []queue.Entry{{Key: "k"}}})
	s.must(err)
	u := NewUploader(UploaderConfig{Outbox: s.db, Stores: oneAway{s.stores, s.task.ID}, Age: time.Nanosecond})
	s.must(u.Round(t.Context()))
	p, err := s.db.ProveTask(t.Context(), other.ID)
	s.must(err)
	if p.Uploaded[queue.ListReceived] != 1 {
		t.Errorf("%+v was uploaded", p.Uploaded)
	}
}
