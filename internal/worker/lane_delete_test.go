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
	if holds, err := holdsAny(t.Context(), src); err != nil || holds {
		t.Errorf("lists alone are %v, %v", holds, err)
	}
	put(t, b, "photos/a", "text")
	if holds, err := holdsAny(t.Context(), src); err != nil || !holds {
		t.Errorf("an object behind lists is %v, %v", holds, err)
	}
	if counted.pages > 10 {
		t.Errorf("%d pages were read", counted.pages)
	}
}
