package file

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// openDir opens a directory as a bucket that the test closes.
func openDir(t testing.TB, dir string, opt Options) *Bucket {
	t.Helper()
	b, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// quick is a fresh bucket that does not flush.
func quick(t testing.TB) *Bucket {
	t.Helper()
	return openDir(t, t.TempDir(), Options{NoSync: true})
}

func put(t testing.TB, b *Bucket, key, data string, opt objstore.PutOptions) objstore.Written {
	t.Helper()
	w, err := b.Put(t.Context(), key, strings.NewReader(data), int64(len(data)), opt)
	if err != nil {
		t.Fatalf("Put(%q) = %v", key, err)
	}
	return w
}

func get(t testing.TB, b *Bucket, key string) string {
	t.Helper()
	c, err := b.Open(t.Context(), key, objstore.OpenOptions{})
	if err != nil {
		t.Fatalf("Open(%q) = %v", key, err)
	}
	defer c.Body.Close()
	p, err := io.ReadAll(c.Body)
	if err != nil {
		t.Fatalf("read of %q = %v", key, err)
	}
	return string(p)
}

func stat(t testing.TB, b *Bucket, key string) objstore.Info {
	t.Helper()
	info, err := b.Stat(t.Context(), key)
	if err != nil {
		t.Fatalf("Stat(%q) = %v", key, err)
	}
	return info
}

// keys lists a bucket, or a part of it.
func keys(t testing.TB, b *Bucket, opt objstore.ListOptions) []string {
	t.Helper()
	got, err := listKeys(t, b, opt)
	if err != nil {
		t.Fatalf("List(%+v) = %v", opt, err)
	}
	return got
}

func listKeys(t testing.TB, b *Bucket, opt objstore.ListOptions) ([]string, error) {
	got := []string{}
	for page, err := range b.List(t.Context(), opt) {
		if err != nil {
			return got, err
		}
		for _, o := range page.Objects {
			got = append(got, o.Key)
		}
	}
	return got, nil
}

func wantErr(t testing.TB, err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %q", what, err, want)
	}
}

func equal[T any](t testing.TB, want, got T, what string) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// write makes a file below a directory as another program would.
func write(t testing.TB, b *Bucket, key, data string) {
	t.Helper()
	path := filepath.Join(b.path, key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree returns everything below a bucket's directory, directories with a slash.
func tree(t testing.TB, b *Bucket) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(b.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == b.path {
			return err
		}
		rel := filepath.ToSlash(path[len(b.path)+1:])
		if d.IsDir() {
			rel += "/"
		}
		all = append(all, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	b := quick(t)
	write(t, b, "file", "x")
	for _, path := range []string{"no such", "file", "file/below"} {
		_, err := Open(filepath.Join(b.path, path), Options{})
		wantErr(t, err, objstore.ErrBucketNotFound, "Open of "+path)
	}
	_, err := Open(filepath.Join(b.path, "file/below"), Options{Create: true})
	if err == nil {
		t.Error("Open makes a directory below a file")
	}
}

func TestIdentityIsResolved(t *testing.T) {
	t.Parallel()
	b := quick(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(b.path, link); err != nil {
		t.Skip(err)
	}
	equal(t, b.Identity(), openDir(t, link+"/.", Options{}).Identity(), "identity through a link")
}

// A source must not be written to, not even a reserved directory.
func TestReadingLeavesNoTrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, b, "a/b", "x")
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	keys(t, b, objstore.ListOptions{})
	get(t, b, "a/b")
	_, err = b.ListParts(t.Context(), "a/b", "none")
	wantErr(t, err, objstore.ErrNotFound, "ListParts")
	if err := errors.Join(b.Probe(t.Context()), b.AbortMultipart(t.Context(), "a/b", "none"), b.Delete(t.Context(), "none", objstore.DeleteOptions{}), b.Close()); err != nil {
		t.Error(err)
	}
	after, err := os.Stat(dir)
	if err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the directory was changed at %v, before %v; %v", after.ModTime(), before.ModTime(), err)
	}
	equal(t, []string{"a/", "a/b"}, tree(t, b), "files")
}

func TestCloseTidiesUp(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]Options{"attributes": {NoSync: true}, "sidecars": {NoSync: true, Sidecars: true}} {
		b, err := Open(t.TempDir(), opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"a", "b/c"} {
			put(t, b, key, "x", objstore.PutOptions{Meta: map[string]string{"k": "v"}})
		}
		if err := b.Delete(t.Context(), "b/c", objstore.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if id, err := b.CreateMultipart(t.Context(), "m", objstore.PutOptions{}); err != nil || b.AbortMultipart(t.Context(), "m", id) != nil {
			t.Fatal(err)
		}
		if !opt.Sidecars {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			equal(t, []string{"a"}, tree(t, b), name)
			continue
		}
		if err := b.Delete(t.Context(), "a", objstore.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		equal(t, nil, tree(t, b), name)
	}
}

// A directory that takes the place of the one opened, as an empty mount point
// does, is another bucket: its emptiness says nothing.
func TestReplacedDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dir")
	b := openDir(t, dir, Options{Create: true, NoSync: true})
	put(t, b, "key", "x", objstore.PutOptions{})
	if err := errors.Join(os.Rename(dir, dir+".away"), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, b.Probe(t.Context()), objstore.ErrBucketNotFound, "Probe")
	_, err := listKeys(t, b, objstore.ListOptions{})
	wantErr(t, err, objstore.ErrBucketNotFound, "List")
	_, err = b.Stat(t.Context(), "other")
	wantErr(t, err, objstore.ErrBucketNotFound, "Stat of a missing key")
	wantErr(t, b.Delete(t.Context(), "other", objstore.DeleteOptions{}), objstore.ErrBucketNotFound, "Delete of a missing key")
}

func TestUnrepresentableKeys(t *testing.T) {
	t.Parallel()
	b := quick(t)
	put(t, b, "file", "x", objstore.PutOptions{})
	put(t, b, "dir/child", "x", objstore.PutOptions{})
	before := tree(t, b)
	long := strings.Repeat("x", 256)
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", "//", ".", "..", "./a", "../a", "a/..", "a/../b", "a/.", "nul\x00", long, "a/" + long, strings.Repeat("x/", 2048),
		"file/below", "dir", Reserved, Reserved + "/tmp/x", "dir/" + Reserved + "/x",
	} {
		_, err := b.Put(t.Context(), key, bytes.NewReader(nil), 0, objstore.PutOptions{})
		wantErr(t, err, objstore.ErrKey, "Put of "+key)
		_, err = b.CreateMultipart(t.Context(), key, objstore.PutOptions{})
		wantErr(t, err, objstore.ErrKey, "CreateMultipart of "+key)
		_, err = b.Copy(t.Context(), key, objstore.CopySource{Bucket: b.path, Key: "file"}, objstore.PutOptions{})
		wantErr(t, err, objstore.ErrKey, "Copy to "+key)
		_, err = b.Stat(t.Context(), key)
		wantErr(t, err, objstore.ErrNotFound, "Stat of "+key)
		_, err = b.Open(t.Context(), key, objstore.OpenOptions{})
		wantErr(t, err, objstore.ErrNotFound, "Open of "+key)
		if err := b.Delete(t.Context(), key, objstore.DeleteOptions{}); err != nil && key != "" {
			t.Errorf("Delete(%q) = %v", key, err)
		}
	}
	equal(t, before, tree(t, b), "files after refusals")
}

// A body that is refused must not have been written anywhere visible, and an
// object must not appear in the way of a directory.
func TestEmptyDirectoryIsNotThere(t *testing.T) {
	t.Parallel()
	b := quick(t)
	if err := os.MkdirAll(filepath.Join(b.path, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	equal(t, nil, keys(t, b, objstore.ListOptions{}), "keys")
	put(t, b, "a", "x", objstore.PutOptions{IfAbsent: true})
	equal(t, []string{"a"}, keys(t, b, objstore.ListOptions{}), "keys")
}

// A bucket inside a bucket does not show its temporary files and sidecars.
func TestReservedIsHiddenEverywhere(t *testing.T) {
	t.Parallel()
	b := quick(t)
	for _, key := range []string{"in/x", "in/" + Reserved + "/meta/x", Reserved + "/tmp/x", "in/.lockstep-other", "in/.lockstepx/y"} {
		write(t, b, key, "x")
	}
	equal(t, []string{"in/.lockstep-other", "in/.lockstepx/y", "in/x"}, keys(t, b, objstore.ListOptions{}), "keys")
	equal(t, nil, keys(t, b, objstore.ListOptions{Prefix: Reserved + "/"}), "keys in "+Reserved)
	equal(t, nil, keys(t, b, objstore.ListOptions{Prefix: "in/.lockstep/meta/"}), "keys below "+Reserved)
	wantErr(t, func() error { _, err := b.Stat(t.Context(), "in/"+Reserved+"/meta/x"); return err }(), objstore.ErrNotFound, "Stat")
}

func TestLeftoversAreSwept(t *testing.T) {
	t.Parallel()
	b := quick(t)
	old := time.Now().Add(-8 * 24 * time.Hour)
	yesterday := time.Now().Add(-25 * time.Hour)
	left := map[string]time.Time{
		"tmp/old": yesterday, "tmp/aborted/s1": {}, "tmp/aborted": yesterday, "tmp/new": {},
		"upload/OLD/about": {}, "upload/OLD": old, "upload/NEW/about": old, "upload/NEW": yesterday,
	}
	for _, path := range slices.Sorted(maps.Keys(left)) {
		if strings.Contains(path[len("upload/"):], "/") || !strings.HasPrefix(path, "upload/") && path != "tmp/aborted" {
			write(t, b, Reserved+"/"+path, "x")
		} else if err := os.MkdirAll(filepath.Join(b.path, Reserved, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, when := range left {
		if !when.IsZero() {
			if err := os.Chtimes(filepath.Join(b.path, Reserved, path), when, when); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(t, b, "key", "x", objstore.PutOptions{})
	equal(t, []string{
		".lockstep/", ".lockstep/tmp/", ".lockstep/tmp/new", ".lockstep/upload/",
		".lockstep/upload/NEW/", ".lockstep/upload/NEW/about", "key",
	}, tree(t, b), "files after the first write")
}
