package objstoretest

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// objectTests check whole objects: reading, replacing, deleting.
var objectTests = []check{
	{"Identity", testIdentity},
	{"NotThere", testNotThere},
	{"EmptyKey", testEmptyKey},
	{"LongKey", testLongKey},
	{"ZeroBytes", testZeroBytes},
	{"Ranges", testRanges},
	{"IfMatch", testIfMatch},
	{"ETag", testETag},
	{"Overwrite", testOverwrite},
	{"BodyFails", testBodyFails},
	{"BodyWrongLength", testBodyWrongLength},
	{"Delete", testDelete},
	{"DeleteIfMatch", testDeleteIfMatch},
	{"DeleteManyOdd", testDeleteManyOdd},
	{"ParallelPuts", testParallelPuts},
	{"ListWhileWriting", testListWhileWriting},
	{"Cancelled", testCancelled},
	{"Attributes", testAttributes},
	{"MetaLimit", testMetaLimit},
	{"Tags", testTags},
	{"SlashAtEnd", testSlashAtEnd},
}

func testIdentity(t *testing.T, b objstore.Bucket, _ string) {
	id := b.Identity()
	if id.Service == "" || id.Bucket == "" || id != b.Identity() {
		t.Errorf("Identity() = %+v, then %+v", id, b.Identity())
	}
	if err := b.Probe(t.Context()); err != nil {
		t.Errorf("Probe() = %v", err)
	}
}

func testNotThere(t *testing.T, b objstore.Bucket, dir string) {
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

// testEmptyKey matters because a request without a key speaks of the bucket.
func testEmptyKey(t *testing.T, b objstore.Bucket, dir string) {
	ctx := t.Context()
	put(t, b, dir+"stays", []byte("x"), objstore.PutOptions{})
	errs := map[string]error{}
	_, errs["Put"] = b.Put(ctx, "", strings.NewReader("x"), 1, objstore.PutOptions{})
	_, errs["Stat"] = b.Stat(ctx, "")
	_, errs["Open"] = b.Open(ctx, "", objstore.OpenOptions{})
	errs["Delete"] = b.Delete(ctx, "", objstore.DeleteOptions{})
	caps := b.Capabilities()
	if caps.MaxParts > 0 {
		_, errs["CreateMultipart"] = b.CreateMultipart(ctx, "", objstore.PutOptions{})
	}
	if caps.MaxCopy > 0 {
		_, errs["Copy"] = b.Copy(ctx, "", source(b, dir+"stays"), objstore.PutOptions{})
	}
	if caps.Tags {
		_, errs["Tags"] = b.Tags(ctx, "")
		errs["SetTags"] = b.SetTags(ctx, "", map[string]string{"a": "b"})
	}
	if caps.DeleteMany > 0 {
		perKey, err := b.DeleteMany(ctx, []string{""})
		errs["DeleteMany"] = errors.Join(append(perKey, err)...)
	}
	for what, err := range errs {
		wantErr(t, err, objstore.ErrKey, what+" of the empty key")
	}
	if err := b.Probe(ctx); err != nil {
		t.Errorf("Probe() = %v", err)
	}
	holds(t, b, dir+"stays", []byte("x"))
}

func testLongKey(t *testing.T, b objstore.Bucket, dir string) {
	limit := b.Capabilities().MaxKey
	if limit == 0 {
		t.Skip("no limit known")
	}
	key := dir
	for len(key) <= limit {
		key += strings.Repeat("k", min(100, limit+1-len(key)))
		if len(key) < limit {
			key += "/"
		}
	}
	_, err := b.Put(t.Context(), key, strings.NewReader("x"), 1, objstore.PutOptions{})
	wantErr(t, err, objstore.ErrKey, fmt.Sprintf("Put of a key of %d bytes", len(key)))
	if got := list(t, b, objstore.ListOptions{Prefix: dir}); len(got) > 0 {
		t.Errorf("listing shows %q", keysOf(got))
	}
}

func testZeroBytes(t *testing.T, b objstore.Bucket, dir string) {
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

func testRanges(t *testing.T, b objstore.Bucket, dir string) {
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
func testIfMatch(t *testing.T, b objstore.Bucket, dir string) {
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
func testETag(t *testing.T, b objstore.Bucket, dir string) {
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

func testOverwrite(t *testing.T, b objstore.Bucket, dir string) {
	key := dir + "object"
	opt := objstore.PutOptions{Header: objstore.Header{ContentType: "text/plain", CacheControl: "no-cache"}, Meta: map[string]string{"old": "1"}, Tags: map[string]string{"old": "1"}}
	put(t, b, key, bytesOf("old", 5000), opt)
	data := []byte("new and shorter")
	put(t, b, key, data, objstore.PutOptions{})
	holds(t, b, key, data)
	info := stat(t, b, key)
	if info.Size != int64(len(data)) || info.Header.CacheControl != "" || len(info.Meta) > 0 || info.TagCount > 0 {
		t.Errorf("an overwritten object keeps of the old one: %+v", info)
	}
	if b.Capabilities().Tags {
		if tags, err := b.Tags(t.Context(), key); err != nil || len(tags) > 0 {
			t.Errorf("an overwritten object keeps tags %v, %v", tags, err)
		}
	}
}

// testBodyFails checks that a body that breaks off changes nothing.
func testBodyFails(t *testing.T, b objstore.Bucket, dir string) {
	old := []byte("the old object")
	for _, n := range []int{0, 100, 300_000} {
		existing, fresh := fmt.Sprint(dir, "existing", n), fmt.Sprint(dir, "fresh", n)
		put(t, b, existing, old, objstore.PutOptions{})
		for _, key := range []string{existing, fresh} {
			body := watch(failing(bytesOf("half", n)))
			_, err := b.Put(t.Context(), key, body, int64(2*n+10), objstore.PutOptions{})
			body.done(t)
			if err == nil {
				t.Errorf("Put(%q) of a body that fails after %d bytes succeeds", key, n)
			}
		}
		holds(t, b, existing, old)
		absent(t, b, fresh)
	}
	if got := len(list(t, b, objstore.ListOptions{Prefix: dir})); got != 3 {
		t.Errorf("failed puts leave %d objects, want 3", got)
	}
}

func testBodyWrongLength(t *testing.T, b objstore.Bucket, dir string) {
	key, old := dir+"object", []byte("the old object")
	put(t, b, key, old, objstore.PutOptions{})
	for _, n := range []int{0, 9, 200_000} {
		body := watch(bytes.NewReader(bytesOf("short", n)))
		_, err := b.Put(t.Context(), key, body, int64(n+1), objstore.PutOptions{})
		body.done(t)
		if err == nil {
			t.Errorf("Put of %d bytes announced as %d succeeds", n, n+1)
		}
		holds(t, b, key, old)
	}
	// A body that goes on is cut or refused, but never stored whole.
	data := []byte("0123456789")
	body := watch(bytes.NewReader(data))
	_, err := b.Put(t.Context(), key, body, 4, objstore.PutOptions{})
	body.done(t)
	want := data[:4]
	if err != nil {
		want = old
	}
	holds(t, b, key, want)
}

func testDelete(t *testing.T, b objstore.Bucket, dir string) {
	ctx := t.Context()
	stays := []string{dir + "folder/a", dir + "folder/b", dir + "gone.txt", dir + "gone0", dir + "goner"}
	fill(t, b, append(stays, dir+"gone", dir+"only/child/deep"), func(k string) []byte { return []byte(k) })
	for _, key := range []string{dir + "gone", dir + "gone", dir + "never", dir + "folder", dir + "folder/", dir + "fold", dir + "no/such/folder", dir + "only/child/deep"} {
		// "folder/" is another key, which a directory may be unable to hold.
		if err := b.Delete(ctx, key, objstore.DeleteOptions{}); err != nil && !(strings.HasSuffix(key, "/") && errors.Is(err, objstore.ErrKey)) {
			t.Errorf("Delete(%q) = %v", key, err)
		}
	}
	absent(t, b, dir+"gone")
	if diff := cmp.Diff(stays, keysOf(list(t, b, objstore.ListOptions{Prefix: dir}))); diff != "" {
		t.Errorf("after deletes (-want +got):\n%s", diff)
	}
	put(t, b, dir+"gone", []byte("back"), objstore.PutOptions{})
	holds(t, b, dir+"gone", []byte("back"))
}

// testDeleteIfMatch: a condition is obeyed or ignored, and the answer is true.
func testDeleteIfMatch(t *testing.T, b objstore.Bucket, dir string) {
	key := dir + "object"
	put(t, b, key, []byte("one"), objstore.PutOptions{})
	old := stat(t, b, key).ETag
	put(t, b, key, []byte("two"), objstore.PutOptions{})
	if old == "" {
		t.Skip("no ETags")
	}
	switch err := b.Delete(t.Context(), key, objstore.DeleteOptions{IfMatch: old}); {
	case err == nil:
		absent(t, b, key)
		put(t, b, key, []byte("two"), objstore.PutOptions{})
	case errors.Is(err, objstore.ErrPrecondition):
		holds(t, b, key, []byte("two"))
	default:
		t.Errorf("Delete with an old ETag = %v", err)
	}
	if err := b.Delete(t.Context(), key, objstore.DeleteOptions{IfMatch: stat(t, b, key).ETag}); err != nil {
		t.Errorf("Delete with the present ETag = %v", err)
	}
	absent(t, b, key)
}

// testDeleteManyOdd: keys that are not there, keys named twice, no keys.
func testDeleteManyOdd(t *testing.T, b objstore.Bucket, dir string) {
	ctx := t.Context()
	if b.Capabilities().DeleteMany == 0 {
		_, err := b.DeleteMany(ctx, []string{dir + "x"})
		wantErr(t, err, objstore.ErrUnsupported, "DeleteMany")
		return
	}
	put(t, b, dir+"a", []byte("x"), objstore.PutOptions{})
	put(t, b, dir+"b", []byte("x"), objstore.PutOptions{})
	for _, keys := range [][]string{{dir + "a", dir + "missing", dir + "a"}, {dir + "a"}, {}} {
		perKey, err := b.DeleteMany(ctx, keys)
		if err != nil || len(perKey) != len(keys) {
			t.Fatalf("DeleteMany(%q) = %v, %v", keys, perKey, err)
		}
		if err := errors.Join(perKey...); err != nil {
			t.Errorf("DeleteMany(%q) = %v", keys, err)
		}
	}
	if diff := cmp.Diff([]string{dir + "b"}, keysOf(list(t, b, objstore.ListOptions{Prefix: dir}))); diff != "" {
		t.Errorf("after DeleteMany (-want +got):\n%s", diff)
	}
}

// testParallelPuts: at any moment the object is one of the bodies, whole.
func testParallelPuts(t *testing.T, b objstore.Bucket, dir string) {
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
func testListWhileWriting(t *testing.T, b objstore.Bucket, dir string) {
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

func testCancelled(t *testing.T, b objstore.Bucket, dir string) {
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

// testSlashAtEnd: a key that ends in a slash may hold bytes like any other.
func testSlashAtEnd(t *testing.T, b objstore.Bucket, dir string) {
	key, data := dir+"folder/", []byte("bytes of a folder")
	put(t, b, key+"child", []byte("child"), objstore.PutOptions{})
	want := []string{key + "child"}
	switch _, err := b.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), objstore.PutOptions{}); {
	case err == nil:
		want = []string{key, key + "child"}
		holds(t, b, key, data)
	case !errors.Is(err, objstore.ErrKey):
		t.Errorf("Put(%q) = %v, want nil or ErrKey", key, err)
	}
	if diff := cmp.Diff(want, keysOf(list(t, b, objstore.ListOptions{Prefix: dir}))); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
	holds(t, b, key+"child", []byte("child"))
}
