package transfer_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// spoken is a bucket that says of an object what a test makes it say.
type spoken struct {
	*mem.Bucket
	edit func(*objstore.Info)
	w    func(*objstore.Written)
}

func (s *spoken) Stat(ctx context.Context, key string) (objstore.Info, error) {
	info, err := s.Bucket.Stat(ctx, key)
	if err == nil && s.edit != nil {
		s.edit(&info)
	}
	return info, err
}

func (s *spoken) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	w, err := s.Bucket.Put(ctx, key, body, size, opt)
	if err == nil && s.w != nil {
		s.w(&w)
	}
	return w, err
}

func at(clock time.Time) mem.Option { return mem.WithClock(func() time.Time { return clock }) }

var copied = time.Date(2025, 5, 1, 12, 0, 0, 500e6, time.UTC)

// The times of both sides, as stores show them, against what the check says.
func TestSizeAndTimeAfterTheCopy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		src, dst time.Time
		skew     time.Duration
		fails    bool
	}{
		"later":                        {copied, copied.Add(time.Second), 0, false},
		"equal":                        {copied, copied, 0, false},
		"earlier":                      {copied, copied.Add(-time.Second), 0, true},
		"earlier in the same second":   {copied, copied.Add(-300 * time.Millisecond), 0, true},
		"whole seconds there":          {copied, copied.Truncate(time.Second), 0, false},
		"whole seconds, and earlier":   {copied, copied.Truncate(time.Second).Add(-time.Second), 0, true},
		"earlier within what may be":   {copied, copied.Add(-2 * time.Second), 2 * time.Second, false},
		"earlier beyond what may be":   {copied, copied.Add(-3 * time.Second), 2 * time.Second, true},
		"the source does not say":      {time.Time{}, copied, time.Hour, false},
		"the destination does not say": {copied, time.Time{}, 0, false},
	} {
		src, dst := mem.New("src", at(c.src)), mem.New("dst", at(c.dst))
		put(t, src, "k", content(1000, 1), objstore.PutOptions{})
		res := transfer.New(transfer.Config{Src: src, Dst: dst, Verify: task.VerifySizeTime, VerifySkew: c.skew}).Do(t.Context(), item(t, src, dst))
		if failed := errors.Is(res.Err, transfer.ErrInconsistent); failed != c.fails || (res.Outcome == task.Failed) != c.fails {
			t.Errorf("%s: %+v", name, res)
		}
		if got := get(t, dst, "k"); len(got) != 1000 {
			t.Errorf("%s: the destination holds %d bytes: what failed the check stays", name, len(got))
		}
	}
}

// Each check against what it costs and finds.
func TestChecksAndTheirRequests(t *testing.T) {
	t.Parallel()
	wrongSum := func(i *objstore.Info) { i.CRC64.Sum++ }
	wrongSize := func(i *objstore.Info) { i.Size++ }
	noSum := func(i *objstore.Info) { i.CRC64 = objstore.Checksum{} }
	quiet := func(w *objstore.Written) { w.CRC64 = objstore.Checksum{} }
	for name, c := range map[string]struct {
		verify task.Verify
		edit   func(*objstore.Info)
		w      func(*objstore.Written)
		stats  int // of the destination
		fails  bool
	}{
		"none":                          {"", wrongSize, nil, 0, false},
		"transmission":                  {task.VerifyTransmission, wrongSize, nil, 0, false},
		"size":                          {task.VerifySizeTime, nil, nil, 1, false},
		"size, another":                 {task.VerifySizeTime, wrongSize, nil, 1, true},
		"crc64 known from the write":    {task.VerifyCRC64, wrongSum, nil, 0, false},
		"crc64 asked for":               {task.VerifyCRC64, nil, quiet, 1, false},
		"crc64 asked for, another":      {task.VerifyCRC64, wrongSum, quiet, 1, true},
		"crc64 unknown, size":           {task.VerifyCRC64, noSum, quiet, 1, false},
		"crc64 unknown, size different": {task.VerifyCRC64, func(i *objstore.Info) { noSum(i); wrongSize(i) }, quiet, 1, true},
	} {
		src := mem.New("src")
		calls := faulty.New(&spoken{mem.New("dst"), c.edit, c.w}, nil)
		put(t, src, "k", content(1000, 1), objstore.PutOptions{})
		it := item(t, src, calls)
		before := calls.Calls()[faulty.Stat]
		res := transfer.New(transfer.Config{Src: src, Dst: calls, Verify: c.verify}).Do(t.Context(), it)
		if errors.Is(res.Err, transfer.ErrInconsistent) != c.fails || (res.Outcome == task.Failed) != c.fails {
			t.Errorf("%s: %+v", name, res)
		}
		if n := calls.Calls()[faulty.Stat] - before; n != c.stats {
			t.Errorf("%s: the destination was asked %d times, want %d", name, n, c.stats)
		}
	}
}

// In parts and inside a service the sums of both stores are asked for where the copy does
// not tell them.
func TestCRC64OfEveryWay(t *testing.T) {
	t.Parallel()
	service := mem.NewService()
	large := content(33<<20, 1)
	for name, b := range map[string]struct{ src, dst *mem.Bucket }{
		"parts":  {mem.New("src"), mem.New("dst")},
		"inside": {service.Bucket("src"), service.Bucket("dst")},
	} {
		for _, differs := range []bool{false, true} {
			put(t, b.src, "k", large, objstore.PutOptions{})
			var edit func(*objstore.Info)
			if differs {
				edit = func(i *objstore.Info) { i.CRC64.Sum++ }
			}
			src := &spoken{Bucket: b.src, edit: edit}
			it := item(t, b.src, b.dst)
			res := transfer.New(transfer.Config{Src: src, Dst: b.dst, Verify: task.VerifyCRC64}).Do(t.Context(), it)
			if errors.Is(res.Err, transfer.ErrInconsistent) != differs || (res.Outcome == task.Synced) == differs {
				t.Errorf("%s, the source's sum another %v: %+v", name, differs, res)
			}
		}
	}
}

// A copy whose check failed is made again by the next attempt, although both contents
// are proven equal, and then passes when its cause has gone.
func TestFailedCheckIsMendedByTheNextAttempt(t *testing.T) {
	t.Parallel()
	clock := copied.Add(-time.Minute)
	src, dst := mem.New("src", at(copied)), mem.New("dst", mem.WithClock(func() time.Time { return clock }))
	put(t, src, "k", content(1000, 1), objstore.PutOptions{})
	c := transfer.New(transfer.Config{Src: src, Dst: dst, Verify: task.VerifySizeTime})
	found := item(t, src, dst) // as a scan found it: absent there
	if res := c.Do(t.Context(), found); !errors.Is(res.Err, transfer.ErrInconsistent) {
		t.Fatalf("%+v", res)
	}
	if res := c.Do(t.Context(), found); !errors.Is(res.Err, transfer.ErrInconsistent) {
		t.Fatalf("the clock is still behind: %+v", res)
	}
	clock = copied.Add(time.Minute)
	wantSynced(t, c.Do(t.Context(), found), 1000)
	if o, _ := object(t.Context(), dst); !o.ModTime.Equal(clock) {
		t.Errorf("not written again: %v", o.ModTime)
	}
}

// What vanishes before it is looked at has failed.
func TestCheckFindsNothing(t *testing.T) {
	t.Parallel()
	src, dst := mem.New("src"), mem.New("dst")
	put(t, src, "k", content(10, 1), objstore.PutOptions{})
	it := plan.Item{Key: "k", Decision: plan.Decision{Verb: plan.Copy}, DstAbsent: true}
	it.Src, _ = object(t.Context(), src)
	gone := faulty.New(dst, func(c faulty.Call) faulty.Fault {
		if c.Op == faulty.Stat {
			return faulty.Fault{Kind: faulty.NotDone, Err: objstore.ErrNotFound}
		}
		return faulty.Fault{}
	})
	if res := transfer.New(transfer.Config{Src: src, Dst: gone, Verify: task.VerifySizeTime}).Do(t.Context(), it); !errors.Is(res.Err, transfer.ErrInconsistent) {
		t.Errorf("%+v", res)
	}
}
