package file

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// linked is a bucket with links of every sort, and a file outside of it.
func linked(t *testing.T) (b *Bucket, outside string) {
	t.Helper()
	base := t.TempDir()
	outside = filepath.Join(base, "outside")
	if err := os.WriteFile(outside, []byte("outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	b = openDir(t, filepath.Join(base, "bucket"), Options{Create: true, NoSync: true})
	write(t, b, "dir/file", "inside")
	for name, target := range map[string]string{
		"dir/inside":   "file",
		"through":      "linkdir/file",
		"up":           "dir/../dir/file",
		"out":          "../outside",
		"absolute":     filepath.Join(base, "bucket", "dir", "file"),
		"nowhere":      "no such file",
		"circle":       "circle",
		"linkdir":      "dir",
		"outdir":       "..",
		"dir/again":    "../dir",
		"zero":         "/dev/zero",
		"../elsewhere": "bucket/dir",
	} {
		if err := os.Symlink(target, filepath.Join(b.path, name)); err != nil {
			t.Skip(err)
		}
	}
	return b, outside
}

func TestLinks(t *testing.T) {
	t.Parallel()
	b, _ := linked(t)
	want := []string{"dir/file", "dir/inside", "through", "up"}
	var etag string
	for page, err := range b.List(t.Context(), objstore.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range page.Objects {
			got = append(got, o.Key)
			if etag == "" {
				etag = o.ETag
			}
			if o.Size != int64(len("inside")) || o.ETag != etag || stat(t, b, o.Key).ETag != etag {
				t.Errorf("a link to dir/file is listed as %+v", o)
			}
		}
		equal(t, want, got, "keys")
	}
	for _, key := range want {
		if got := get(t, b, key); got != "inside" {
			t.Errorf("%q holds %q", key, got)
		}
	}
	for _, key := range []string{"out", "absolute", "nowhere", "circle", "linkdir", "outdir", "zero", "linkdir/file", "outdir/outside", "dir/again/file"} {
		_, err := b.Open(t.Context(), key, objstore.OpenOptions{})
		wantErr(t, err, objstore.ErrNotFound, "Open of "+key)
	}
}

// Nothing that is written or deleted may land anywhere but under its own key.
func TestLinksAreNotFollowedByWrites(t *testing.T) {
	t.Parallel()
	for _, fast := range []bool{true, false} {
		b, outside := linked(t)
		if !fast {
			b.root = slowly(b.root)
		}
		write := func(key string) error {
			_, err := b.Put(t.Context(), key, bytes.NewReader([]byte("new")), 3, objstore.PutOptions{})
			return err
		}
		for _, key := range []string{"out", "absolute", "nowhere", "circle", "linkdir", "outdir", "zero", "linkdir/file", "linkdir/new", "outdir/outside", "outdir/new", "dir/again/new", "linkdir/sub/new"} {
			wantErr(t, write(key), objstore.ErrKey, "Put to "+key)
			if err := b.Delete(t.Context(), key, objstore.DeleteOptions{}); err != nil {
				t.Errorf("Delete(%q) = %v", key, err)
			}
			_, err := os.Lstat(filepath.Join(b.path, "linkdir"))
			if err != nil {
				t.Fatalf("after %q: %v", key, err)
			}
		}
		// A link to an object is an object: it is replaced and deleted, its target is not.
		if err := write("up"); err != nil {
			t.Errorf("Put to a link = %v", err)
		}
		if err := b.Delete(t.Context(), "through", objstore.DeleteOptions{}); err != nil {
			t.Errorf("Delete of a link = %v", err)
		}
		if got := get(t, b, "up"); got != "new" {
			t.Errorf("up holds %q", got)
		}
		if got, err := os.ReadFile(outside); err != nil || string(got) != "outside" {
			t.Errorf("outside holds %q, %v", got, err)
		}
		if got := get(t, b, "dir/file"); got != "inside" {
			t.Errorf("dir/file holds %q", got)
		}
		equal(t, []string{"dir/file", "dir/inside", "up"}, keys(t, b, objstore.ListOptions{}), "keys")
	}
}
