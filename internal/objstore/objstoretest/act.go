package objstoretest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// parallel is how many requests the suite has under way when it fills a bucket.
const parallel = 32

// bytesOf returns n bytes that depend on the seed and look random.
func bytesOf(seed string, n int) []byte {
	var key [32]byte
	copy(key[:], seed)
	p := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(p) // never fails
	return p
}

func put(t *testing.T, b objstore.Bucket, key string, data []byte, opt objstore.PutOptions) objstore.Written {
	t.Helper()
	w, err := b.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), opt)
	if err != nil {
		t.Fatalf("Put(%q) = %v", key, err)
	}
	return w
}

func stat(t *testing.T, b objstore.Bucket, key string) objstore.Info {
	t.Helper()
	info, err := b.Stat(t.Context(), key)
	if err != nil {
		t.Fatalf("Stat(%q) = %v", key, err)
	}
	return info
}

// readAll returns the bytes of an open object and closes it.
func readAll(t *testing.T, c *objstore.Content) []byte {
	t.Helper()
	defer c.Body.Close()
	got, err := io.ReadAll(c.Body)
	if err != nil {
		t.Fatalf("read of %q = %v after %d bytes", c.Key, err, len(got))
	}
	if int64(len(got)) != c.Length {
		t.Errorf("body of %q has %d bytes, Length says %d", c.Key, len(got), c.Length)
	}
	return got
}

func get(t *testing.T, b objstore.Bucket, key string, opt objstore.OpenOptions) []byte {
	t.Helper()
	c, err := b.Open(t.Context(), key, opt)
	if err != nil {
		t.Fatalf("Open(%q, %+v) = %v", key, opt, err)
	}
	return readAll(t, c)
}

// holds checks that key is an object of these bytes.
func holds(t *testing.T, b objstore.Bucket, key string, want []byte) {
	t.Helper()
	if got := get(t, b, key, objstore.OpenOptions{}); !bytes.Equal(got, want) {
		t.Errorf("%q holds %s, want %s", key, brief(got), brief(want))
	}
}

// brief describes bytes for a message.
func brief(p []byte) string {
	if len(p) > 40 {
		return string(p[:20]) + "… (" + strconv.Itoa(len(p)) + " bytes)"
	}
	return string(p)
}

// absent checks that key is no object and in no listing.
func absent(t *testing.T, b objstore.Bucket, key string) {
	t.Helper()
	if _, err := b.Stat(t.Context(), key); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("Stat(%q) = %v, want ErrNotFound", key, err)
	}
	for _, o := range list(t, b, objstore.ListOptions{Prefix: key}) {
		if o.Key == key {
			t.Errorf("listing shows %q", key)
		}
	}
}

func wantErr(t *testing.T, err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %q", what, err, want)
	}
}

// fill puts the keys, each with content(key) as its bytes.
func fill(t *testing.T, b objstore.Bucket, keys []string, content func(string) []byte) {
	t.Helper()
	each(t, keys, func(ctx context.Context, key string) error {
		p := content(key)
		_, err := b.Put(ctx, key, bytes.NewReader(p), int64(len(p)), objstore.PutOptions{})
		return err
	})
}

// each calls do for every key, many at once.
func each(t *testing.T, keys []string, do func(ctx context.Context, key string) error) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(parallel)
	for _, key := range keys {
		g.Go(func() error { return do(ctx, key) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// list returns a whole listing and checks what every listing must be: ascending,
// inside the bounds asked for, in pages no larger than asked for.
func list(t *testing.T, b objstore.Bucket, opt objstore.ListOptions) []objstore.Object {
	t.Helper()
	var all []objstore.Object
	for page, err := range b.List(t.Context(), opt) {
		if err != nil {
			t.Fatalf("List(%+v) = %v after %d objects", opt, err, len(all))
		}
		if opt.PageSize > 0 && len(page.Objects) > opt.PageSize {
			t.Errorf("List(%+v): page of %d objects", opt, len(page.Objects))
		}
		all = append(all, page.Objects...)
	}
	for i, o := range all {
		if !strings.HasPrefix(o.Key, opt.Prefix) || o.Key <= opt.After || opt.Until != "" && o.Key > opt.Until {
			t.Errorf("List(%+v) shows %q", opt, o.Key)
		}
		if i > 0 && o.Key <= all[i-1].Key {
			t.Errorf("List(%+v) shows %q after %q", opt, o.Key, all[i-1].Key)
		}
	}
	return all
}

func keysOf(objects []objstore.Object) []string {
	keys := make([]string, len(objects))
	for i, o := range objects {
		keys[i] = o.Key
	}
	return keys
}
