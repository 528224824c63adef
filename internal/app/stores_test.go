package app

import (
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
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
