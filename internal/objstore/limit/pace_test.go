package limit_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/limit"
)

const mib = 1 << 20

// readAll reads n objects of 1 MiB at the same time and returns how long it took.
func readAll(t *testing.T, b objstore.Bucket, n int) time.Duration {
	t.Helper()
	begun := time.Now()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			c, err := b.Open(t.Context(), "k", objstore.OpenOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := io.Copy(io.Discard, c.Body); err != nil || got != mib {
				t.Errorf("%d bytes, %v", got, err)
			}
			if err := c.Body.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

// fixed is a plan of one rate.
func fixed(rate int64) limit.Plan {
	return func(now time.Time) (int64, time.Time) { return rate, now.Add(time.Minute) }
}

func about(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want*95/100 || got > want*105/100+time.Millisecond {
		t.Errorf("%s took %s, want about %s", what, got, want)
	}
}

func TestPaceHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := limit.NewPace()
		b := p.Wrap(&store{})
		about(t, "without a plan", readAll(t, b, 8), 0)
		p.Set(fixed(mib / 4))
		about(t, "one reader", readAll(t, b, 1), 4*time.Second)
		about(t, "eight readers share it", readAll(t, b, 8), 32*time.Second)
		p.Set(fixed(0))
		about(t, "a plan of no limit", readAll(t, b, 8), 0)
	})
}

// At a boundary of the plan bodies that are being read go on by what holds then.
func TestPaceFollowsThePlan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := limit.NewPace()
		b := p.Wrap(&store{})
		begun := time.Now()
		p.Set(func(now time.Time) (int64, time.Time) {
			switch at := now.Sub(begun); {
			case at < 10*time.Second:
				return mib / 100, begun.Add(10 * time.Second)
			case at < 12*time.Second:
				return mib / 4, begun.Add(12 * time.Second)
			}
			return 0, now.Add(time.Hour)
		})
		// 0.1 MiB in 10 s, half of one in 2 s, then the rest at once.
		about(t, "three stretches", readAll(t, b, 1), 12*time.Second)
		about(t, "afterwards", readAll(t, b, 4), 0)
		p.Set(fixed(0))
		time.Sleep(time.Hour)
		p.Set(fixed(mib))
		about(t, "what was not used is not saved up", readAll(t, b, 2), 2*time.Second)
	})
}

// A change is felt by who waits, and the end of a context too.
func TestPaceChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := limit.NewPace()
		b := p.Wrap(&store{})
		p.Set(fixed(10)) // a MiB takes a day
		time.AfterFunc(5*time.Second, func() { p.Set(fixed(mib / 2)) })
		time.AfterFunc(6*time.Second, func() { p.Set(nil) })
		about(t, "64 readers", readAll(t, b, 64), 6*time.Second)

		p.Set(fixed(10))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		c, err := b.Open(ctx, "k", objstore.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := io.Copy(io.Discard, c.Body); err == nil {
			t.Error("read to the end")
		}
		about(t, "the context's end", time.Since(begun), 3*time.Second)
	})
}

// A task that is held back holds few places at the store.
func TestPaceOpensFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := limit.NewPace()
		p.Set(fixed(mib))
		s := &store{}
		b := p.Wrap(s)
		about(t, "64 objects", readAll(t, b, 64), 64*time.Second)
		if n := s.max.Load(); n != 4 {
			t.Errorf("%d bodies were open at once, want 4", n)
		}
	})
}
