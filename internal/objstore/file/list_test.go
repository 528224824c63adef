package file

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// randomKeys returns keys that fit beside each other in a tree, of few bytes, so
// that names share beginnings and fall on both sides of the slash.
func randomKeys(r *rand.Rand, n int) []string {
	alphabet := []string{"a", "b", "!", "-", ".", "0", "~", "\x01", " "}
	if nonUTF8Keys {
		alphabet = append(alphabet, "\xff", "é", "\x80")
	}
	files, dirs := map[string]bool{}, map[string]bool{}
	for range n {
		var path string
		for depth := range 1 + r.IntN(4) {
			if depth > 0 {
				path += "/"
			}
			name := ""
			for range 1 + r.IntN(3) {
				name += alphabet[r.IntN(len(alphabet))]
			}
			if name == "." || name == ".." {
				name = "dot"
			}
			path += name
		}
		fits := !dirs[path] && !files[path]
		for i, c := range path {
			fits = fits && (c != '/' || !files[path[:i]])
		}
		if !fits {
			continue
		}
		files[path] = true
		for i, c := range path {
			if c == '/' {
				dirs[path[:i]] = true
			}
		}
	}
	keys := make([]string, 0, len(files))
	for path := range files {
		keys = append(keys, path)
	}
	slices.Sort(keys)
	return keys
}

// A listing of any range is what sorting all whole keys gives, whether names are
// sorted in memory or spilled.
func TestListOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			b := quick(t)
			all := randomKeys(r, 250)
			for _, key := range all {
				write(t, b, key, key)
			}
			for range 80 {
				opt := objstore.ListOptions{PageSize: r.IntN(20)}
				opt.After, opt.Until, opt.Prefix = bound(r, all), bound(r, all), ""
				if r.IntN(2) == 0 {
					opt.Prefix = bound(r, all)
				}
				var want []string
				for _, key := range all {
					if key > opt.After && (opt.Until == "" || key <= opt.Until) && strings.HasPrefix(key, opt.Prefix) {
						want = append(want, key)
					}
				}
				b.sort = defaultSortLimits
				equal(t, want, keys(t, b, opt), fmt.Sprintf("List(%+v)", opt))
				b.sort = tinySort
				equal(t, want, keys(t, b, opt), fmt.Sprintf("List(%+v), spilling", opt))
			}
		})
	}
}

// bound is a key, a part of one, a neighbour of one, or nothing.
func bound(r *rand.Rand, all []string) string {
	key := all[r.IntN(len(all))]
	switch r.IntN(5) {
	case 0:
		return ""
	case 1:
		return key[:r.IntN(len(key)+1)]
	case 2:
		return key + string(rune(r.IntN(100)))
	case 3:
		if i := strings.LastIndexByte(key, '/'); i >= 0 {
			return key[:i+r.IntN(2)]
		}
	}
	return key
}

// A flat directory far larger than what may be sorted at a time goes through
// several levels of merging.
func TestListSpills(t *testing.T) {
	t.Parallel()
	b := openDir(t, t.TempDir(), Options{NoSync: true, SpillDir: t.TempDir()})
	b.sort = sortLimits{names: 10, bytes: 1 << 20, fanIn: 3, buffer: 16}
	var want []string
	for i := range 1500 {
		want = append(want, fmt.Sprintf("flat/%x", i*i))
	}
	if err := os.Mkdir(filepath.Join(b.path, "flat"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, key := range want {
		if err := os.WriteFile(filepath.Join(b.path, key), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	equal(t, want, keys(t, b, objstore.ListOptions{}), "keys")
	equal(t, want[1034:1040], keys(t, b, objstore.ListOptions{After: want[1033], Until: want[1039], PageSize: 2}), "keys of a range")
	// Whoever stops early leaves nothing behind either.
	for _, err := range b.List(t.Context(), objstore.ListOptions{PageSize: 1}) {
		check(t, err)
		left, err := os.ReadDir(b.opt.SpillDir)
		if err != nil || len(left) > 0 {
			t.Errorf("spilled names can be seen: %v, %v", left, err)
		}
		break
	}
	b.opt.SpillDir = filepath.Join(b.opt.SpillDir, "missing")
	got, err := listKeys(t, b, objstore.ListOptions{})
	wantErr(t, err, objstore.ErrUnavailable, "a listing that cannot spill")
	equal(t, nil, got, "keys of a listing that cannot spill")
}

// A listing must not hand out a name twice when the directory does.
func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	add := func(n *names) {
		for _, name := range []string{"b", "a", "b", "c", "a", "a"} {
			n.add([]byte(name), kindFile)
		}
	}
	var inMemory, spilled names
	add(&inMemory)
	inMemory.sort()
	r, err := newRuns(t.TempDir(), tinySort)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	spilled.runs = r
	for range 5 {
		add(&spilled)
		if err := r.spill(&spilled); err != nil {
			t.Fatal(err)
		}
	}
	for what, n := range map[string]*names{"in memory": &inMemory, "spilled": &spilled} {
		var got []string
		for {
			name, _, ok, err := n.next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			got = append(got, string(name))
		}
		equal(t, []string{"a", "b", "c"}, got, what)
	}
}

// Two listings of one bucket, and of its root, do not share a position.
func TestListTwiceAtOnce(t *testing.T) {
	t.Parallel()
	b := quick(t)
	for i := range 100 {
		write(t, b, fmt.Sprint(i), "x")
	}
	want := keys(t, b, objstore.ListOptions{})
	n := 0
	for _, err := range b.List(t.Context(), objstore.ListOptions{PageSize: 10}) {
		check(t, err)
		n++
		equal(t, want, keys(t, b, objstore.ListOptions{}), "inner listing")
	}
	equal(t, 10, n, "pages of the outer listing")
}

// What vanishes between the reading of a directory and the look at a file is
// left out, whether file or directory.
func TestListWhileVanishing(t *testing.T) {
	t.Parallel()
	b := quick(t)
	for _, key := range []string{"a", "b", "c/x", "d/x", "e", "f/y"} {
		write(t, b, key, "x")
	}
	var got []string
	for page, err := range b.List(t.Context(), objstore.ListOptions{PageSize: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			for _, name := range []string{"b", "c", "f"} {
				if err := os.RemoveAll(filepath.Join(b.path, name)); err != nil {
					t.Fatal(err)
				}
			}
			write(t, b, "f", "a file now")
			if err := os.Remove(filepath.Join(b.path, "e")); err != nil {
				t.Fatal(err)
			}
			write(t, b, "e/z", "a directory now")
		}
		got = append(got, page.Objects[0].Key)
	}
	equal(t, []string{"a", "d/x"}, got, "keys")
}

// The directory itself vanishing is no end of a listing.
func TestListOfVanishingBucket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dir")
	b := openDir(t, dir, Options{Create: true})
	for i := range 10 {
		write(t, b, fmt.Sprint(i), "x")
	}
	var last error
	for _, err := range b.List(t.Context(), objstore.ListOptions{PageSize: 2}) {
		last = err
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, last, objstore.ErrBucketNotFound, "end of the listing")
}
