package objstoretest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// listed are the keys of the listing tests, sorted: 2,500 of them, 1,300 in short
// runs. Exactly 1,000 begin with "page/" and 100 with "hundred", so that listings
// end on a page.
func listed() []string {
	total := 2500
	if testing.Short() {
		total = 1300
	}
	keys := []string{"a!x", "a-x", "a.txt", "a/b", "a/c/d", "a0", "aB", "ab", "b", "é", "日本", "~"}
	for i := range 1000 {
		keys = append(keys, fmt.Sprintf("page/%04d", i))
	}
	for i := range 100 {
		keys = append(keys, fmt.Sprintf("hundred%02d", i))
	}
	for i := 0; len(keys) < total; i++ {
		keys = append(keys, fmt.Sprintf("dir%d/sub.%d/%d", i%7, i%3, i))
	}
	slices.Sort(keys)
	return keys
}

// listedContent makes sizes differ from key to key.
func listedContent(key string) []byte { return []byte(key[:len(key)%4]) }

// testListings fills one bucket, checks many listings of it, and empties it with
// as few requests as can be.
func testListings(t *testing.T, b objstore.Bucket) {
	t.Run("Empty", func(t *testing.T) {
		for _, opt := range []objstore.ListOptions{{}, {PageSize: 1}, {Prefix: "a"}, {After: "a"}, {Until: "a"}, {Prefix: "a", After: "b", Until: "c"}} {
			if got := list(t, b, opt); len(got) > 0 {
				t.Errorf("List(%+v) of an empty bucket = %q", opt, keysOf(got))
			}
		}
	})
	keys := listed()
	fill(t, b, keys, listedContent)
	t.Run("Full", func(t *testing.T) { // the parallel subtests end with it
		for name, check := range map[string]func(*testing.T, objstore.Bucket, []string){
			"Everything": testListEverything, "Bounds": testListBounds, "ExactPages": testListExactPages, "Tiles": testListTiles,
			"Probe": testListProbe, "OwnPages": testListOwnPages, "Cancelled": testListCancelled,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				check(t, b, keys)
			})
		}
	})
	t.Run("DeleteMany", func(t *testing.T) {
		spared := keys[1200]
		deleteAll(t, b, slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k == spared }))
		if diff := gocmp.Diff([]string{spared}, keysOf(list(t, b, objstore.ListOptions{}))); diff != "" {
			t.Errorf("after deleting all keys but one (-want +got):\n%s", diff)
		}
	})
}

// testListEverything compares a listing with what was put and what Stat says.
func testListEverything(t *testing.T, b objstore.Bucket, keys []string) {
	got := list(t, b, objstore.ListOptions{})
	if diff := gocmp.Diff(keys, keysOf(got)); diff != "" {
		t.Fatalf("listing (-want +got):\n%s", diff)
	}
	for i, o := range got {
		if o.Size != int64(len(listedContent(o.Key))) {
			t.Errorf("%q is listed with %d bytes, put %d", o.Key, o.Size, len(listedContent(o.Key)))
		}
		if o.Class != "" {
			t.Errorf("%q is listed in class %q, want none", o.Key, o.Class)
		}
		if i%250 != 0 {
			continue
		}
		info := stat(t, b, o.Key).Object
		// Some stores list milliseconds and stat seconds.
		info.ModTime, o.ModTime = info.ModTime.Truncate(time.Second).UTC(), o.ModTime.Truncate(time.Second).UTC()
		if diff := gocmp.Diff(o, info); diff != "" {
			t.Errorf("list and stat of %q differ (-list +stat):\n%s", o.Key, diff)
		}
	}
}

// within is what a listing must show of keys.
func within(keys []string, opt objstore.ListOptions) []string {
	out := []string{}
	for _, k := range keys {
		if strings.HasPrefix(k, opt.Prefix) && k > opt.After && (opt.Until == "" || k <= opt.Until) {
			out = append(out, k)
		}
	}
	return out
}

func testListBounds(t *testing.T, b objstore.Bucket, keys []string) {
	for _, opt := range []objstore.ListOptions{
		{Prefix: "a"},
		{Prefix: "a/"},
		{Prefix: "a."},
		{Prefix: "dir3/sub.1/1"},
		{Prefix: "d"},
		{Prefix: "日"},
		{Prefix: "no such"},
		{Prefix: "page/0999"},
		{Prefix: "page/0999x"},
		{After: "a.txt"},
		{After: "a.tx"},
		{After: "hundred50"},
		{After: "~~"},
		{After: "\x01"},
		{After: "日本"},
		{After: "page"},
		{After: "page/"},
		{Until: "a/b"},
		{Until: "a/"},
		{Until: "!"},
		{Until: "日本"},
		{Until: "hundred"},
		{After: "a/b", Until: "a/b"},
		{After: "b", Until: "a"},
		{After: "a.txt", Until: "a0"},
		{Prefix: "page/", After: "a"},
		{Prefix: "page/", After: "page/0500"},
		{Prefix: "page/", After: "page/"},
		{Prefix: "page/", After: "z"},
		{Prefix: "page/", After: "page0"},
		{Prefix: "page/", Until: "page/0003"},
		{Prefix: "page/", Until: "o"},
		{Prefix: "hundred", Until: "z"},
		{Prefix: "page/", After: "page/0010", Until: "page/0012"},
		{Prefix: "dir", After: "dir2/sub", Until: "dir2/sub.0/zzz", PageSize: 37},
	} {
		if diff := gocmp.Diff(within(keys, opt), keysOf(list(t, b, opt))); diff != "" {
			t.Errorf("List(%+v) (-want +got):\n%s", opt, diff)
		}
	}
}

// testListExactPages lists in sizes that divide the number of objects, and in
// others.
func testListExactPages(t *testing.T, b objstore.Bucket, keys []string) {
	for _, opt := range []objstore.ListOptions{
		{Prefix: "page/"},
		{Prefix: "page/", PageSize: 1000},
		{Prefix: "page/", PageSize: 500},
		{Prefix: "page/", PageSize: 999},
		{Prefix: "page/", PageSize: 333},
		{Prefix: "hundred", PageSize: 100},
		{Prefix: "hundred", PageSize: 50},
		{Prefix: "hundred", PageSize: 99},
		{Prefix: "hundred", PageSize: 101},
		{Prefix: "hundred", PageSize: 7},
		{Prefix: "hundred", Until: "hundred19", PageSize: 20},
		{Prefix: "hundred", After: "hundred79", PageSize: 20},
		{Prefix: "hundred5", PageSize: 1},
		{PageSize: 1000},
		{PageSize: 1 << 30},
	} {
		if diff := gocmp.Diff(within(keys, opt), keysOf(list(t, b, opt))); diff != "" {
			t.Errorf("List(%+v) (-want +got):\n%s", opt, diff)
		}
	}
}

// testListTiles checks that ranges that meet show every key once, as the
// partitions of a scan do.
func testListTiles(t *testing.T, b objstore.Bucket, keys []string) {
	var got []string
	after := ""
	for _, until := range []string{"a", "a.txt", "dir3/", "dir3/sub.1/100", "hundred49~", "page/0500", "page/0501", "~", ""} {
		got = append(got, keysOf(list(t, b, objstore.ListOptions{After: after, Until: until}))...)
		after = until
	}
	if diff := gocmp.Diff(keys, got); diff != "" {
		t.Errorf("union of ranges (-want +got):\n%s", diff)
	}
}

// testListProbe looks for the first key behind a point, as the splitting of a
// range does.
func testListProbe(t *testing.T, b objstore.Bucket, keys []string) {
	each(t, []string{"a", "a.txt", "a/", "dir", "dir3/sub.1/5", "dir5/z", "hundred", "hundred99", "p", "page/0999", "日本", "~"}, func(ctx context.Context, after string) error {
		want := within(keys, objstore.ListOptions{After: after})
		want = want[:min(1, len(want))]
		got, err := first(ctx, b, objstore.ListOptions{After: after}, 1)
		if err != nil || !slices.Equal(got, want) {
			return errors.Join(fmt.Errorf("first key after %q is %q, want %q", after, got, want), err)
		}
		return nil
	})
}

// testListOwnPages spoils each page as it is received: it belongs to the receiver.
func testListOwnPages(t *testing.T, b objstore.Bucket, keys []string) {
	var got []string
	opt := objstore.ListOptions{Prefix: "hundred", PageSize: 9}
	for page, err := range b.List(t.Context(), opt) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, keysOf(page.Objects)...)
		clear(page.Objects)
		_ = append(page.Objects, objstore.Object{Key: "spoiled"})
	}
	want := within(keys, opt)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("listing with spoiled pages (-want +got):\n%s", diff)
	}
	seen := list(t, b, opt)
	if !slices.IsSortedFunc(seen, func(x, y objstore.Object) int { return cmp.Compare(x.Key, y.Key) }) || len(seen) != len(want) {
		t.Errorf("a second listing is spoiled: %q", keysOf(seen))
	}
}

// testListCancelled checks that an error comes once, alone, and last.
func testListCancelled(t *testing.T, b objstore.Bucket, _ []string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var errs []error
	for page, err := range b.List(ctx, objstore.ListOptions{Prefix: "page/", PageSize: 10}) {
		if len(errs) > 0 {
			t.Errorf("page of %d objects after an error", len(page.Objects))
		}
		if err != nil {
			errs = append(errs, err)
			if len(page.Objects) > 0 {
				t.Errorf("%d objects beside an error", len(page.Objects))
			}
		}
		cancel()
	}
	if len(errs) != 1 {
		t.Fatalf("cancelled listing ended with errors %v, want one", errs)
	}
	wantErr(t, errs[0], context.Canceled, "cancelled listing")
}
