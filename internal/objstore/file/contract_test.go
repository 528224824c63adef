package file

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest"
)

// tinySort makes listings spill and merge in several steps.
var tinySort = sortLimits{names: 8, bytes: 1 << 20, fanIn: 3, buffer: 32}

func TestContract(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]Options{
		"Attributes": {NoSync: true},
		"Sidecars":   {NoSync: true, Sidecars: true},
		"Durable":    {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && !opt.NoSync {
				t.Skip("waits for the disk")
			}
			opener := func(t *testing.T) objstore.Bucket { return openDir(t, t.TempDir(), opt) }
			objstoretest.TestBucket(t, opener, objstoretest.Missing(removed))
		})
	}
	t.Run("Fallbacks", func(t *testing.T) {
		t.Parallel()
		objstoretest.TestBucket(t, func(t *testing.T) objstore.Bucket {
			b := openDir(t, t.TempDir(), Options{NoSync: true})
			b.sort, b.root = sortLimits{names: 300, bytes: 1 << 20, fanIn: 2, buffer: 64}, slowly(b.root)
			return b
		})
	})
}

// removed is a bucket whose directory was removed after it was opened.
func removed(t *testing.T) objstore.Bucket {
	dir := filepath.Join(t.TempDir(), "gone")
	if b, err := Open(dir, Options{}); !errors.Is(err, objstore.ErrBucketNotFound) {
		t.Fatalf("Open of no directory = %v, %v", b, err)
	}
	b := openDir(t, dir, Options{Create: true})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	return b
}
