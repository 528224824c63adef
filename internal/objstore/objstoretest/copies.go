package objstoretest

import (
	"errors"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// copyTests check copies inside a service.
var copyTests = []check{
	{"Copy", needsCopy(testCopy)},
	{"CopyRefused", needsCopy(testCopyRefused)},
	{"CopyPart", needsCopy(needsParts(testCopyPart))},
	{"CopyUnsupported", testCopyUnsupported},
}

func needsCopy(f func(*testing.T, subject, string)) func(*testing.T, subject, string) {
	return func(t *testing.T, b subject, dir string) {
		if b.Capabilities().MaxCopy == 0 {
			t.Skip("no server-side copy")
		}
		f(t, b, dir)
	}
}

// source names an object of b as Copy wants it.
func source(b objstore.Bucket, key string) objstore.CopySource {
	id := b.Identity()
	return objstore.CopySource{Bucket: id.Bucket, Key: id.Prefix + key}
}

func testCopyUnsupported(t *testing.T, b subject, dir string) {
	if b.Capabilities().MaxCopy > 0 {
		t.Skip("has server-side copy")
	}
	put(t, b, dir+"from", []byte("x"), objstore.PutOptions{})
	_, err := b.Copy(t.Context(), dir+"to", source(b, dir+"from"), objstore.PutOptions{})
	wantErr(t, err, objstore.ErrUnsupported, "Copy")
	absent(t, b, dir+"to")
}

func testCopy(t *testing.T, b subject, dir string) {
	from, opt := dir+"from here+%2B", attributed()
	data := bytesOf("copied", 50_000)
	dropped := put(t, b, from, data, opt).Dropped
	src := source(b, from)
	src.IfMatch = stat(t, b, from).ETag

	// Nothing named: the source's attributes go along.
	w, err := b.Copy(t.Context(), dir+"to", src, objstore.PutOptions{})
	if err != nil {
		t.Fatalf("Copy = %v", err)
	}
	holds(t, b, dir+"to", data)
	carries(t, b, dir+"to", opt, append(dropped, w.Dropped...))
	if got := stat(t, b, dir+"to").ETag; got != w.ETag {
		t.Errorf("Copy says ETag %q, stat %q", w.ETag, got)
	}
	// Something named: it replaces them all, also at an existing object.
	other := objstore.PutOptions{Header: objstore.Header{ContentType: "image/png"}, Meta: map[string]string{"other": "größer"}, Tags: map[string]string{"k": "v"}}
	if w, err = b.Copy(t.Context(), dir+"to", src, other); err != nil {
		t.Fatalf("Copy over an object = %v", err)
	}
	holds(t, b, dir+"to", data)
	carries(t, b, dir+"to", other, w.Dropped)
	if got := stat(t, b, dir+"to").Header.CacheControl; got != "" {
		t.Errorf("Cache-Control %q stays although others were named", got)
	}
	holds(t, b, from, data)

	put(t, b, dir+"empty", nil, objstore.PutOptions{})
	if _, err := b.Copy(t.Context(), dir+"to", source(b, dir+"empty"), objstore.PutOptions{}); err != nil {
		t.Fatalf("Copy of an empty object = %v", err)
	}
	holds(t, b, dir+"to", nil)
}

func testCopyRefused(t *testing.T, b subject, dir string) {
	ctx, old := t.Context(), []byte("the old object")
	put(t, b, dir+"to", old, objstore.PutOptions{})
	put(t, b, dir+"from", []byte("first"), objstore.PutOptions{})
	src := source(b, dir+"from")
	src.IfMatch = stat(t, b, dir+"from").ETag
	put(t, b, dir+"from", []byte("second"), objstore.PutOptions{})
	for _, to := range []string{dir + "to", dir + "fresh"} {
		if src.IfMatch != "" {
			_, err := b.Copy(ctx, to, src, objstore.PutOptions{})
			wantErr(t, err, objstore.ErrPrecondition, "Copy pinned to an old state")
		}
		_, err := b.Copy(ctx, to, source(b, dir+"missing"), objstore.PutOptions{})
		wantErr(t, err, objstore.ErrNotFound, "Copy of nothing")
	}
	holds(t, b, dir+"to", old)
	absent(t, b, dir+"fresh")
}

// testCopyPart makes an object of two ranges of another.
func testCopyPart(t *testing.T, b subject, dir string) {
	ctx, n := t.Context(), smallestPart(b)
	data := bytesOf("copied in parts", n+500)
	from, to := dir+"from", dir+"to"
	put(t, b, from, data, objstore.PutOptions{})
	id := create(t, b, to, objstore.PutOptions{})
	var parts []objstore.Part
	for i, r := range []struct{ offset, length int64 }{{500, int64(n)}, {1, 99}} {
		src := source(b, from)
		src.IfMatch, src.Offset, src.Length = stat(t, b, from).ETag, r.offset, r.length
		p, err := b.CopyPart(ctx, to, id, i+1, src)
		if err != nil {
			t.Fatalf("CopyPart(%+v) = %v", src, err)
		}
		if p.Number != i+1 || p.Size != r.length || p.ETag == "" {
			t.Errorf("CopyPart(%+v) = %+v", src, p)
		}
		parts = append(parts, p)
	}
	stale := source(b, from)
	stale.IfMatch, stale.Length = "00000000000000000000000000000000", 10
	if _, err := b.CopyPart(ctx, to, id, 3, stale); !errors.Is(err, objstore.ErrPrecondition) {
		t.Errorf("CopyPart pinned to another state = %v, want ErrPrecondition", err)
	}
	_, err := b.CopyPart(ctx, to, id, 3, source(b, dir+"missing"))
	wantErr(t, err, objstore.ErrNotFound, "CopyPart of nothing")
	if _, err := b.CompleteMultipart(ctx, to, id, parts, objstore.CompleteOptions{}); err != nil {
		t.Fatalf("CompleteMultipart = %v", err)
	}
	holds(t, b, to, append(append([]byte{}, data[500:500+n]...), data[1:100]...))
}

// testCopyBetween copies from one bucket to another of the same service.
func testCopyBetween(t *testing.T, from, to objstore.Bucket) {
	if to.Capabilities().MaxCopy == 0 || from.Identity().Service != to.Identity().Service {
		t.Skip("no server-side copy, or open gives buckets of several services")
	}
	if from.Identity() == to.Identity() {
		t.Fatal("open gives the same bucket twice")
	}
	data := []byte("from one to the other")
	put(t, from, "dir/from", data, objstore.PutOptions{})
	if _, err := to.Copy(t.Context(), "dir/to", source(from, "dir/from"), objstore.PutOptions{}); err != nil {
		t.Fatalf("Copy between buckets = %v", err)
	}
	holds(t, to, "dir/to", data)
	absent(t, from, "dir/to")
	absent(t, to, "dir/from")
}
