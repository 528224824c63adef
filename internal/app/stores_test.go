package app

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Under a low limit of bytes few bodies are open at a time: of many, each would wait for its
// turn until its connection is given up.
func TestRequestsInFlightUnderALimitOfBytes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bytes int64
		fixed int
		want  int
	}{
		{0, 0, 48},
		{0, 100, 100},
		{10 << 20, 0, 48},
		{10 << 20, 100, 100},
		{20 << 10, 0, 12},
		{20 << 10, 100, 12},
		{20 << 10, 2, 2},
		{100, 0, 4},
	} {
		s := wrapStores(&SyncConfig{BytesPerSecond: c.bytes, Concurrency: c.fixed}, mem.New("src"), mem.New("dst"))
		if got, _ := s.dstLimits.Concurrency(); got != c.want {
			t.Errorf("%d bytes a second, concurrency %d: %d requests in flight, want %d", c.bytes, c.fixed, got, c.want)
		}
	}
}

// TestDeniedStoresAndDirectories: a directory has no access keys to be allowed anything.
func TestDeniedStoresAndDirectories(t *testing.T) {
	t.Parallel()
	denied := &objstore.Error{Kind: objstore.ErrDenied, Op: "open bucket", Err: fs.ErrPermission}
	for scheme, want := range map[string]string{"file": "as a user who may", "s3": "s3:ListBucket"} {
		e, ok := errors.AsType[*task.Error](storeError("destination", config.Store{Scheme: scheme, Dir: "/d", Bucket: "b"}, denied))
		if !ok || e.Code != "ACCESS_DENIED" || !strings.Contains(e.Next, want) {
			t.Errorf("%s: %+v", scheme, e)
		}
	}
}
