package file

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

func TestBodyIsAReader(t *testing.T) {
	t.Parallel()
	b := quick(t)
	data := strings.Repeat("0123456789", 5000)
	put(t, b, "key", data, objstore.PutOptions{})
	for _, opt := range []objstore.OpenOptions{{}, {Offset: 17, Length: 4321}, {Offset: 49_999}, {Part: 1}} {
		c, err := b.Open(t.Context(), "key", opt)
		if err != nil {
			t.Fatal(err)
		}
		want := data[opt.Offset:][:c.Length]
		if err := iotest.TestReader(c.Body, []byte(want)); err != nil {
			t.Errorf("Open(%+v): %v", opt, err)
		}
		if err := c.Body.Close(); err != nil {
			t.Error(err)
		}
		if _, err := c.Body.Read(make([]byte, 1)); err == nil {
			t.Error("a closed body can be read")
		}
	}
}

// A file changed while it is read is never delivered whole; one that was
// replaced or deleted is read on as it was.
func TestChangedWhileRead(t *testing.T) {
	t.Parallel()
	const old = "the first half|the second half"
	for name, c := range map[string]struct {
		change func(t *testing.T, b *Bucket, path string)
		whole  bool
	}{
		"rewritten":  {change: func(t *testing.T, b *Bucket, _ string) { write(t, b, "key", strings.ToUpper(old)) }},
		"longer":     {change: func(t *testing.T, b *Bucket, _ string) { write(t, b, "key", old+old) }},
		"truncated":  {change: func(t *testing.T, _ *Bucket, path string) { check(t, os.Truncate(path, 20)) }},
		"touched up": {change: rewriteKeepingTime},
		"replaced": {whole: true, change: func(t *testing.T, b *Bucket, _ string) {
			put(t, b, "key", "another object altogether", objstore.PutOptions{})
		}},
		"deleted": {whole: true, change: func(t *testing.T, b *Bucket, _ string) {
			check(t, b.Delete(t.Context(), "key", objstore.DeleteOptions{}))
		}},
		"untouched": {whole: true, change: func(*testing.T, *Bucket, string) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !hasChangeTime && !c.whole {
				t.Skip("no change times here")
			}
			b := quick(t)
			put(t, b, "key", old, objstore.PutOptions{})
			content, err := b.Open(t.Context(), "key", objstore.OpenOptions{IfMatch: stat(t, b, "key").ETag})
			check(t, err)
			defer content.Body.Close()
			buf := make([]byte, len(old))
			if _, err := io.ReadFull(content.Body, buf[:10]); err != nil {
				t.Fatal(err)
			}
			c.change(t, b, filepath.Join(b.path, "key"))
			// A reader that counts never asks for the EOF; it must notice too.
			n, err := io.ReadFull(content.Body, buf[10:])
			if c.whole {
				if err != nil || string(buf) != old {
					t.Errorf("read on: %q, %v", buf[:10+n], err)
				}
				return
			}
			wantErr(t, err, objstore.ErrPrecondition, "the read after the change")
		})
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rewriteKeepingTime changes bytes and sets the modification time back.
func rewriteKeepingTime(t *testing.T, _ *Bucket, path string) {
	info, err := os.Stat(path)
	check(t, err)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteAt([]byte("X"), 20)
	check(t, errors.Join(err, f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime())))
}

func TestDamagedAttributes(t *testing.T) {
	t.Parallel()
	b := openDir(t, t.TempDir(), Options{NoSync: true, Sidecars: true})
	put(t, b, "key", "x", objstore.PutOptions{Tags: map[string]string{"k": "v"}})
	err := filepath.WalkDir(filepath.Join(b.path, Reserved, sidecarDir), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.WriteFile(path, []byte{99}, 0o644)
	})
	check(t, err)
	_, err = b.Stat(t.Context(), "key")
	wantErr(t, err, objstore.ErrInvalid, "Stat")
	equal(t, []string{"key"}, keys(t, b, objstore.ListOptions{}), "keys")
}
