package transfer_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/file"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// content returns n bytes that depend on seed.
func content(n int, seed uint64) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(p)
	return p
}

func put(t *testing.T, b objstore.Bucket, key string, p []byte, opt objstore.PutOptions) {
	t.Helper()
	if _, err := b.Put(t.Context(), key, bytes.NewReader(p), int64(len(p)), opt); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, b objstore.Bucket, key string) []byte {
	t.Helper()
	c, err := b.Open(t.Context(), key, objstore.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Body.Close()
	p, err := io.ReadAll(c.Body)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// object returns what a listing says of k; ok is false when it is not there.
func object(ctx context.Context, b objstore.Bucket) (objstore.Object, bool) {
	info, err := b.Stat(ctx, "k")
	return info.Object, err == nil
}

// item asks for k to be copied, with what both listings say now.
func item(t *testing.T, src, dst objstore.Bucket) plan.Item {
	t.Helper()
	const key = "k"
	it := plan.Item{Key: key, Decision: plan.Decision{Verb: plan.Copy}}
	var ok bool
	it.Src, ok = object(t.Context(), src)
	it.SrcAbsent = !ok
	it.Dst, ok = object(t.Context(), dst)
	it.DstAbsent = !ok
	return it
}

func wantSynced(t *testing.T, res transfer.Result, size int64) {
	t.Helper()
	if res.Outcome != task.Synced || res.Reason != task.Copied || res.Size != size {
		t.Fatalf("result %+v, want synced with %d bytes", res, size)
	}
}

func TestCopyOfEverySizeCarriesEverything(t *testing.T) {
	t.Parallel()
	attrs := objstore.PutOptions{
		Header: objstore.Header{ContentType: "text/plain", CacheControl: "no-cache", ContentDisposition: "inline", ContentEncoding: "gzip", ContentLanguage: "de", Expires: "Thu, 01 Dec 2099 16:00:00 GMT"},
		Meta:   map[string]string{"owner": "Zoë", "n": "1"},
		Tags:   map[string]string{"a": "b c", "d": "é"},
	}
	sizes := []int{0, 1, 4096, 128 << 10, 128<<10 + 1, 3 << 20}
	if !testing.Short() {
		sizes = append(sizes, 40<<20) // in parts of our own choice
	}
	for _, size := range sizes {
		src, dst := mem.New("src"), mem.New("dst")
		data := content(size, uint64(size))
		put(t, src, "k", data, attrs)
		res := transfer.New(transfer.Config{Src: src, Dst: dst}).Do(t.Context(), item(t, src, dst))
		wantSynced(t, res, int64(size))
		if len(res.Dropped) != 0 {
			t.Errorf("size %d: dropped %v", size, res.Dropped)
		}
		if !bytes.Equal(get(t, dst, "k"), data) {
			t.Fatalf("size %d: bytes differ", size)
		}
		info, err := dst.Stat(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		tags, err := dst.Tags(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		got := objstore.PutOptions{Header: info.Header, Meta: info.Meta, Tags: tags}
		if diff := cmp.Diff(attrs, got); diff != "" {
			t.Errorf("size %d: attributes (-want +got)\n%s", size, diff)
		}
		if src.Uploads() != 0 || dst.Uploads() != 0 {
			t.Errorf("size %d: uploads left", size)
		}
	}
}

func TestSourceLayoutIsReused(t *testing.T) {
	t.Parallel()
	for _, layout := range []bool{true, false} { // told by the store, or guessed from the ETag
		src := mem.New("src", mem.WithCapabilities(func(c *objstore.Capabilities) { c.PartLayout = layout }))
		dst := mem.New("dst")
		data := content(21<<20, 7)
		id, err := src.CreateMultipart(t.Context(), "k", objstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var parts []objstore.Part
		for n, p := 1, data; len(p) > 0; n++ {
			k := min(8<<20, len(p))
			part, err := src.PutPart(t.Context(), "k", id, n, bytes.NewReader(p[:k]), int64(k), objstore.PartOptions{})
			if err != nil {
				t.Fatal(err)
			}
			parts, p = append(parts, part), p[k:]
		}
		if _, err := src.CompleteMultipart(t.Context(), "k", id, parts, objstore.CompleteOptions{}); err != nil {
			t.Fatal(err)
		}
		wantSynced(t, transfer.New(transfer.Config{Src: src, Dst: dst}).Do(t.Context(), item(t, src, dst)), int64(len(data)))
		a, _ := object(t.Context(), src)
		b, _ := object(t.Context(), dst)
		if a.ETag != b.ETag || !strings.HasSuffix(a.ETag, "-3") {
			t.Errorf("told %v: ETags %s and %s", layout, a.ETag, b.ETag)
		}
		if !bytes.Equal(get(t, dst, "k"), data) {
			t.Error("bytes differ")
		}
	}
}

func TestCopyInsideOneService(t *testing.T) {
	t.Parallel()
	service := mem.NewService()
	for _, maxCopy := range []int64{5 << 30, 1 << 20} { // in one request, in parts
		src := service.Bucket("src", mem.WithCapabilities(func(c *objstore.Capabilities) { c.MaxCopy = maxCopy }))
		dst := service.Bucket("dst", mem.WithCapabilities(func(c *objstore.Capabilities) { c.MaxCopy = maxCopy }))
		data := content(2<<20, 9)
		put(t, src, "p/k", data, objstore.PutOptions{Meta: map[string]string{"a": "b"}})
		s, d := objstore.Sub(src, "p/"), objstore.Sub(dst, "q/")
		moved := transfer.New(transfer.Config{Src: s, Dst: d})
		wantSynced(t, moved.Do(t.Context(), item(t, s, d)), int64(len(data)))
		if !bytes.Equal(get(t, dst, "q/k"), data) {
			t.Error("bytes differ")
		}
		if info, _ := dst.Stat(t.Context(), "q/k"); info.Meta["a"] != "b" {
			t.Errorf("metadata %v", info.Meta)
		}
	}
}

// TestPacedCopyIsRead: where reads are limited, what this machine would copy itself is
// read, and what a service copies inside itself is not.
func TestPacedCopyIsRead(t *testing.T) {
	t.Parallel()
	directory := func() objstore.Bucket {
		b, err := file.Open(t.TempDir(), file.Options{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	service := mem.NewService()
	data := content(1<<20, 11)
	for name, c := range map[string]struct {
		src, dst objstore.Bucket
		paced    bool
		read     int64
	}{
		"a directory":               {directory(), directory(), false, 0},
		"a directory, limited":      {directory(), directory(), true, int64(len(data))},
		"inside a service":          {service.Bucket("a"), service.Bucket("b"), false, 0},
		"inside a service, limited": {service.Bucket("c"), service.Bucket("d"), true, 0},
	} {
		put(t, c.src, "k", data, objstore.PutOptions{})
		var moved atomic.Int64
		copier := transfer.New(transfer.Config{Src: c.src, Dst: c.dst, Paced: c.paced, Moved: &moved})
		wantSynced(t, copier.Do(t.Context(), item(t, c.src, c.dst)), int64(len(data)))
		if n := moved.Load(); n != c.read || !bytes.Equal(get(t, c.dst, "k"), data) {
			t.Errorf("%s: %d bytes were read, want %d and an equal copy", name, n, c.read)
		}
	}
}

func TestSourceGoneAndSourceChanged(t *testing.T) {
	t.Parallel()
	src, dst := mem.New("src"), mem.New("dst")
	put(t, src, "k", content(100, 1), objstore.PutOptions{})
	it := item(t, src, dst)
	copier := transfer.New(transfer.Config{Src: src, Dst: dst})

	put(t, src, "k", content(200, 2), objstore.PutOptions{}) // changes after the listing
	wantSynced(t, copier.Do(t.Context(), it), 200)
	if !bytes.Equal(get(t, dst, "k"), content(200, 2)) {
		t.Error("not the last version")
	}
	if err := src.Delete(t.Context(), "k", objstore.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if res := copier.Do(t.Context(), it); res.Outcome != task.Ignored || res.Reason != task.SourceGone {
		t.Errorf("gone source: %+v", res)
	}
	src.Remove()
	if res := copier.Do(t.Context(), it); res.Outcome != task.Failed {
		t.Errorf("vanished bucket: %+v", res)
	}
}

// A destination written by somebody else since the listing makes the copy look
// again, at both sides, and win with the source's present content.
func TestDestinationConflict(t *testing.T) {
	t.Parallel()
	src, dst := mem.New("src"), mem.New("dst")
	put(t, src, "k", content(100, 1), objstore.PutOptions{})
	it := item(t, src, dst)
	put(t, dst, "k", content(50, 3), objstore.PutOptions{})
	wantSynced(t, transfer.New(transfer.Config{Src: src, Dst: dst}).Do(t.Context(), it), 100)
	if !bytes.Equal(get(t, dst, "k"), content(100, 1)) {
		t.Error("destination is not the source")
	}
}

func TestCompareReadsBothSides(t *testing.T) {
	t.Parallel()
	src := mem.New("src", mem.WithCapabilities(func(c *objstore.Capabilities) { c.ETag = objstore.ETagOpaque }))
	dst := mem.New("dst")
	put(t, src, "k", content(1<<20, 1), objstore.PutOptions{})
	put(t, dst, "k", content(1<<20, 1), objstore.PutOptions{})
	copier := transfer.New(transfer.Config{Src: src, Dst: dst})
	it := item(t, src, dst)
	it.Verb = plan.Compare
	if res := copier.Do(t.Context(), it); res.Outcome != task.Ignored || res.Reason != task.UpToDate {
		t.Errorf("equal contents: %+v", res)
	}
	put(t, dst, "k", content(1<<20, 2), objstore.PutOptions{})
	it = item(t, src, dst)
	it.Verb = plan.Compare
	wantSynced(t, copier.Do(t.Context(), it), 1<<20)
}

func TestRemoveAsksTheSourceAgain(t *testing.T) {
	t.Parallel()
	src, dst := mem.New("src"), mem.New("dst")
	var items []plan.Item
	for _, k := range []string{"back", "gone1", "gone2", "never"} {
		if k != "never" {
			put(t, dst, k, content(10, 1), objstore.PutOptions{})
		}
		items = append(items, plan.Item{Key: k, Decision: plan.Decision{Verb: plan.Delete}, SrcAbsent: true})
	}
	put(t, src, "back", content(10, 1), objstore.PutOptions{})
	results := transfer.New(transfer.Config{Src: src, Dst: dst}).Remove(t.Context(), items)
	var got []task.Reason
	for _, r := range results {
		got = append(got, r.Reason)
	}
	if diff := cmp.Diff([]task.Reason{task.DeleteSuperseded, task.Deleted, task.Deleted, task.Deleted}, got); diff != "" {
		t.Error(diff)
	}
	if dst.Len() != 1 {
		t.Errorf("%d objects left, want 1", dst.Len())
	}
	src.Remove()
	if res := transfer.New(transfer.Config{Src: src, Dst: dst}).Remove(t.Context(), items[:1]); res[0].Outcome != task.Failed {
		t.Errorf("vanished source bucket: %+v", res[0])
	}
	if dst.Len() != 1 {
		t.Error("deleted although the source bucket is gone")
	}
}

// during calls f once, when the object has been read and is being written.
type during struct {
	objstore.Bucket
	f func()
}

func (b *during) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	if f := b.f; f != nil {
		b.f = nil
		f()
	}
	return b.Bucket.Put(ctx, key, body, size, opt)
}

// Without comparable ETags nobody could tell later that the destination, which is younger
// than the change, holds what was before it.
func TestSourceChangedAfterItWasRead(t *testing.T) {
	t.Parallel()
	opaque := mem.WithCapabilities(func(c *objstore.Capabilities) { c.ETag = objstore.ETagOpaque })
	src, dst := mem.NewService().Bucket("src", opaque), mem.NewService().Bucket("dst", opaque)
	put(t, src, "k", content(100, 1), objstore.PutOptions{})
	to := &during{Bucket: dst, f: func() { put(t, src, "k", content(100, 2), objstore.PutOptions{}) }}
	res := transfer.New(transfer.Config{Src: src, Dst: to}).Do(t.Context(), item(t, src, dst))
	wantSynced(t, res, 100)
	if !bytes.Equal(get(t, dst, "k"), content(100, 2)) {
		t.Error("the destination holds what the source held before it changed")
	}
}
