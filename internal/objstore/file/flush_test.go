package file

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// All who come while a flush runs share the next one.
func TestFlushesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flusher
		var started atomic.Int32
		release, broken := make(chan error), errors.New("broken")
		flush := func() error { started.Add(1); return <-release }
		var wg sync.WaitGroup
		errs := make([]error, 11)
		join := func(i int) { wg.Go(func() { errs[i] = f.sync("dir", flush) }) }
		join(0)
		synctest.Wait()
		for i := 1; i < len(errs); i++ {
			join(i)
		}
		synctest.Wait()
		equal(t, 1, started.Load(), "flushes while the first runs")
		release <- broken
		synctest.Wait()
		equal(t, 2, started.Load(), "flushes after the first")
		release <- nil
		wg.Wait()
		for i, err := range errs {
			if (i == 0) != errors.Is(err, broken) {
				t.Errorf("caller %d got %v", i, err)
			}
		}
		wg.Go(func() { errs[0] = f.sync("dir", flush) })
		synctest.Wait()
		equal(t, 3, started.Load(), "flushes for one who comes later")
		release <- nil
		wg.Wait()
		equal(t, 0, len(f.rounds), "rounds left behind")
	})
}

// Directories that a put makes are flushed too, and one that vanishes is no error.
func TestFlushOfNewDirectories(t *testing.T) {
	t.Parallel()
	b := openDir(t, t.TempDir(), Options{})
	put(t, b, "a/b/c/d", "x", objstore.PutOptions{})
	at, made, err := b.makeDirs("a/b/x/y/z")
	if err != nil {
		t.Fatal(err)
	}
	at.close()
	equal(t, []string{"a/b", "a/b/x", "a/b/x/y"}, made, "directories with a new one")
	equal(t, "a/b", b.prune("a/b/x/y/z", ""), "first directory that stays")
	if err := b.flush("a/b/x/y/z", made); err != nil {
		t.Errorf("flush of what has vanished = %v", err)
	}
}
