package faulty_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
)

var always = func(f faulty.Fault) faulty.Script { return func(faulty.Call) faulty.Fault { return f } }

// holding returns a bucket in memory with one object.
func holding(t *testing.T, key, data string) *mem.Bucket {
	t.Helper()
	b := mem.New("bucket")
	if _, err := b.Put(t.Context(), key, strings.NewReader(data), int64(len(data)), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func content(t *testing.T, b objstore.Bucket, key string) string {
	t.Helper()
	c, err := b.Open(t.Context(), key, objstore.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Body.Close()
	p, err := io.ReadAll(c.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// Without faults the wrapper is the bucket.
func TestContract(t *testing.T) {
	t.Parallel()
	objstoretest.TestBucket(t, func(t *testing.T) objstore.Bucket {
		b := faulty.New(mem.New("bucket"), nil)
		t.Cleanup(func() {
			if n := b.OpenBodies(); n != 0 {
				t.Errorf("%d bodies are still open", n)
			}
			if n := b.Fired(); n != 0 {
				t.Errorf("%d faults happened", n)
			}
		})
		return b
	})
}

func TestKindsOfFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault faulty.Fault
		want  error  // of Put
		holds string // afterwards
		left  int    // bytes of the body not read
	}{
		{faulty.Fault{}, nil, "new object", 0},
		{faulty.Fault{Kind: faulty.NotDone}, objstore.ErrUnavailable, "old", 5},
		{faulty.Fault{Kind: faulty.NotDone, Err: objstore.ErrDenied}, objstore.ErrDenied, "old", 5},
		{faulty.Fault{Kind: faulty.Torn}, objstore.ErrUnavailable, "old", 5},
		{faulty.Fault{Kind: faulty.ReplyLost}, objstore.ErrUnavailable, "new object", 0},
		{faulty.Fault{Kind: faulty.Throttle, Wait: time.Second}, objstore.ErrThrottled, "old", 5},
		{faulty.Fault{Kind: faulty.Corrupt, Bytes: 13}, nil, "new0object", 0},
	} {
		inner := holding(t, "key", "old")
		b := faulty.New(inner, always(test.fault))
		body := strings.NewReader("new object")
		w, err := b.Put(t.Context(), "key", body, 10, objstore.PutOptions{})
		if !errors.Is(err, test.want) || objstore.RetryAfter(err) != test.fault.Wait {
			t.Errorf("%+v: Put = %v, want %v after %v", test.fault, err, test.want, test.fault.Wait)
		}
		if err != nil && w.ETag != "" {
			t.Errorf("%+v: an answer beside the error: %+v", test.fault, w)
		}
		if got := content(t, inner, "key"); got != test.holds || body.Len() != test.left {
			t.Errorf("%+v: holds %q with %d bytes unread, want %q with %d", test.fault, got, body.Len(), test.holds, test.left)
		}
		if fired := b.Fired(); (fired == 1) != (test.fault.Kind != faulty.None) {
			t.Errorf("%+v: %d faults happened", test.fault, fired)
		}
	}
}

// A spoiled upload is spoiled on the way: the checksum catches it, and the
// caller's memory stays as it is.
func TestCorruptUploadMeetsChecksum(t *testing.T) {
	t.Parallel()
	inner := holding(t, "key", "old")
	b := faulty.New(inner, always(faulty.Fault{Kind: faulty.Corrupt, Bytes: 2}))
	data := []byte("new object")
	sum := objstore.Checksum{Sum: objstore.UpdateCRC64(0, data), Set: true}
	_, err := b.Put(t.Context(), "key", bytes.NewReader(data), int64(len(data)), objstore.PutOptions{CRC64: sum})
	if !errors.Is(err, objstore.ErrChecksum) || content(t, inner, "key") != "old" || string(data) != "new object" {
		t.Errorf("Put = %v, object %q, data %q", err, content(t, inner, "key"), data)
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault faulty.Fault
		want  string // what can be read
		err   error
	}{
		{faulty.Fault{Kind: faulty.Torn, Bytes: 4}, "0123", objstore.ErrUnavailable},
		{faulty.Fault{Kind: faulty.Torn, Bytes: 14}, "0123", objstore.ErrUnavailable},
		{faulty.Fault{Kind: faulty.Torn}, "", objstore.ErrUnavailable},
		{faulty.Fault{Kind: faulty.Torn, Bytes: -3, Err: objstore.ErrThrottled}, "012", objstore.ErrThrottled},
		{faulty.Fault{Kind: faulty.Corrupt, Bytes: 9}, "012345678)", nil},
	} {
		b := faulty.New(holding(t, "key", "0123456789"), always(test.fault))
		c, err := b.Open(t.Context(), "key", objstore.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(struct{ io.Reader }{c.Body})
		if string(got) != test.want || !errors.Is(err, test.err) {
			t.Errorf("%+v: read %q, %v, want %q, %v", test.fault, got, err, test.want, test.err)
		}
		if b.Fired() != 1 || b.OpenBodies() != 1 {
			t.Errorf("%+v: %d faults, %d open bodies, want 1 and 1", test.fault, b.Fired(), b.OpenBodies())
		}
		c.Body.Close()
		c.Body.Close()
		if b.OpenBodies() != 0 {
			t.Errorf("%+v: %d open bodies after Close", test.fault, b.OpenBodies())
		}
	}
}

// A listing breaks at the page that the script names, and the pages before it stay.
func TestListBreaksBetweenPages(t *testing.T) {
	t.Parallel()
	inner := mem.New("bucket")
	for i := range 10 {
		if _, err := inner.Put(t.Context(), fmt.Sprint("k", i), strings.NewReader(""), 0, objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	b := faulty.New(inner, faulty.Break(faulty.Call{Op: faulty.List, Key: "k5", Nth: 1}, faulty.Fault{Kind: faulty.NotDone}))
	walk := func(after string) (n int, err error) {
		for page, err := range b.List(t.Context(), objstore.ListOptions{PageSize: 3, After: after}) {
			if err != nil {
				return n, err
			}
			n += len(page.Objects)
		}
		return n, nil
	}
	if n, err := walk(""); n != 6 || !errors.Is(err, objstore.ErrUnavailable) {
		t.Errorf("listing breaks after %d objects with %v, want 6 and ErrUnavailable", n, err)
	}
	if n, err := walk("k5"); n != 4 || err != nil {
		t.Errorf("going on lists %d objects, %v, want 4", n, err)
	}
	want := []faulty.Call{{Op: faulty.List, Nth: 1}, {Op: faulty.List, Key: "k2", Nth: 1}, {Op: faulty.List, Key: "k5", Nth: 1}, {Op: faulty.List, Key: "k5", Nth: 2}, {Op: faulty.List, Key: "k8", Nth: 1}}
	if diff := cmp.Diff(want, b.Log()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestDeleteManyTorn(t *testing.T) {
	t.Parallel()
	inner := holding(t, "a", "")
	if _, err := inner.Put(t.Context(), "b", strings.NewReader(""), 0, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	b := faulty.New(inner, always(faulty.Fault{Kind: faulty.Torn}))
	perKey, err := b.DeleteMany(t.Context(), []string{"a", "b"})
	if err != nil || len(perKey) != 2 || perKey[0] != nil || !errors.Is(perKey[1], objstore.ErrUnavailable) || inner.Len() != 1 {
		t.Errorf("DeleteMany = %v, %v, %d objects left, want the first gone", perKey, err, inner.Len())
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	var slept time.Duration
	script := faulty.First(
		faulty.Break(faulty.Call{Op: faulty.Stat, Key: "key", Nth: 2}, faulty.Fault{Kind: faulty.NotDone}),
		always(faulty.Fault{Kind: faulty.Latency, Wait: time.Hour}),
	)
	b := faulty.New(holding(t, "key", "x"), script, faulty.WithSleep(func(_ context.Context, d time.Duration) error {
		slept += d
		return nil
	}))
	for nth, want := range []error{nil, objstore.ErrUnavailable, nil} {
		if _, err := b.Stat(t.Context(), "key"); !errors.Is(err, want) {
			t.Errorf("Stat %d = %v, want %v", nth+1, err, want)
		}
	}
	if slept != 2*time.Hour {
		t.Errorf("slept %v, want 2h", slept)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	impatient := faulty.New(holding(t, "key", "x"), always(faulty.Fault{Kind: faulty.Latency, Wait: time.Hour}))
	if _, err := impatient.Stat(ctx, "key"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled wait = %v", err)
	}
}

// copyRun is a small program to break: it copies what it lists, and tries every
// step three times.
func copyRun(ctx context.Context, src, dst objstore.Bucket) error {
	var keys []string
	list := func() error {
		keys = nil
		for page, err := range src.List(ctx, objstore.ListOptions{}) {
			if err != nil {
				return err
			}
			for _, o := range page.Objects {
				keys = append(keys, o.Key)
			}
		}
		return nil
	}
	if err := thrice(list); err != nil {
		return err
	}
	for _, key := range keys {
		if err := thrice(func() error {
			c, err := src.Open(ctx, key, objstore.OpenOptions{})
			if err != nil {
				return err
			}
			defer c.Body.Close()
			_, err = dst.Put(ctx, key, c.Body, c.Length, objstore.PutOptions{})
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func thrice(do func() error) (err error) {
	for range 3 {
		if err = do(); err == nil {
			return nil
		}
	}
	return err
}

// TestMatrix walks through a matrix as the tests of transfer do: every fault
// fires once, and the end is the same each time.
func TestMatrix(t *testing.T) {
	t.Parallel()
	src := mem.New("src")
	big := strings.Repeat("0123456789", 500)
	for _, key := range []string{"a", "b"} {
		if _, err := src.Put(t.Context(), key, strings.NewReader(big), int64(len(big)), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	from, to := faulty.New(src, nil), faulty.New(mem.New("dst"), nil)
	if err := copyRun(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[faulty.Op]int{faulty.List: 1, faulty.Open: 2}, from.Calls()); diff != "" {
		t.Errorf("calls at the source (-want +got):\n%s", diff)
	}
	reads, writes := faulty.Matrix(from.Log()), faulty.Matrix(to.Log())
	if len(reads) != 3 || len(writes) != 4 {
		t.Fatalf("matrix of %d and %d runs, want 3 and 4", len(reads), len(writes))
	}
	for i, c := range slices.Concat(reads, writes) {
		dst := mem.New("dst")
		from, to := faulty.New(src, nil), faulty.New(dst, nil)
		broken := &from
		if i >= len(reads) {
			broken = &to
		}
		*broken = faulty.New((*broken).Bucket, c.Script)
		if err := copyRun(t.Context(), from, to); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if (*broken).Fired() != 1 {
			t.Errorf("%s: %d faults happened, want 1", c.Name, (*broken).Fired())
		}
		if content(t, dst, "a") != big || content(t, dst, "b") != big || dst.Len() != 2 {
			t.Errorf("%s: destination differs", c.Name)
		}
	}
}

// TestSeeded: the same seed breaks the same calls, whatever the order, and about
// as many as it should.
func TestSeeded(t *testing.T) {
	t.Parallel()
	const n = 2000
	rates := []faulty.Rate{
		{Fault: faulty.Fault{Kind: faulty.NotDone}, Ops: []faulty.Op{faulty.Stat}, PerMille: 200},
		{Fault: faulty.Fault{Kind: faulty.Throttle}, Ops: []faulty.Op{faulty.Tags}, PerMille: 1000},
	}
	broken := func(seed uint64) []string {
		b := faulty.New(mem.New("bucket"), faulty.Seeded(seed, rates...))
		var mu sync.Mutex
		var keys []string
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := w; i < n; i += 4 {
					key := fmt.Sprint("key", i)
					_, err := b.Stat(t.Context(), key)
					if errors.Is(err, objstore.ErrUnavailable) {
						mu.Lock()
						keys = append(keys, key)
						mu.Unlock()
						if _, err := b.Stat(t.Context(), key); !errors.Is(err, objstore.ErrNotFound) {
							t.Errorf("a retry of %q = %v", key, err)
						}
					}
				}
			})
		}
		wg.Wait()
		slices.Sort(keys)
		return keys
	}
	one := broken(1)
	if diff := cmp.Diff(one, broken(1)); diff != "" {
		t.Errorf("two runs of one seed differ:\n%s", diff)
	}
	if cmp.Equal(one, broken(2)) {
		t.Error("two seeds break the same calls")
	}
	if len(one) < n/10 || len(one) > n*3/10 {
		t.Errorf("%d of %d calls break, want about a fifth", len(one), n)
	}
}
