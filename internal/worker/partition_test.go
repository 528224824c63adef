package worker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

func put(t testing.TB, b objstore.Bucket, key, content string) {
	t.Helper()
	if _, err := b.Put(t.Context(), key, strings.NewReader(content), int64(len(content)), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// One key of each fate, with real buckets.
func TestRunPartitionDecides(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	src := mem.New("src", mem.WithClock(func() time.Time { return now }))
	dst := mem.New("dst", mem.WithClock(func() time.Time { return now.Add(time.Minute) }))
	for key, contents := range map[string][2]string{
		"changed": {"new", "old"}, "extra": {"", "x"}, "grown": {"longer", "x"},
		"new": {"x", ""}, "same": {"x", "x"}, "x.tmp": {"x", ""}, "y.tmp": {"", "x"},
	} {
		if contents[0] != "" {
			put(t, src, key, contents[0])
		}
		if contents[1] != "" {
			put(t, dst, key, contents[1])
		}
	}
	noTmp, err := plan.Exclude("*.tmp")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		mode      plan.Mode
		deletes   bool
		list      bool
		want      []string
		requested int64
		ignored   map[task.Reason]int64
		dst       int64
	}{
		{
			"auto", plan.ModeAuto, false, false,
			[]string{"changed 1 ", "grown 1 ", "new 1 "},
			5,
			map[task.Reason]int64{task.UpToDate: 1, task.Excluded: 1},
			4,
		},
		{
			"deletes", plan.ModeAuto, true, false,
			[]string{"changed 1 ", "extra 3 ", "grown 1 ", "new 1 "},
			6,
			map[task.Reason]int64{task.UpToDate: 1, task.Excluded: 1},
			5,
		},
		{
			"listing all", plan.ModeAuto, true, true,
			[]string{"changed 1 ", "extra 3 ", "grown 1 ", "new 1 ", "same 0 UP_TO_DATE", "x.tmp 0 EXCLUDED_BY_RULE"},
			6,
			map[task.Reason]int64{task.UpToDate: 1, task.Excluded: 1},
			5,
		},
		{
			"oms", plan.ModeOMS, false, false,
			[]string{"changed 0 UP_TO_DATE_BUT_DIFFERENT", "grown 1 ", "new 1 "},
			5,
			map[task.Reason]int64{task.UpToDate: 1, task.UpToDateButDifferent: 1, task.Excluded: 1},
			4,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var all []plan.Item
			var sum Batch
			ignored := map[task.Reason]int64{}
			cfg := &ScanConfig{
				Src: src, Dst: dst, ListIgnored: c.list, ListUnchanged: c.list,
				Plan: plan.Options{Mode: c.mode, Deletes: c.deletes, Filter: plan.NewFilter(noTmp), SrcETagMD5: true, DstETagMD5: true},
				Emit: func(_ context.Context, b Batch) error {
					all = append(all, b.Items...)
					for r, n := range b.Ignored {
						ignored[r] += n
					}
					b.Requested += sum.Requested
					b.Unchanged += sum.Unchanged
					b.SrcObjects += sum.SrcObjects
					b.DstObjects += sum.DstObjects
					sum = b
					return nil
				},
			}
			if err := RunPartition(t.Context(), cfg, Partition{Number: 7}, nil); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, it := range all {
				got = append(got, fmt.Sprintf("%s %d %s", it.Key, it.Verb, it.Reason))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.ignored, ignored); diff != "" {
				t.Errorf("ignored (-want +got):\n%s", diff)
			}
			sum.Items, sum.Ignored = nil, nil
			last := "y.tmp"
			if !c.deletes {
				last = "x.tmp"
			}
			want := Batch{Partition: 7, After: last, Done: true, Requested: c.requested, Unchanged: 1, SrcObjects: 5, DstObjects: c.dst}
			if diff := cmp.Diff(want, sum); diff != "" {
				t.Errorf("batch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunPartitionRange(t *testing.T) {
	t.Parallel()
	src, dst := &keyBucket{keys: []string{"a", "b", "c", "d", "e"}}, &keyBucket{keys: []string{"a", "c", "f"}}
	for _, c := range []struct {
		part   Partition
		prefix string
		want   []string
		after  string
	}{
		{Partition{}, "", []string{"a", "b", "c", "d", "e", "f"}, "f"},
		{Partition{After: "a", Until: "d"}, "", []string{"b", "c", "d"}, "d"},
		{Partition{After: "b", Until: "dd"}, "", []string{"c", "d"}, "dd"},
		{Partition{After: "x"}, "", nil, "x"},
		{Partition{}, "c", []string{"c"}, "c"},
	} {
		r := newRecord(t)
		cfg := &ScanConfig{Src: src, Dst: dst, Prefix: c.prefix, Emit: r.emit, Plan: plan.Options{Mode: plan.ModeAlways, Deletes: true}}
		if err := RunPartition(t.Context(), cfg, c.part, nil); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, it := range r.items {
			got = append(got, it.Key)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || r.afters[0] != c.after || !r.ended[0] {
			t.Errorf("%+v prefix %q ended at %q, want %q (-want +got):\n%s", c.part, c.prefix, r.afters[0], c.after, diff)
		}
	}
}

// A batch goes out at each page of the source, so that work starts early.
func TestRunPartitionEmitsByPage(t *testing.T) {
	t.Parallel()
	src, dst := &keyBucket{keys: keyShapes(100)["numbers"], page: 10}, &keyBucket{keys: keyShapes(5000)["numbers"], page: 700}
	r := newRecord(t)
	cfg := &ScanConfig{Src: src, Dst: dst, Emit: r.emit, Plan: plan.Options{Deletes: true}}
	if err := RunPartition(t.Context(), cfg, Partition{}, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if got := r.batches[i]; got.SrcObjects != 10 || got.After != src.keys[10*i+9] {
			t.Errorf("batch %d holds %d source objects and ends at %q, want a page", i, got.SrcObjects, got.After)
		}
	}
	for _, b := range r.batches {
		if b.DstObjects > batchKeys {
			t.Errorf("a batch of %d destination objects", b.DstObjects)
		}
	}
	if srcN, dstN := r.objects(); srcN != 100 || dstN != 5000 {
		t.Errorf("listed %d and %d objects", srcN, dstN)
	}
}

// Without deletes nobody reads the destination past the source's end.
func TestRunPartitionStopsWithSource(t *testing.T) {
	t.Parallel()
	src, dst := &keyBucket{keys: []string{"obj-000000005"}}, &keyBucket{keys: keyShapes(5000)["numbers"], page: 100}
	r := newRecord(t)
	if err := RunPartition(t.Context(), &ScanConfig{Src: src, Dst: dst, Emit: r.emit}, Partition{}, nil); err != nil {
		t.Fatal(err)
	}
	if n, _ := dst.count(); n > 3 {
		t.Errorf("%d pages of the destination read", n)
	}
	if !r.ended[0] || r.requested != 1 {
		t.Errorf("ended %v with %d requested", r.ended[0], r.requested)
	}
}

// An error of either listing ends the partition: no Done, nothing concluded for
// keys that the broken listing did not reach, and the error says which side.
func TestRunPartitionListingFails(t *testing.T) {
	t.Parallel()
	keys := keyShapes(100)["numbers"]
	torn := &objstore.Error{Kind: objstore.ErrUnavailable, Op: "list"}
	for _, side := range []transfer.Side{transfer.Source, transfer.Destination} {
		for _, after := range []int{1, 3} {
			for _, err := range []error{torn, context.Canceled} {
				src, dst := &keyBucket{keys: keys, page: 10}, &keyBucket{keys: keys, page: 10}
				broken := src
				if side == transfer.Destination {
					broken = dst
				}
				broken.failAfter, broken.err = after, err
				r := newRecord(t)
				cfg := &ScanConfig{Src: src, Dst: dst, Emit: r.emit, Plan: plan.Options{Mode: plan.ModeAlways, Deletes: true}}
				got := RunPartition(t.Context(), cfg, Partition{}, nil)
				var at *transfer.SideError
				if !errors.Is(got, err) || !errors.As(got, &at) || at.Side != side {
					t.Errorf("%s fails after %d pages: error %v", side, after, got)
				}
				if r.ended[0] || r.afters[0] != keys[after*10-1] {
					t.Errorf("%s fails after %d pages: done %v, after %q", side, after, r.ended[0], r.afters[0])
				}
				for _, it := range r.items {
					if it.Verb != plan.Copy {
						t.Errorf("%s fails after %d pages: %q gets verb %d", side, after, it.Key, it.Verb)
					}
				}
			}
		}
	}
}

// A driver may end its listing without a word when ctx ends.
type politeBucket struct{ keyBucket }

func (b *politeBucket) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		for page, err := range b.keyBucket.List(ctx, opt) {
			if ctx.Err() != nil || !yield(page, err) {
				return
			}
		}
	}
}

func TestRunPartitionCancelled(t *testing.T) {
	t.Parallel()
	stop := errors.New("operator says stop")
	for range 50 {
		src := &politeBucket{keyBucket{keys: keyShapes(100)["numbers"], page: 10}}
		ctx, cancel := context.WithCancelCause(t.Context())
		r := newRecord(t)
		cfg := &ScanConfig{Src: src, Dst: src, Emit: func(ctx context.Context, b Batch) error {
			if b.After >= src.keys[49] {
				cancel(stop)
			}
			return r.emit(ctx, b)
		}}
		if err := RunPartition(ctx, cfg, Partition{}, nil); !errors.Is(err, stop) {
			t.Fatalf("error %v, want the cause", err)
		}
		if r.ended[0] {
			t.Fatal("a partition that was cut short says Done")
		}
	}
}

func TestRunPartitionEmitFails(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	b := &keyBucket{keys: keyShapes(100)["numbers"], page: 10}
	calls := 0
	cfg := &ScanConfig{Src: b, Dst: b, Emit: func(context.Context, Batch) error { calls++; return full }}
	if err := RunPartition(t.Context(), cfg, Partition{}, nil); !errors.Is(err, full) || calls != 1 {
		t.Errorf("error %v after %d calls", err, calls)
	}
}

// While Emit blocks, one page is read ahead on each side and no more.
func TestRunPartitionBackPressure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := keyShapes(100)["numbers"]
		src, dst := &keyBucket{keys: keys, page: 10}, &keyBucket{keys: keys, page: 10}
		release := make(chan struct{})
		cfg := &ScanConfig{Src: src, Dst: dst, Emit: func(context.Context, Batch) error { <-release; return nil }}
		ended := make(chan error, 1)
		go func() { ended <- RunPartition(t.Context(), cfg, Partition{}, nil) }()
		for page := 1; page <= 10; page++ {
			synctest.Wait()
			s, _ := src.count()
			d, _ := dst.count()
			if want := min(page+1, 10); s != want || d != want {
				t.Errorf("with the batch of page %d waiting, %d and %d pages are read, want %d", page, s, d, want)
			}
			release <- struct{}{}
		}
		close(release) // the batch that says Done
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// scribbler lists pages whose strings it overwrites when the listing has ended.
type scribbler struct {
	keyBucket
	memory [][]byte
}

func (b *scribbler) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		for page, err := range b.keyBucket.List(ctx, opt) {
			for i := range page.Objects {
				o := &page.Objects[i]
				for _, s := range []*string{&o.Key, &o.ETag, &o.Class} {
					buf := []byte(*s + "-")
					b.memory = append(b.memory, buf)
					*s = unsafe.String(&buf[0], len(buf)-1)
				}
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// Items outlive their pages, so they must not share memory with them.
func TestItemsShareNoMemoryWithPages(t *testing.T) {
	t.Parallel()
	src := &scribbler{keyBucket: keyBucket{keys: []string{"a", "b", "c"}, etag: "src-etag"}}
	dst := &scribbler{keyBucket: keyBucket{keys: []string{"b", "c", "d"}, etag: "dst-etag"}}
	r := newRecord(t)
	cfg := &ScanConfig{Src: src, Dst: dst, Emit: r.emit, Plan: plan.Options{Mode: plan.ModeAlways, Deletes: true}}
	if err := RunPartition(t.Context(), cfg, Partition{}, nil); err != nil {
		t.Fatal(err)
	}
	for _, buf := range slices.Concat(src.memory, dst.memory) {
		clear(buf)
	}
	var got []string
	for _, it := range r.items {
		got = append(got, fmt.Sprint(it.Key, it.Src.Key, it.Src.ETag, it.Dst.Key, it.Dst.ETag, it.SrcAbsent, it.DstAbsent))
	}
	want := []string{
		"aasrc-etagfalse true", "bbsrc-etagbdst-etagfalse false",
		"ccsrc-etagcdst-etagfalse false", "dddst-etagtrue false",
	}
	if diff := cmp.Diff(want, got); diff != "" || r.batches[0].After != "c" {
		t.Errorf("after %q (-want +got):\n%s", r.batches[0].After, diff)
	}
}
