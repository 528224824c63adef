package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Puts make directories while deletes remove them: every put succeeds, every
// delete deletes, and in the end no directory is left.
func TestDirectoriesComeAndGo(t *testing.T) {
	t.Parallel()
	b := quick(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := fmt.Sprintf("a/b%d/c/%d", i%2, i)
			for n := range 200 {
				data := strconv.Itoa(n)
				if _, err := b.Put(t.Context(), key, strings.NewReader(data), int64(len(data)), objstore.PutOptions{IfAbsent: n%2 == 0}); err != nil {
					t.Errorf("Put(%q) = %v", key, err)
					return
				}
				var err error
				if n%3 == 0 {
					_, err = b.DeleteMany(t.Context(), []string{key})
				} else {
					err = b.Delete(t.Context(), key, objstore.DeleteOptions{})
				}
				if err != nil {
					t.Errorf("Delete(%q) = %v", key, err)
					return
				}
			}
		})
	}
	wg.Wait()
	equal(t, []string{".lockstep/", ".lockstep/tmp/"}, tree(t, b), "what is left")
}

// A failed put leaves neither a temporary file nor a directory.
func TestFailedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	b := quick(t)
	put(t, b, "old", "old", objstore.PutOptions{})
	check(t, os.Mkdir(filepath.Join(b.path, "empty"), 0o755))
	before := tree(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	for name, c := range map[string]struct {
		body io.Reader
		size int64
		opt  objstore.PutOptions
		want error
	}{
		"new/broken":    {iotest.ErrReader(broken), 10, objstore.PutOptions{}, broken},
		"new/at-end":    {io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(broken)), 2, objstore.PutOptions{}, broken},
		"new/short":     {strings.NewReader("ab"), 3, objstore.PutOptions{}, objstore.ErrInvalid},
		"new/long":      {strings.NewReader("ab"), 1, objstore.PutOptions{}, objstore.ErrInvalid},
		"new/negative":  {strings.NewReader("ab"), -1, objstore.PutOptions{}, objstore.ErrInvalid},
		"new/sum":       {strings.NewReader("ab"), 2, objstore.PutOptions{CRC64: objstore.Checksum{Sum: 1, Set: true}}, objstore.ErrChecksum},
		"new/match":     {strings.NewReader("ab"), 2, objstore.PutOptions{IfMatch: "x"}, objstore.ErrPrecondition},
		"empty/x/match": {strings.NewReader("ab"), 2, objstore.PutOptions{IfMatch: "x"}, objstore.ErrPrecondition},
		"old":           {strings.NewReader("ab"), 2, objstore.PutOptions{IfAbsent: true}, objstore.ErrPrecondition},
		"old/below":     {strings.NewReader("ab"), 2, objstore.PutOptions{}, objstore.ErrKey},
		"new/cancelled": {readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }), 1 << 20, objstore.PutOptions{}, context.Canceled},
	} {
		_, err := b.Put(ctx, name, c.body, c.size, c.opt)
		if !errors.Is(err, c.want) && !errors.Is(err, context.Canceled) {
			t.Errorf("Put(%q) = %v, want %v", name, err, c.want)
		}
	}
	equal(t, before, tree(t, b), "files")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Within a process IfMatch is compare-and-swap, also between two buckets on one
// directory.
func TestIfMatchIsAtomic(t *testing.T) {
	t.Parallel()
	b := quick(t)
	other := openDir(t, b.path, Options{NoSync: true})
	put(t, b, "dir/counter", "0", objstore.PutOptions{})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			mine := []*Bucket{b, other}[i%2]
			for done := 0; done < 20; {
				c, err := mine.Open(t.Context(), "dir/counter", objstore.OpenOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				p, err := io.ReadAll(c.Body)
				_ = c.Body.Close()
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(p))
				next := []byte(strconv.Itoa(n + 1))
				_, err = mine.Put(t.Context(), "dir/counter", bytes.NewReader(next), int64(len(next)), objstore.PutOptions{IfMatch: c.ETag})
				if err == nil {
					done++
				} else if !errors.Is(err, objstore.ErrPrecondition) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	equal(t, "120", get(t, b, "dir/counter"), "counter")
}

// An IfAbsent put must lose against whoever made the name meanwhile, even an
// outsider.
func TestIfAbsentAgainstOutsider(t *testing.T) {
	t.Parallel()
	b := quick(t)
	left := strings.NewReader("mine")
	body := readerFunc(func(p []byte) (int, error) {
		write(t, b, "key", "theirs")
		return left.Read(p)
	})
	_, err := b.Put(t.Context(), "key", body, 4, objstore.PutOptions{IfAbsent: true})
	wantErr(t, err, objstore.ErrPrecondition, "Put if absent")
	equal(t, "theirs", get(t, b, "key"), "content")
}

func TestRenameNew(t *testing.T) {
	t.Parallel()
	b := quick(t)
	write(t, b, "a", "a")
	write(t, b, "b", "b")
	if err := b.root.renameNew("a", b.root, "b"); err == nil {
		t.Error("renameNew replaces a file")
	}
	if err := b.root.renameNew("a", b.root, "c"); err != nil {
		t.Errorf("renameNew = %v", err)
	}
	equal(t, []string{"b", "c"}, tree(t, b), "files")
}
