package worker

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// countedPages counts the pages that are read of a bucket's listings.
type countedPages struct {
	objstore.Bucket
	pages int
}

func (b *countedPages) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		for page, err := range b.Bucket.List(ctx, opt) {
			b.pages++
			if !yield(page, err) {
				return
			}
		}
	}
}

// A source that is the destination of another task begins with its lists, which nobody
// sees: to find an object behind them is not a request for each.
func TestSourceBehindListsIsFound(t *testing.T) {
	t.Parallel()
	b := mem.New("source")
	id := task.NewID()
	for i := range 500 {
		put(t, b, fmt.Sprintf("oms/sync_task/%s/list-%03d", id, i), "line")
	}
	counted := &countedPages{Bucket: b}
	src := &hiding{Bucket: counted, ours: func(task.ID) bool { return true }}
	if holds, err := holdsAny(t.Context(), src, nil); err != nil || holds {
		t.Errorf("lists alone are %v, %v", holds, err)
	}
	put(t, b, "photos/a", "text")
	if holds, err := holdsAny(t.Context(), src, nil); err != nil || !holds {
		t.Errorf("an object behind lists is %v, %v", holds, err)
	}
	if counted.pages > 10 {
		t.Errorf("%d pages were read", counted.pages)
	}
}

// closed denies listings, but those that do not want a directory of it.
type closed struct{ objstore.Bucket }

func (b closed) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	if opt.Unwanted != nil && opt.Unwanted("closed/") {
		return b.Bucket.List(ctx, opt)
	}
	return func(yield func(objstore.Page, error) bool) {
		yield(objstore.Page{}, &objstore.Error{Kind: objstore.ErrDenied, Op: "list", Key: "closed/"})
	}
}

// A directory that may not be read, and that the filter leaves out, keeps no delete by an
// event from being made.
func TestDeleteBesideAClosedDirectory(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{Deletes: true, Filter: []string{"exclude closed/"}})
	s.put(s.src, "stays", "text")
	s.put(s.dst, "gone", "text")
	s.stores.use(closed{s.src}, s.dst)
	s.lanes(nil)
	s.event("gone")
	s.settled()
	if c := s.total(); c.Deleted != 1 {
		t.Errorf("%+v", c)
	}
}
