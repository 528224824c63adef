package retry_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
)

func TestDoRepeatsOnlyTransientErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"throttled", &objstore.Error{Kind: objstore.ErrThrottled}, 4},
		{"unavailable", &objstore.Error{Kind: objstore.ErrUnavailable}, 4},
		{"denied", &objstore.Error{Kind: objstore.ErrDenied}, 1},
		{"stranger", errors.New("boom"), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				err := retry.Policy{Attempts: 4}.Do(t.Context(), func() error { tries++; return c.err })
				if tries != c.want || !errors.Is(err, c.err) {
					t.Errorf("%d tries and %v, want %d tries and %v", tries, err, c.want, c.err)
				}
			})
		})
	}
}

func TestWaitIsJitteredBoundedAndPolite(t *testing.T) {
	t.Parallel()
	p := retry.Policy{Base: 100 * time.Millisecond, Max: time.Second}
	for attempt := 1; attempt < 100; attempt++ {
		ceiling := time.Second
		if attempt < 5 {
			ceiling = 100 * time.Millisecond << (attempt - 1)
		}
		if w := p.Wait(attempt, nil); w < 0 || w >= ceiling {
			t.Errorf("attempt %d waits %v, ceiling %v", attempt, w, ceiling)
		}
	}
	asked := &objstore.Error{Kind: objstore.ErrThrottled, RetryAfter: 700 * time.Millisecond}
	if w := p.Wait(1, asked); w != 700*time.Millisecond {
		t.Errorf("waits %v although the store asked for 700ms", w)
	}
	asked.RetryAfter = time.Hour
	if w := p.Wait(1, asked); w > time.Second {
		t.Errorf("waits %v, over the policy's ceiling", w)
	}
}

func TestDoEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := retry.Policy{Attempts: 1000, Base: time.Minute, Max: time.Minute}.Do(ctx, func() error {
			return &objstore.Error{Kind: objstore.ErrUnavailable}
		})
		if !errors.Is(err, objstore.ErrUnavailable) || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// flakyList fails before every page, and once more on the page after.
type flakyList struct {
	objstore.Bucket
	keys  []string
	calls int
}

func (f *flakyList) List(_ context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		f.calls++
		if f.calls%2 == 1 {
			yield(objstore.Page{}, &objstore.Error{Kind: objstore.ErrThrottled})
			return
		}
		for _, k := range f.keys {
			if k > opt.After {
				if !yield(objstore.Page{Objects: []objstore.Object{{Key: k}}}, nil) {
					return
				}
				yield(objstore.Page{}, &objstore.Error{Kind: objstore.ErrUnavailable})
				return
			}
		}
	}
}

func TestListGoesOnBehindTheLastKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := retry.Wrap(&flakyList{keys: []string{"a", "b", "c", "d"}}, retry.Policy{Attempts: 4})
		var got []string
		for page, err := range b.List(t.Context(), objstore.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page.Objects[0].Key)
		}
		if diff := cmp.Diff([]string{"a", "b", "c", "d"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// busyDelete refuses the keys it is told to, each so many times.
type busyDelete struct {
	objstore.Bucket
	busy  map[string]int
	asked [][]string
}

func (b *busyDelete) DeleteMany(_ context.Context, keys []string) ([]error, error) {
	b.asked = append(b.asked, keys)
	perKey := make([]error, len(keys))
	for i, k := range keys {
		if k == "denied" {
			perKey[i] = &objstore.Error{Kind: objstore.ErrDenied, Key: k}
		}
		if b.busy[k] > 0 {
			b.busy[k]--
			perKey[i] = &objstore.Error{Kind: objstore.ErrThrottled, Key: k}
		}
	}
	return perKey, nil
}

func TestDeleteManyRepeatsTheKeysThatMayGoLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &busyDelete{busy: map[string]int{"b": 1, "d": 100}}
		perKey, err := retry.Wrap(store, retry.Policy{Attempts: 3}).DeleteMany(t.Context(), []string{"a", "b", "denied", "d"})
		if err != nil {
			t.Fatal(err)
		}
		if perKey[0] != nil || perKey[1] != nil || !errors.Is(perKey[2], objstore.ErrDenied) || !errors.Is(perKey[3], objstore.ErrThrottled) {
			t.Errorf("answers %v", perKey)
		}
		if diff := cmp.Diff([][]string{{"a", "b", "denied", "d"}, {"b", "d"}, {"d"}}, store.asked); diff != "" {
			t.Error(diff)
		}
	})
}
