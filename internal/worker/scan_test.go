package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// forceSplits makes every partition of s split at random, at a key of either
// side or between two.
func forceSplits(s *Scan, seed uint64, keys []string) {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 0))
	s.splitter = func() (Splitter, func()) {
		return func(_ context.Context, pos Position) string {
			mu.Lock()
			defer mu.Unlock()
			if len(keys) == 0 || r.IntN(2) == 0 {
				return ""
			}
			key := keys[r.IntN(len(keys))]
			if r.IntN(3) == 0 {
				key += "\x00"
			}
			if key <= pos.After || pos.Until != "" && key >= pos.Until || !s.reserve() {
				return ""
			}
			return key
		}, func() {}
	}
}

// However partitions are split, and with several emitting at a time, every key
// comes exactly once and as a comparison without partitions decides it.
func TestScanEmitsEveryKeyOnce(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	splits := 0
	for round := range 400 {
		src := &keyBucket{keys: randomKeys(r, 200), page: 1 + r.IntN(12), etag: "e"}
		dst := &keyBucket{keys: randomKeys(r, 200), page: 1 + r.IntN(12), etag: "e"}
		opt := plan.Options{Mode: plan.ModeAlways, Deletes: r.IntN(2) == 0}
		rec := newRecord(t)
		s := NewScan(ScanConfig{Src: src, Dst: dst, Plan: opt, Emit: rec.emit, MaxPartitions: 1 + r.IntN(20)})
		forceSplits(s, seed+uint64(round), slices.Concat(src.keys, dst.keys))
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		splits += rec.splits
		if diff := cmp.Diff(wantDecisions(src, dst, &opt), rec.decisions()); diff != "" {
			t.Fatalf("round %d (-want +got):\n%s", round, diff)
		}
		checkEnd(t, s, rec, len(src.keys), len(dst.keys), opt.Deletes)
	}
	if splits < 400 {
		t.Errorf("only %d splits in all: the test has lost its teeth", splits)
	}
}

// checkEnd compares a finished scan's figures with what was emitted.
func checkEnd(t *testing.T, s *Scan, rec *record, srcKeys, dstKeys int, deletes bool) {
	t.Helper()
	p := s.Progress()
	src, dst := rec.objects()
	last := ""
	for n, after := range rec.afters {
		last = max(last, after)
		if !rec.ended[n] {
			t.Errorf("partition %d did not end", n)
		}
	}
	if want := (ScanProgress{Done: true, LastKey: last, SrcObjects: src, DstObjects: dst}); p != want {
		t.Errorf("progress %+v, want %+v", p, want)
	}
	if src != int64(srcKeys) || deletes && dst != int64(dstKeys) || dst > int64(dstKeys) {
		t.Errorf("listed %d and %d objects of %d and %d", src, dst, srcKeys, dstKeys)
	}
	if s.slots != 0 || len(rec.afters) != rec.splits+1 {
		t.Errorf("%d slots left, %d partitions after %d splits", s.slots, len(rec.afters), rec.splits)
	}
}

func TestScanRespectsMaxPartitions(t *testing.T) {
	t.Parallel()
	keys := keyShapes(3000)["uuids"]
	b := &keyBucket{keys: keys, page: 10}
	var s *Scan
	most := 0
	var mu sync.Mutex
	rec := newRecord(t)
	s = NewScan(ScanConfig{Src: b, Dst: b, MaxPartitions: 3, Emit: func(ctx context.Context, batch Batch) error {
		mu.Lock()
		most = max(most, s.Progress().Partitions)
		mu.Unlock()
		return rec.emit(ctx, batch)
	}})
	forceSplits(s, 9, keys)
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if most < 2 || most > 3 || rec.splits < 3 {
		t.Errorf("%d partitions at a time after %d splits, want 3 at most, and some", most, rec.splits)
	}
}

// One partition's error ends the scan, and it is not done.
func TestScanFails(t *testing.T) {
	t.Parallel()
	keys := keyShapes(1000)["numbers"]
	src := &keyBucket{keys: keys, page: 10}
	dst := &keyBucket{keys: keys, page: 10, failAfter: 20, err: objstore.ErrThrottled}
	rec := newRecord(t)
	s := NewScan(ScanConfig{Src: src, Dst: dst, Plan: plan.Options{Deletes: true}, Emit: rec.emit})
	err := s.Run(t.Context())
	var side *transfer.SideError
	if !errors.Is(err, objstore.ErrThrottled) || !errors.As(err, &side) || side.Side != transfer.Destination {
		t.Errorf("error %v", err)
	}
	if p := s.Progress(); p.Done || p.Partitions != 0 {
		t.Errorf("progress %+v after a failure", p)
	}
	if s.slots != 0 {
		t.Errorf("%d slots left", s.slots)
	}
}

func TestScanCancelled(t *testing.T) {
	t.Parallel()
	stop := errors.New("operator says stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	b := &keyBucket{keys: keyShapes(1000)["numbers"], page: 10}
	s := NewScan(ScanConfig{Src: b, Dst: b, Emit: func(_ context.Context, b Batch) error {
		if b.After > "obj-000000500" {
			cancel(stop)
		}
		return nil
	}})
	if err := s.Run(ctx); !errors.Is(err, stop) || s.Progress().Done {
		t.Errorf("error %v, progress %+v", err, s.Progress())
	}
}

// Ages count from the start of the scan unless a time is set.
func TestScanSetsNow(t *testing.T) {
	t.Parallel()
	src, dst := mem.New("src"), mem.New("dst")
	put(t, src, "young", "x")
	young, err := plan.Exclude("age<1h")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now  time.Time
		want int
	}{{time.Time{}, 0}, {time.Now().Add(2 * time.Hour), 1}} {
		rec := newRecord(t)
		s := NewScan(ScanConfig{Src: src, Dst: dst, Plan: plan.Options{Filter: plan.NewFilter(young), Now: c.now}, Emit: rec.emit})
		if err := s.Run(t.Context()); err != nil || len(rec.items) != c.want {
			t.Errorf("now %v: %d items, %v, want %d", c.now, len(rec.items), err, c.want)
		}
	}
}

// The scan holds a few pages, however many there are. (Not parallel: it reads
// the heap.)
func TestScanMemoryIsConstant(t *testing.T) {
	if testing.Short() {
		t.Skip("lists two million objects")
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var early, most int64
	batches := 0
	s := NewScan(ScanConfig{Src: &madeBucket{pages: 1000}, Dst: &madeBucket{pages: 1000}, Emit: func(context.Context, Batch) error {
		if batches++; batches == 20 {
			early = heap()
		}
		if batches%200 == 0 {
			most = max(most, heap())
		}
		return nil
	}})
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := s.Progress(); p.SrcObjects != 1_000_000 {
		t.Fatalf("%d objects listed", p.SrcObjects)
	}
	if most-early > 1<<20 {
		t.Errorf("the heap grew from %d to %d bytes over a million keys", early, most)
	}
}

// BenchmarkScan compares 100,000 objects with as many: the figures are per key.
func BenchmarkScan(b *testing.B) {
	const n = 100_000
	src, dst := mem.New("src"), mem.New("dst")
	for i := range n {
		key := "photos/2024/img_" + strconv.Itoa(1_000_000+i) + ".jpg"
		put(b, src, key, "x")
		put(b, dst, key, "x")
	}
	for _, c := range []struct {
		name string
		dst  objstore.Bucket
	}{{"unchanged", dst}, {"first-copy", mem.New("empty")}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := NewScan(ScanConfig{
					Src: src, Dst: c.dst, Plan: plan.Options{SrcETagMD5: true, DstETagMD5: true},
					Emit: func(context.Context, Batch) error { return nil },
				})
				if err := s.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
		})
	}
}
