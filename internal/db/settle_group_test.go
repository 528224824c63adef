package db

import (
	"errors"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// When the database refuses a group, a lane in it that is lost still hears so: it must not
// take its records for settled.
func TestSettleAloneSaysThatALaneIsLost(t *testing.T) {
	t.Parallel()
	s := openFile(t, Config{})
	k, err := s.CreateTask(t.Context(), task.Task{Project: "p", Name: "n"}, task.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AcceptGroup(t.Context(), []queue.Batch{{Task: k.ID, Entries: []queue.Entry{{Key: "key"}}}}, make([]queue.Answer, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(t.Context(), `CREATE TRIGGER refuses BEFORE INSERT ON reason_counts WHEN new.reason = 'REFUSED'
		BEGIN SELECT raise(ABORT, 'refused'); END`); err != nil {
		t.Fatal(err)
	}
	lanes, err := s.ClaimLanes(t.Context(), "a", 10, time.Minute)
	if err != nil || len(lanes) != 1 {
		t.Fatal(lanes, err)
	}
	slice, err := s.Slice(t.Context(), lanes[0].LaneID, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	call := func(l queue.Lane, reason task.Reason) *settleCall {
		done := []queue.Settlement{{Record: slice.Records[0], Outcome: task.Ignored, Reason: reason}}
		return &settleCall{lane: l, done: done, ended: make(chan struct{})}
	}
	refused, lost, unknown, good := call(lanes[0], "REFUSED"), call(lanes[0], task.UpToDate), call(lanes[0], task.UpToDate), call(lanes[0], task.UpToDate)
	lost.lane.Epoch--
	unknown.lane.Task = "none"
	s.settling.waiting = []*settleCall{lost, unknown, good}
	s.settling.lead(t.Context(), refused)
	if refused.err == nil {
		t.Error("the database took what it refuses")
	}
	if !errors.Is(lost.err, queue.ErrStale) {
		t.Errorf("a lost lane is told %v", lost.err)
	}
	if task.KindOf(unknown.err) != task.NotFound {
		t.Errorf("a lane of no task is told %v", unknown.err)
	}
	if good.err != nil || good.out.Ended != 1 {
		t.Errorf("%+v, %v", good.out, good.err)
	}
}
