package objstoretest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// writeTests check that a write makes the object or changes nothing.
var writeTests = []check{
	{"Overwrite", testOverwrite},
	{"BodyFails", testBodyFails},
	{"BodyWrongLength", testBodyWrongLength},
	{"EmptyKey", testEmptyKey},
	{"LongKey", testLongKey},
	{"SlashAtEnd", testSlashAtEnd},
}

func testOverwrite(t *testing.T, b subject, dir string) {
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
func testBodyFails(t *testing.T, b subject, dir string) {
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

func testBodyWrongLength(t *testing.T, b subject, dir string) {
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

// testEmptyKey matters because a request without a key speaks of the bucket.
func testEmptyKey(t *testing.T, b subject, dir string) {
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

func testLongKey(t *testing.T, b subject, dir string) {
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

// testSlashAtEnd: a key that ends in a slash may hold bytes like any other.
func testSlashAtEnd(t *testing.T, b subject, dir string) {
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
