package objstoretest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// deleteTests check that a delete takes its key and no other.
var deleteTests = []check{
	{"Delete", testDelete},
	{"DeleteIfMatch", testDeleteIfMatch},
	{"DeleteManyOdd", testDeleteManyOdd},
}

func testDelete(t *testing.T, b subject, dir string) {
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
func testDeleteIfMatch(t *testing.T, b subject, dir string) {
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
func testDeleteManyOdd(t *testing.T, b subject, dir string) {
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
