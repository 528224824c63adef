package objstoretest

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// readTests check what can be learned of whole objects.
var readTests = []check{
	{"Identity", testIdentity},
	{"NotThere", testNotThere},
	{"ZeroBytes", testZeroBytes},
	{"Ranges", testRanges},
	{"IfMatch", testIfMatch},
	{"ETag", testETag},
}

func testIdentity(t *testing.T, b subject, _ string) {
	id := b.Identity()
	if id.Service == "" || id.Bucket == "" || id != b.Identity() {
		t.Errorf("Identity() = %+v, then %+v", id, b.Identity())
	}
	if err := b.Probe(t.Context()); err != nil {
		t.Errorf("Probe() = %v", err)
	}
}

func testNotThere(t *testing.T, b subject, dir string) {
	put(t, b, dir+"beside.txt", []byte("x"), objstore.PutOptions{})
	put(t, b, dir+"below/x", []byte("x"), objstore.PutOptions{})
	for _, key := range []string{dir + "nothing", dir + "beside", dir + "beside.txt2", dir + "below", dir + "no/such/dir"} {
		_, err := b.Stat(t.Context(), key)
		wantErr(t, err, objstore.ErrNotFound, "Stat of "+key)
		if errors.Is(err, objstore.ErrBucketNotFound) {
			t.Errorf("Stat(%q) = %v speaks of the bucket", key, err)
		}
		for _, opt := range []objstore.OpenOptions{{}, {Offset: 1, Length: 1}} {
			c, err := b.Open(t.Context(), key, opt)
			wantErr(t, err, objstore.ErrNotFound, "Open of "+key)
			if c != nil {
				t.Errorf("Open(%q) returns content beside the error", key)
			}
		}
	}
	if b.Capabilities().Tags {
		_, err := b.Tags(t.Context(), dir+"nothing")
		wantErr(t, err, objstore.ErrNotFound, "Tags")
		wantErr(t, b.SetTags(t.Context(), dir+"nothing", map[string]string{"a": "b"}), objstore.ErrNotFound, "SetTags")
	}
}

func testZeroBytes(t *testing.T, b subject, dir string) {
	key := dir + "empty"
	for _, body := range []io.Reader{bytes.NewReader(nil), watch(strings.NewReader(""))} {
		if _, err := b.Put(t.Context(), key, body, 0, objstore.PutOptions{}); err != nil {
			t.Fatalf("Put of nothing = %v", err)
		}
		c, err := b.Open(t.Context(), key, objstore.OpenOptions{})
		if err != nil {
			t.Fatalf("Open of nothing = %v", err)
		}
		if got := readAll(t, c); len(got) != 0 || c.Size != 0 || c.Length != 0 {
			t.Errorf("an empty object reads %q, size %d, length %d", got, c.Size, c.Length)
		}
	}
	if got := list(t, b, objstore.ListOptions{Prefix: key}); len(got) != 1 || got[0].Size != 0 {
		t.Errorf("an empty object is listed as %+v", got)
	}
}

func testRanges(t *testing.T, b subject, dir string) {
	key, data := dir+"object", bytesOf("ranges", 100_000)
	put(t, b, key, data, objstore.PutOptions{})
	size := int64(len(data))
	for _, r := range []struct{ offset, length int64 }{
		{0, 0}, {0, 1}, {1, 0}, {5, 10}, {0, size}, {size - 1, 0}, {size - 1, 1}, {size / 2, size / 4}, {size - 3, 100}, {0, size + 1}, {65_535, 2},
	} {
		end := size
		if r.length > 0 {
			end = min(size, r.offset+r.length)
		}
		c, err := b.Open(t.Context(), key, objstore.OpenOptions{Offset: r.offset, Length: r.length})
		if err != nil {
			t.Errorf("Open(%+v) = %v", r, err)
			continue
		}
		if got := readAll(t, c); !bytes.Equal(got, data[r.offset:end]) {
			t.Errorf("Open(%+v) delivers %d bytes that are not bytes [%d, %d)", r, len(got), r.offset, end)
		}
		if c.Size != size {
			t.Errorf("Open(%+v) says the object has %d bytes, want %d", r, c.Size, size)
		}
	}
	if c, err := b.Open(t.Context(), key, objstore.OpenOptions{Offset: size + 1, Length: 1}); err == nil {
		t.Errorf("Open beyond the end delivers %d bytes", c.Length)
		c.Body.Close()
	}
	c, err := b.Open(t.Context(), key, objstore.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Body.Close(); err != nil { // unread: the receiver may lose interest
		t.Errorf("Close of an unread body = %v", err)
	}
	holds(t, b, key, data)
}

// testIfMatch checks that a read can be pinned to one state of an object.
func testIfMatch(t *testing.T, b subject, dir string) {
	key := dir + "object"
	put(t, b, key, []byte("first state"), objstore.PutOptions{})
	old := stat(t, b, key).ETag
	if old == "" {
		t.Skip("no ETags")
	}
	pin := objstore.OpenOptions{IfMatch: old, Offset: 2, Length: 3}
	if got := get(t, b, key, pin); string(got) != "rst" {
		t.Errorf("pinned range = %q, want rst", got)
	}
	put(t, b, key, []byte("other state"), objstore.PutOptions{})
	for _, opt := range []objstore.OpenOptions{{IfMatch: old}, pin} {
		_, err := b.Open(t.Context(), key, opt)
		wantErr(t, err, objstore.ErrPrecondition, "Open pinned to an old state")
	}
	if got := get(t, b, key, objstore.OpenOptions{IfMatch: stat(t, b, key).ETag}); string(got) != "other state" {
		t.Errorf("pinned to the new state = %q", got)
	}
	if err := b.Delete(t.Context(), key, objstore.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Open(t.Context(), key, objstore.OpenOptions{IfMatch: old})
	wantErr(t, err, objstore.ErrNotFound, "Open pinned to a deleted object")
}

// testETag checks that put, stat, list and open agree on an ETag that changes
// with the content and, where the store claims so, is its MD5.
func testETag(t *testing.T, b subject, dir string) {
	key := dir + "object"
	var last string
	for _, data := range []string{"one", "two", ""} {
		w := put(t, b, key, []byte(data), objstore.PutOptions{})
		info := stat(t, b, key)
		c, err := b.Open(t.Context(), key, objstore.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, c)
		listed := list(t, b, objstore.ListOptions{Prefix: key})
		if len(listed) != 1 {
			t.Fatalf("listing shows %q", keysOf(listed))
		}
		if etags := []string{w.ETag, info.ETag, c.ETag, listed[0].ETag}; len(slices.Compact(etags)) != 1 {
			t.Errorf("ETags of put, stat, open, list differ: %q", etags)
		}
		if strings.ContainsAny(info.ETag, `"`) {
			t.Errorf("ETag %q has quotes", info.ETag)
		}
		if info.ETag != "" && info.ETag == last {
			t.Errorf("ETag %q stays when the content changes", last)
		}
		last = info.ETag
		if want := fmt.Sprintf("%x", md5.Sum([]byte(data))); b.Capabilities().ETag == objstore.ETagMD5 && !info.OpaqueETag && info.ETag != want {
			t.Errorf("ETag %q is not the MD5 %s", info.ETag, want)
		}
	}
}
