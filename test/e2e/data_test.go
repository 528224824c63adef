package e2e

import (
	"bytes"
	bin "encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/file"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
)

// content returns size bytes that depend on seed in every 4 KiB.
func content(size int, seed uint64) []byte {
	p := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(p[:min(size, 4096)])
	for off := 4096; off < size; off *= 2 {
		copy(p[off:], p[:off])
	}
	for off := 0; off+16 <= size; off += 4096 {
		bin.LittleEndian.PutUint64(p[off:], seed)
		bin.LittleEndian.PutUint64(p[off+8:], uint64(off))
	}
	return p
}

// dirBucket opens a directory as a bucket.
func dirBucket(t *testing.T, dir string) (objstore.Bucket, side) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := file.Open(dir, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b, dirSide(dir)
}

// s3Bucket makes a bucket on a running server.
func s3Bucket(t *testing.T, srv s3server.Server, provider, name string) (objstore.Bucket, side) {
	t.Helper()
	s3server.MakeBucket(t, srv, name)
	b, err := s3.Open(s3.Config{Endpoint: srv.Endpoint, Region: srv.Region, Bucket: name, Provider: provider, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	return b, side{url: "s3://" + name, endpoint: srv.Endpoint, provider: provider, accessKey: srv.AccessKey, secretKey: srv.SecretKey}
}

func put(t *testing.T, b objstore.Bucket, key string, p []byte) {
	t.Helper()
	if _, err := b.Put(t.Context(), key, bytes.NewReader(p), int64(len(p)), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// fillDir writes n plain files of size bytes below dir, 1,000 to a folder.
func fillDir(t *testing.T, dir string, n, size int) {
	t.Helper()
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("d%03d", i/1000), fmt.Sprintf("o%06d", i))
		if i%1000 == 0 {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, content(size, uint64(i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// list returns the objects of a bucket by key.
func list(t *testing.T, b objstore.Bucket) map[string]objstore.Object {
	t.Helper()
	all := map[string]objstore.Object{}
	for page, err := range b.List(t.Context(), objstore.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			all[o.Key] = o
		}
	}
	return all
}

// wantNoneCorrupt fails when an object at dst is not, byte for byte, the one at
// src. Objects that are missing at dst are fine; their number is returned.
func wantNoneCorrupt(t *testing.T, src, dst objstore.Bucket) (missing int) {
	t.Helper()
	there := list(t, dst)
	here := list(t, src)
	var g errgroup.Group
	g.SetLimit(8)
	for key := range there {
		if _, ok := here[key]; !ok {
			t.Errorf("%q is at the destination alone", key)
			continue
		}
		g.Go(func() error { return sameBytes(t, src, dst, key) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return len(here) - len(there)
}

func sameBytes(t *testing.T, src, dst objstore.Bucket, key string) error {
	a, err := src.Open(t.Context(), key, objstore.OpenOptions{})
	if err != nil {
		return err
	}
	defer a.Body.Close()
	b, err := dst.Open(t.Context(), key, objstore.OpenOptions{})
	if err != nil {
		return err
	}
	defer b.Body.Close()
	p, q := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a.Body, p)
		m, errB := io.ReadFull(b.Body, q)
		if !bytes.Equal(p[:n], q[:m]) || !errors.Is(errA, errB) {
			return fmt.Errorf("%q differs, or ends at another place", key)
		}
		if errA != nil {
			return nil
		}
	}
}

// read returns what a bucket holds under key; nil when it holds nothing.
func read(t *testing.T, b objstore.Bucket, key string) []byte {
	t.Helper()
	c, err := b.Open(t.Context(), key, objstore.OpenOptions{})
	if err != nil {
		return nil
	}
	defer c.Body.Close()
	p, err := io.ReadAll(c.Body)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantEqual fails unless both buckets hold the same objects.
func wantEqual(t *testing.T, src, dst objstore.Bucket) {
	t.Helper()
	if missing := wantNoneCorrupt(t, src, dst); missing != 0 {
		t.Fatalf("%d objects are missing at the destination", missing)
	}
}

func empty(t *testing.T, b objstore.Bucket) {
	t.Helper()
	for key := range list(t, b) {
		if err := b.Delete(t.Context(), key, objstore.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// age makes every file below dir an hour old. A file as young as its copy counts
// as newer where one side's clock has whole seconds, and is copied again.
func age(t *testing.T, dir string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Chtimes(path, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
}
