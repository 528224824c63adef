package file

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Attributes that no file system holds in an extended attribute go to a sidecar.
func TestLargeMetadata(t *testing.T) {
	t.Parallel()
	b := quick(t)
	meta := map[string]string{"small": "x"}
	for i := range 40 {
		meta["name-"+strings.Repeat("n", i)] = strings.Repeat("ü", 1000)
	}
	put(t, b, "dir/large", "x", objstore.PutOptions{Meta: meta})
	equal(t, meta, stat(t, b, "dir/large").Meta, "metadata")
	other := openDir(t, b.path, Options{NoSync: true})
	equal(t, meta, stat(t, other, "dir/large").Meta, "metadata, opened again")
	if err := b.SetTags(t.Context(), "dir/large", map[string]string{"k": "v"}); err != nil {
		t.Fatal(err)
	}
	equal(t, meta, stat(t, b, "dir/large").Meta, "metadata after SetTags")
	put(t, b, "dir/large", "x", objstore.PutOptions{Meta: map[string]string{"k": "v"}})
	equal(t, map[string]string{"k": "v"}, stat(t, b, "dir/large").Meta, "metadata after another Put")
	sidecars := slices.DeleteFunc(tree(t, b), func(p string) bool {
		return !strings.HasPrefix(p, Reserved+"/"+sidecarDir+"/") || strings.HasSuffix(p, "/")
	})
	equal(t, nil, sidecars, "sidecars of what was replaced")
}

// What another program writes to a file takes the checksum and the layout from it, not
// the headers.
func TestRewrittenByOthers(t *testing.T) {
	t.Parallel()
	for _, opt := range []Options{{NoSync: true}, {NoSync: true, Sidecars: true}} {
		b := openDir(t, t.TempDir(), opt)
		put(t, b, "key", "mine", objstore.PutOptions{Header: objstore.Header{ContentType: "text/plain"}})
		if !stat(t, b, "key").CRC64.Set {
			t.Error("no CRC64")
		}
		write(t, b, "key", "yours")
		info := stat(t, b, "key")
		if info.CRC64.Set || info.Size != 5 {
			t.Errorf("after a rewrite: %+v", info)
		}
		// A sidecar belongs to what was there before.
		if want := map[bool]string{false: "text/plain"}[opt.Sidecars]; info.Header.ContentType != want {
			t.Errorf("Content-Type is %q, want %q", info.Header.ContentType, want)
		}
	}
}

func TestETagFollowsContent(t *testing.T) {
	t.Parallel()
	b := quick(t)
	seen := map[string]string{}
	note := func(what string) {
		t.Helper()
		tag := stat(t, b, "key").ETag
		if old, ok := seen[tag]; ok {
			t.Errorf("%s: the ETag is that of %s", what, old)
		}
		seen[tag] = what
	}
	for i := range 50 {
		put(t, b, "key", "same", objstore.PutOptions{})
		note("put " + string(rune('A'+i)))
	}
	then := stat(t, b, "key").ModTime
	write(t, b, "key", "SAME")
	if err := os.Chtimes(filepath.Join(b.path, "key"), then, then); err != nil {
		t.Fatal(err)
	}
	if !hasChangeTime {
		t.Skip("no change times here")
	}
	note("rewritten in place, modification time restored")
}
