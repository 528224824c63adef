package transfer_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

var dressed = objstore.PutOptions{
	Header: objstore.Header{ContentType: "text/plain", CacheControl: "no-cache", ContentEncoding: "gzip"},
	Meta:   map[string]string{"owner": "me"}, Tags: map[string]string{"a": "b"}, Class: "STANDARD_IA",
}

// Plain copies keep type and encoding of the content, between services and inside one.
func TestPlainCopyLeavesTheRestBehind(t *testing.T) {
	t.Parallel()
	service := mem.NewService()
	for name, b := range map[string]struct{ src, dst *mem.Bucket }{
		"between": {mem.New("src"), mem.New("dst")},
		"inside":  {service.Bucket("src"), service.Bucket("dst")},
	} {
		for _, typeless := range []bool{false, true} {
			opt := dressed
			if typeless {
				opt.Header = objstore.Header{CacheControl: "no-cache"}
			}
			put(t, b.src, "k", content(100, 1), opt)
			c := transfer.New(transfer.Config{Src: b.src, Dst: b.dst, Plain: true})
			wantSynced(t, c.Do(t.Context(), item(t, b.src, b.dst)), 100)
			info, err := b.dst.Stat(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			tags, err := b.dst.Tags(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			want := objstore.Header{ContentType: "text/plain", ContentEncoding: "gzip"}
			if typeless {
				want = objstore.Header{ContentType: info.Header.ContentType}
			}
			if d := cmp.Diff(want, info.Header); d != "" || len(info.Meta) != 0 || len(tags) != 0 {
				t.Errorf("%s: %s, metadata %v, tags %v", name, d, info.Meta, tags)
			}
		}
	}
}

func TestStorageClassOfCopies(t *testing.T) {
	t.Parallel()
	service := mem.NewService()
	for name, b := range map[string]struct{ src, dst *mem.Bucket }{
		"between": {mem.New("src"), mem.New("dst")},
		"inside":  {service.Bucket("src"), service.Bucket("dst")},
	} {
		put(t, b.src, "k", content(100, 1), dressed)
		for class, want := range map[string]string{"GLACIER": "GLACIER", task.KeepClass: "STANDARD_IA"} {
			c := transfer.New(transfer.Config{Src: b.src, Dst: b.dst, Class: class})
			wantSynced(t, c.Do(t.Context(), item(t, b.src, b.dst)), 100)
			if got, _ := object(t.Context(), b.dst); got.Class != want {
				t.Errorf("%s, class %s: %q, want %q", name, class, got.Class, want)
			}
		}
	}
}
