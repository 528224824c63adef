package limit_test

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/limit"
)

// store answers after a latency that a test may change, or refuses.
type store struct {
	objstore.Bucket
	latency  atomic.Int64
	refuse   atomic.Bool
	now, max atomic.Int64
	done     atomic.Int64
}

func (s *store) Put(ctx context.Context, _ string, _ io.Reader, _ int64, _ objstore.PutOptions) (objstore.Written, error) {
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for m := s.max.Load(); n > m && !s.max.CompareAndSwap(m, n); m = s.max.Load() {
	}
	time.Sleep(time.Duration(s.latency.Load()))
	if s.refuse.Load() {
		return objstore.Written{}, &objstore.Error{Kind: objstore.ErrThrottled}
	}
	s.done.Add(1)
	return objstore.Written{}, ctx.Err()
}

func (s *store) Open(context.Context, string, objstore.OpenOptions) (*objstore.Content, error) {
	n := s.now.Add(1)
	for m := s.max.Load(); n > m && !s.max.CompareAndSwap(m, n); m = s.max.Load() {
	}
	return &objstore.Content{Body: &content{Reader: bytes.NewReader(make([]byte, 1<<20)), s: s}, Length: 1 << 20}, nil
}

// content is a body of a store.
type content struct {
	io.Reader
	s *store
}

func (c *content) Close() error {
	c.s.now.Add(-1)
	return nil
}

// load keeps 200 writers busy until stop is closed.
func load(t *testing.T, b objstore.Bucket, stop chan struct{}) *sync.WaitGroup {
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, _ = b.Put(t.Context(), "k", nil, 10, objstore.PutOptions{})
			}
		})
	}
	return &wg
}

func TestConcurrencyReachesFullSpeedWithinASecondAndYields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		s.latency.Store(int64(20 * time.Millisecond))
		e := limit.New(limit.Config{})
		stop := make(chan struct{})
		wg := load(t, e.Wrap(s), stop)
		time.Sleep(time.Second)
		if n, _ := e.Concurrency(); n != 128 {
			t.Errorf("after a second at 20 ms: limit %d, want 128", n)
		}
		s.refuse.Store(true)
		time.Sleep(3 * time.Second)
		if n, _ := e.Concurrency(); n != 4 {
			t.Errorf("after three seconds of 503: limit %d, want 4", n)
		}
		s.refuse.Store(false)
		time.Sleep(30 * time.Second)
		if n, _ := e.Concurrency(); n < 64 {
			t.Errorf("thirty seconds after the store recovered: limit %d", n)
		}
		s.latency.Store(int64(200 * time.Millisecond))
		time.Sleep(5 * time.Second)
		if n, _ := e.Concurrency(); n > 100 {
			t.Errorf("five seconds after latency rose tenfold: limit %d", n)
		}
		close(stop)
		wg.Wait()
	})
}

func TestFixedConcurrencyIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		s.latency.Store(int64(time.Millisecond))
		stop := make(chan struct{})
		wg := load(t, limit.New(limit.Config{Fixed: 5}).Wrap(s), stop)
		time.Sleep(time.Second)
		close(stop)
		wg.Wait()
		if s.max.Load() != 5 {
			t.Errorf("%d requests at a time, want 5", s.max.Load())
		}
	})
}

func TestRequestsPerSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		stop := make(chan struct{})
		wg := load(t, limit.New(limit.Config{RequestsPerSec: 100}).Wrap(s), stop)
		time.Sleep(10 * time.Second)
		n := s.done.Load()
		close(stop)
		wg.Wait()
		if n < 950 || n > 1050 {
			t.Errorf("%d requests in ten seconds, want about 1,000", n)
		}
	})
}

func TestBytesPerSecondAndCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := limit.New(limit.Config{Bytes: rate.NewLimiter(100<<10, 16<<10)}).Wrap(&store{})
		c, err := b.Open(t.Context(), "k", objstore.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if n, err := io.Copy(io.Discard, c.Body); n != 1<<20 || err != nil {
			t.Fatal(n, err)
		}
		c.Body.Close()
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("1 MiB at 100 KiB/s took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c, err = b.Open(ctx, "k", objstore.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Body.Close()
		if _, err := io.Copy(io.Discard, c.Body); err == nil {
			t.Error("a cancelled read ended without an error")
		}
	})
}

// A copy holds a read slot while it waits for a write slot. With one slot of each
// and many copies at once, all must end.
func TestReadsAndWritesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := limit.New(limit.Config{Fixed: 1}).Wrap(&store{})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				c, err := b.Open(t.Context(), "k", objstore.OpenOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Body.Close()
				if _, err := b.Put(t.Context(), "k", c.Body, 10, objstore.PutOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
