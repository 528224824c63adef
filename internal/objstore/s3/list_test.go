package s3_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// Every kind of listing a store may have comes to the same keys.
func TestListings(t *testing.T) {
	t.Parallel()
	obs := s3fault.Options{V1Only: true, NoEncoding: true, NoNextMarker: true}
	for name, c := range map[string]struct {
		opt      s3fault.Options
		provider string
	}{
		"V2":              {s3fault.Options{}, "generic"},
		"V1":              {obs, "obs"},
		"V1 with markers": {s3fault.Options{V1Only: true}, "obs"},
		"V1 unknown":      {s3fault.Options{V1Only: true}, "generic"},
		"OBS unknown":     {obs, "generic"},
		"no encoding":     {s3fault.Options{NoEncoding: true}, "generic"},
		"no start-after":  {s3fault.Options{NoStartAfter: true}, "generic"},
		"decorated":       {s3fault.Options{Decorated: true}, "generic"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.opt.PageSize = 7
			srv := s3fault.New(t, c.opt)
			cfg := config(srv, "bucket")
			cfg.Provider = c.provider
			var all []string
			for i := range 40 {
				all = append(all, fmt.Sprintf("p%d/<a&b>+%%20 \"%d'", i%4, i))
			}
			if !c.opt.Decorated { // encoding/xml, which reads those pages, refuses controls without encoding
				all = append(all, "p3/\x01", "p3/\x1f")
			}
			slices.Sort(all)
			for _, key := range all {
				srv.Put("bucket", key, []byte(key))
			}
			for _, opt := range []objstore.ListOptions{
				{},
				{Prefix: "p1/"},
				{After: all[3]},
				{After: "p1/\x02", Until: all[30]},
				{Prefix: "p2/", After: all[25], PageSize: 2},
				{After: "zzz"},
				{Until: "a"},
				{Until: all[6]},
				{Prefix: "p1/", After: "p0"},
				{After: all[6]},
			} {
				var want []string
				for _, key := range all {
					if len(key) >= len(opt.Prefix) && key[:len(opt.Prefix)] == opt.Prefix && key > opt.After && (opt.Until == "" || key <= opt.Until) {
						want = append(want, key)
					}
				}
				got, err := keysOf(t.Context(), open(t, cfg), opt) // which has learned nothing yet
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("List(%+v), %v (-want +got):\n%s", opt, err, diff)
				}
			}
		})
	}
}

// A listing may go on behind any key after an error.
func TestListGoesOnAfterError(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{PageSize: 3}, "generic")
	var all, got []string
	for i := range 10 {
		all = append(all, fmt.Sprintf("key%d", i))
		srv.Put("bucket", all[i], nil)
	}
	for attempt := 0; len(got) < len(all); attempt++ {
		srv.Inject(s3fault.Fault{Op: "list", Skip: 1, Kind: s3fault.SlowDown})
		failures := 0
		for page, err := range b.List(t.Context(), objstore.ListOptions{After: last(got)}) {
			if err != nil {
				if failures++; !errors.Is(err, objstore.ErrThrottled) || len(page.Objects) > 0 {
					t.Fatalf("error page %+v, %v", page, err)
				}
				continue
			}
			for _, o := range page.Objects {
				got = append(got, o.Key)
			}
		}
		if failures > 1 || attempt > len(all) {
			t.Fatalf("%d failures yielded in attempt %d", failures, attempt)
		}
		srv.Clear()
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func last(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return keys[len(keys)-1]
}

func TestUnsortedListing(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{Unsorted: true}, "generic")
	srv.Put("bucket", "a", nil)
	srv.Put("bucket", "b", nil)
	if keys, err := keysOf(t.Context(), b, objstore.ListOptions{}); !errors.Is(err, objstore.ErrUnsorted) || len(keys) > 0 {
		t.Errorf("a page listed backwards = %q, %v", keys, err)
	}
}

// A listing that ends early stops asking.
func TestListStops(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{PageSize: 2}, "generic")
	for i := range 10 {
		srv.Put("bucket", fmt.Sprintf("key%d", i), nil)
	}
	for page, err := range b.List(t.Context(), objstore.ListOptions{}) {
		if err != nil || len(page.Objects) != 2 || page.Wait <= 0 {
			t.Fatalf("page %+v, %v", page, err)
		}
		break
	}
	if _, err := keysOf(t.Context(), b, objstore.ListOptions{Until: "key1"}); err != nil {
		t.Fatal(err)
	}
	if n := srv.Count("list"); n != 2 {
		t.Errorf("%d pages were asked for, want 2", n)
	}
}
