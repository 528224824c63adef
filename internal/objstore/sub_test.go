package objstore_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest"
)

// neighbours are keys next to the prefix "p/", which is a key itself.
var neighbours = []string{"!", "a", "o/x", "p", "p.txt", "p/", "p0", "pp/x", "q", "\xff"}

// surrounded returns the part below "p/" of a bucket with neighbours, and checks
// at the end of the test that they are as they were.
func surrounded(t *testing.T, b *mem.Bucket) objstore.Bucket {
	for _, key := range neighbours {
		if _, err := b.Put(t.Context(), key, strings.NewReader(key), int64(len(key)), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if diff := cmp.Diff(neighbours, outside(t, b)); diff != "" {
			t.Errorf("keys beside the prefix (-want +got):\n%s", diff)
		}
	})
	return objstore.Sub(b, "p/")
}

// outside returns the keys of a bucket that Sub(b, "p/") must not touch, and fails
// when one has another size than at the beginning. It runs in a cleanup, when the
// context of the test is over.
func outside(t *testing.T, b *mem.Bucket) []string {
	t.Helper()
	var keys []string
	for page, err := range b.List(context.WithoutCancel(t.Context()), objstore.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			if strings.HasPrefix(o.Key, "p/") && o.Key != "p/" {
				continue
			}
			keys = append(keys, o.Key)
			if o.Size != int64(len(o.Key)) {
				t.Errorf("%q has %d bytes, put %d", o.Key, o.Size, len(o.Key))
			}
		}
	}
	return keys
}

func TestSubContract(t *testing.T) {
	t.Parallel()
	service := mem.NewService()
	n := 0
	objstoretest.TestBucket(t, func(t *testing.T) objstore.Bucket {
		n++
		return surrounded(t, service.Bucket(fmt.Sprint("bucket", n)))
	}, objstoretest.Missing(func(*testing.T) objstore.Bucket {
		b := mem.New("removed")
		b.Remove()
		return objstore.Sub(b, "p/")
	}))
}

// A part of a part, under a prefix that ends in the middle of a name.
func TestSubOfSubContract(t *testing.T) {
	t.Parallel()
	objstoretest.TestBucket(t, func(t *testing.T) objstore.Bucket {
		return objstore.Sub(surrounded(t, mem.New("bucket")), "na")
	})
}

func TestSubIdentity(t *testing.T) {
	t.Parallel()
	b := mem.New("bucket")
	if got := objstore.Sub(b, ""); got != objstore.Bucket(b) {
		t.Errorf("Sub with no prefix = %v, want the bucket itself", got)
	}
	sub := objstore.Sub(objstore.Sub(b, "a/"), "b")
	want := b.Identity()
	want.Prefix = "a/b"
	if got := sub.Identity(); got != want {
		t.Errorf("Identity() = %+v, want %+v", got, want)
	}
	if got, want := sub.Capabilities().MaxKey, b.Capabilities().MaxKey-3; got != want {
		t.Errorf("MaxKey = %d, want %d", got, want)
	}
	if _, err := objstore.Sub(b, "a/").Stat(t.Context(), ""); !errors.Is(err, objstore.ErrKey) {
		t.Errorf("Stat of the prefix itself = %v, want ErrKey", err)
	}
}

// wishes keeps the options of the last listing.
type wishes struct {
	objstore.Bucket
	opt objstore.ListOptions
}

func (w *wishes) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	w.opt = opt
	return w.Bucket.List(ctx, opt)
}

// What nobody asks for is told in keys of the part, and a directory above it is wanted.
func TestSubUnwanted(t *testing.T) {
	t.Parallel()
	w := &wishes{Bucket: mem.New("b")}
	list := func(prefix string, opt objstore.ListOptions) {
		for _, err := range objstore.Sub(w, prefix).List(t.Context(), opt) {
			if err != nil {
				t.Error(err)
			}
		}
	}
	list("p/q", objstore.ListOptions{Unwanted: func(prefix string) bool { return prefix == "r/" }})
	for prefix, want := range map[string]bool{"p/qr/": true, "p/": false, "p/q": false, "r/": false, "p/qs/": false} {
		if got := w.opt.Unwanted(prefix); got != want {
			t.Errorf("%q: unwanted %v", prefix, got)
		}
	}
	if list("p/", objstore.ListOptions{}); w.opt.Unwanted != nil {
		t.Error("something is unwanted")
	}
}
