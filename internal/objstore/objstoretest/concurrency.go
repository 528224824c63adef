package objstoretest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// concurrencyTests check what callers at the same time, or in a hurry, get.
var concurrencyTests = []check{
	{"ParallelPuts", testParallelPuts},
	{"ListWhileWriting", testListWhileWriting},
	{"Cancelled", testCancelled},
}

// testParallelPuts: at any moment the object is one of the bodies, whole.
func testParallelPuts(t *testing.T, b subject, dir string) {
	const writers = 8
	key, bodies := dir+"object", map[string]bool{}
	var list [][]byte
	for i := range writers {
		p := bytesOf(fmt.Sprint("writer", i), 60_000+i*5_000)
		list, bodies[string(p)] = append(list, p), true
	}
	put(t, b, key, list[0], objstore.PutOptions{})
	var wg sync.WaitGroup
	for _, p := range list {
		wg.Go(func() {
			for range 3 {
				if _, err := b.Put(t.Context(), key, bytes.NewReader(p), int64(len(p)), objstore.PutOptions{}); err != nil {
					t.Errorf("Put = %v", err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 6 {
				c, err := b.Open(t.Context(), key, objstore.OpenOptions{})
				if err != nil {
					t.Errorf("Open while others put = %v", err)
					return
				}
				got, err := io.ReadAll(c.Body)
				c.Body.Close()
				if err != nil || !bodies[string(got)] {
					t.Errorf("a reader sees %d bytes that nobody put, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if got := get(t, b, key, objstore.OpenOptions{}); !bodies[string(got)] {
		t.Errorf("the object ends as %d bytes that nobody put", len(got))
	}
}

// testListWhileWriting: what stays is listed once, in order, whatever happens
// around it.
func testListWhileWriting(t *testing.T, b subject, dir string) {
	var stays, goes []string
	for i := range 30 {
		stays = append(stays, fmt.Sprintf("%sk%02d", dir, 2*i))
		goes = append(goes, fmt.Sprintf("%sk%02d", dir, 2*i+1))
	}
	fill(t, b, slices.Concat(stays, goes), func(string) []byte { return nil })
	var got []string
	for page, err := range b.List(t.Context(), objstore.ListOptions{Prefix: dir, PageSize: 7}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, keysOf(page.Objects)...)
		if n := len(got); n < len(goes) {
			for _, key := range []string{goes[n/2], goes[len(goes)-1-n/4]} {
				if err := b.Delete(t.Context(), key, objstore.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			put(t, b, fmt.Sprintf("%sk%02d+new", dir, n), nil, objstore.PutOptions{})
		}
	}
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("listing while writing is not ascending: %q", got)
	}
	kept := slices.DeleteFunc(slices.Clone(got), func(k string) bool { return !slices.Contains(stays, k) })
	if diff := cmp.Diff(stays, kept); diff != "" {
		t.Errorf("keys that were there all the time (-want +listed):\n%s", diff)
	}
}

func testCancelled(t *testing.T, b subject, dir string) {
	key := dir + "object"
	put(t, b, key, []byte("old"), objstore.PutOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	errs := map[string]error{"Delete": b.Delete(ctx, key, objstore.DeleteOptions{}), "Probe": b.Probe(ctx)}
	_, errs["Stat"] = b.Stat(ctx, key)
	_, errs["Open"] = b.Open(ctx, key, objstore.OpenOptions{})
	body := watch(strings.NewReader("new"))
	_, errs["Put"] = b.Put(ctx, key, body, 3, objstore.PutOptions{})
	body.done(t)
	for what, err := range errs {
		wantErr(t, err, context.Canceled, "cancelled "+what)
	}
	holds(t, b, key, []byte("old"))
}
