package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// caselessDir is a directory of a file system that takes names that differ in case for one.
// TMPDIR says where to look for one.
func caselessDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "A")); err != nil {
		t.Skip("this file system tells upper case from lower case")
	}
	if err := os.Remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A key is never written over an object that only this file system takes for the same, nor
// into its directory, nor deleted in its place.
func TestKeysThatDifferInCase(t *testing.T) {
	t.Parallel()
	dir := caselessDir(t)
	for range 2 { // an empty bucket, and one that is opened again
		b := openDir(t, dir, Options{NoSync: true})
		for _, key := range []string{"README", "Sub/one"} {
			write(t, b, key, key)
		}
		for _, key := range []string{"readme", "ReadMe", "sub/one", "sub/two", "SUB/three/four"} {
			for _, opt := range []objstore.PutOptions{{}, {IfAbsent: true}} {
				_, err := b.Put(t.Context(), key, strings.NewReader("x"), 1, opt)
				wantErr(t, err, objstore.ErrKey, "Put of "+key)
			}
			if err := b.Delete(t.Context(), key, objstore.DeleteOptions{}); err != nil {
				t.Errorf("Delete(%q) = %v", key, err)
			}
		}
		equal(t, []string{"README", "Sub/one"}, keys(t, b, objstore.ListOptions{}), "keys")
		for _, key := range []string{"README", "Sub/one"} {
			write(t, b, key, key+" again")
			equal(t, key+" again", get(t, b, key), "content of "+key)
		}
	}
	b := openDir(t, dir, Options{NoSync: true})
	for _, key := range []string{"README", "Sub/one"} {
		if err := b.Delete(t.Context(), key, objstore.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	write(t, b, "sub/ONE", "free for another spelling")
	write(t, b, "readme", "free for another spelling")
	equal(t, []string{"readme", "sub/ONE"}, keys(t, b, objstore.ListOptions{}), "keys")
}

func TestOtherCase(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"README.md": "readme.MD", "é": "É", "1.2": "1.2", "": ""} {
		equal(t, want, otherCase(name), "other case of "+name)
	}
}
