package control

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
)

// pages counts the pages that are listed.
type pages struct {
	objstore.Bucket
	n int
}

func (p *pages) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		for page, err := range p.Bucket.List(ctx, opt) {
			if p.n++; !yield(page, err) {
				return
			}
		}
	}
}

// A folder costs as much as an object, however many keys are in it.
func TestFoldersAreSkipped(t *testing.T) {
	t.Parallel()
	b := &pages{Bucket: mem.New("b")}
	put := func(key string) {
		t.Helper()
		if _, err := b.Put(t.Context(), key, strings.NewReader("x"), 1, objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20_000 {
		put(fmt.Sprintf("p/big/%05d", i))
	}
	for _, key := range []string{"p/", "p/a", "p/big/\U0010ffff\U0010ffff", "p/big0", "p/c/1", "p/c/d/2", "p/z", "q"} {
		put(key)
	}
	want := []ListedName{{"p/", 1, false}, {"p/a", 1, false}, {"p/big/", 0, true}, {"p/big0", 1, false}, {"p/c/", 0, true}, {"p/z", 1, false}}
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []ListedName
		b.n = 0
		for after, more := "", true; more; {
			page, err := list(t.Context(), b, Listing{Prefix: "p/", After: after, Delimiter: "/", Limit: limit})
			if err != nil {
				t.Fatal(err)
			}
			if more = page.More; more && len(page.Names) == 0 {
				t.Fatal("a page without names that is not the last")
			}
			got = append(got, page.Names...)
			if len(got) > 0 {
				after = got[len(got)-1].Key
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
		if b.n > 2*len(want) {
			t.Errorf("limit %d took %d pages", limit, b.n)
		}
	}
}
