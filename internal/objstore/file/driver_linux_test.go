package file

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

const hasChangeTime = true

// slowly is d as on a system without openat2.
func slowly(d dir) dir {
	d.fast = false
	return d
}

// asNobody runs do without the rights of root over files. The thread it runs
// on is given up afterwards.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		do()
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread()
		if _, err := unix.SetfsuidRetUid(65534); err != nil {
			t.Error(err)
			return
		}
		do()
	})
	wg.Wait()
}

// mount puts an empty file system in memory at dir, if this process may.
func mount(t *testing.T, dir, options string) {
	t.Helper()
	if err := unix.Mount("none", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestDenied(t *testing.T) {
	t.Parallel()
	b := quick(t)
	for _, key := range []string{"a", "closed/b", "open/c", "unreadable"} {
		write(t, b, key, "x")
	}
	if err := errors.Join(
		os.Chmod(b.path, 0o755), os.Chmod(filepath.Dir(b.path), 0o755),
		os.Chmod(filepath.Join(b.path, "unreadable"), 0), os.Chmod(filepath.Join(b.path, "closed"), 0),
	); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(b.path, "closed"), 0o755) })
	asNobody(t, func() {
		got, err := listKeys(t, b, objstore.ListOptions{})
		wantErr(t, err, objstore.ErrDenied, "List")
		if !strings.Contains(err.Error(), `"closed/"`) {
			t.Errorf("which directory cannot be read? %v", err)
		}
		equal(t, nil, got, "keys of a listing that fails in its first page")
		// What a listing does not need it does not read.
		equal(t, []string{"open/c", "unreadable"}, keys(t, b, objstore.ListOptions{After: "closed0"}), "keys after the closed directory")
		equal(t, []string{"a"}, keys(t, b, objstore.ListOptions{Until: "b"}), "keys before it")
		equal(t, []string{"open/c"}, keys(t, b, objstore.ListOptions{Prefix: "open/"}), "keys beside it")
		for _, key := range []string{"unreadable", "closed/b", "closed/none"} {
			_, err = b.Open(t.Context(), key, objstore.OpenOptions{})
			wantErr(t, err, objstore.ErrDenied, "Open of "+key)
		}
		_, err = b.Put(t.Context(), "new", strings.NewReader("x"), 1, objstore.PutOptions{})
		wantErr(t, err, objstore.ErrDenied, "Put")
		if os.Getuid() == 0 { // otherwise the directory is the caller's own
			wantErr(t, b.Delete(t.Context(), "a", objstore.DeleteOptions{}), objstore.ErrDenied, "Delete")
		}
		wantErr(t, b.Delete(t.Context(), "closed/b", objstore.DeleteOptions{}), objstore.ErrDenied, "Delete in a closed directory")
	})
}

func TestSpecialFiles(t *testing.T) {
	t.Parallel()
	b := quick(t)
	write(t, b, "file", "x")
	if err := unix.Mkfifo(filepath.Join(b.path, "fifo"), 0o644); err != nil {
		t.Skip(err)
	}
	equal(t, []string{"file"}, keys(t, b, objstore.ListOptions{}), "keys")
	_, err := b.Open(t.Context(), "fifo", objstore.OpenOptions{}) // waits forever if it opens
	wantErr(t, err, objstore.ErrNotFound, "Open")
	_, err = b.Put(t.Context(), "fifo", strings.NewReader("x"), 1, objstore.PutOptions{})
	wantErr(t, err, objstore.ErrKey, "Put")
	if err := b.Delete(t.Context(), "fifo", objstore.DeleteOptions{}); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if s, err := b.root.lstat("fifo"); err != nil || s.kind != kindSpecial {
		t.Errorf("the fifo has become %+v, %v", s, err)
	}
}

func TestFullAndReadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, dir, "size=256k")
	b := openDir(t, dir, Options{NoSync: true})
	put(t, b, "old", "the old object", objstore.PutOptions{})
	big := strings.Repeat("x", 1<<20)
	_, err := b.Put(t.Context(), "old", strings.NewReader(big), int64(len(big)), objstore.PutOptions{})
	wantErr(t, err, objstore.ErrFull, "Put of too much")
	id, err := b.CreateMultipart(t.Context(), "old", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.PutPart(t.Context(), "old", id, 1, strings.NewReader(big), int64(len(big)), objstore.PartOptions{})
	wantErr(t, err, objstore.ErrFull, "PutPart of too much")
	if err := b.AbortMultipart(t.Context(), "old", id); err != nil {
		t.Error(err)
	}
	if got := get(t, b, "old"); got != "the old object" {
		t.Errorf("the old object is %q", got)
	}
	put(t, b, "small", "there is room again", objstore.PutOptions{})

	if err := unix.Mount("none", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err = b.Put(t.Context(), "small", strings.NewReader("x"), 1, objstore.PutOptions{})
	wantErr(t, err, objstore.ErrDenied, "Put on a read-only file system")
	if err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("Put on a read-only file system = %v", err)
	}
	wantErr(t, b.Delete(t.Context(), "small", objstore.DeleteOptions{}), objstore.ErrDenied, "Delete on a read-only file system")
	equal(t, []string{"old", "small"}, keys(t, b, objstore.ListOptions{}), "keys")
}

// A file system mounted inside the bucket can be read but not renamed into.
func TestMountInside(t *testing.T) {
	t.Parallel()
	b := quick(t)
	write(t, b, "in/x", "x")
	mount(t, filepath.Join(b.path, "in"), "")
	write(t, b, "in/y", "y")
	equal(t, []string{"in/y"}, keys(t, b, objstore.ListOptions{}), "keys")
	_, err := b.Put(t.Context(), "in/z", strings.NewReader("x"), 1, objstore.PutOptions{})
	wantErr(t, err, objstore.ErrUnsupported, "Put")
	equal(t, []string{"in/y"}, keys(t, b, objstore.ListOptions{}), "keys")
}
