package worker

import (
	"fmt"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (s *service) eventOr(key, other string) {
	s.Helper()
	_, err := s.in.Accept(s.Context(), queue.Batch{Task: s.task.ID, Entries: []queue.Entry{{Key: key, Otherwise: other}}})
	s.must(err)
}

// A key that the source does not hold ends by its other key, which is synced by a record
// of its own. What the source holds is never replaced by another.
func TestOtherKeyIsSyncedThroughItsOwnLane(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{GoneIsFailed: true, FallbackLiteralPlus: true})
	s.lanes(func(c *LanesConfig) { c.Accept = s.in })
	const n = 40 // over all lanes
	for i := range n {
		s.put(s.src, fmt.Sprintf("lit+%d", i), "literal")
	}
	s.put(s.src, "both a", "space")
	s.put(s.src, "both+a", "plus")
	for i := range n {
		s.eventOr(fmt.Sprintf("lit %d", i), fmt.Sprintf("lit+%d", i))
	}
	s.eventOr("both a", "both+a")
	s.eventOr("no ne", "no+ne")
	s.until("every record has come and ended", func() bool {
		c := s.total()
		return c.Requested == 2*n+2 && c.Pending() == 0
	})
	s.wantReasons("", map[task.Reason]int64{task.LiteralKey: n, task.Copied: n + 1, task.SourceGone: 1})
	if text, ok := s.text(s.dst, "both a"); !ok || text != "space" {
		t.Errorf("%q", text)
	}
	for _, never := range []string{"both+a", "lit 0", "no ne", "no+ne"} {
		if _, ok := s.text(s.dst, never); ok {
			t.Errorf("%s is at the destination", never)
		}
	}
	for i := range n {
		if text, ok := s.text(s.dst, fmt.Sprintf("lit+%d", i)); !ok || text != "literal" {
			t.Errorf("lit+%d: %q", i, text)
		}
	}
	s.prove()
}

// Without the option, and for tasks of other dialects, the other key means nothing.
func TestOtherKeyNeedsTheOption(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{})
	s.lanes(func(c *LanesConfig) { c.Accept = s.in })
	s.put(s.src, "a+b", "literal")
	s.eventOr("a b", "a+b")
	s.settled()
	s.wantReasons("", map[task.Reason]int64{task.SourceGone: 1})
}
