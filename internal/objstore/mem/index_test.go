package mem

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIndex compares an index with a map through random sets, removals and pages.
func TestIndex(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var x index
	want := map[string]*object{}
	key := func() string { return fmt.Sprintf("%c/%d", 'a'+rune(r.IntN(3)), r.IntN(3000)) }
	for step := range 20_000 {
		switch k := key(); {
		case step < 500: // ascending at first
			k = fmt.Sprintf("0/%05d", step)
			want[k] = &object{size: int64(step)}
			x.set(k, want[k])
		case r.IntN(5) < 3:
			want[k] = &object{size: int64(step)}
			x.set(k, want[k])
		default:
			delete(want, k)
			x.remove(k)
		}
		if step%1000 == 999 {
			checkIndex(t, r, &x, want, key)
		}
	}
	for k := range want {
		x.remove(k)
	}
	if x.size != 0 || len(x.runs) != 0 {
		t.Errorf("emptied index has %d entries in %d runs", x.size, len(x.runs))
	}
}

func checkIndex(t *testing.T, r *rand.Rand, x *index, want map[string]*object, key func() string) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(want))
	if x.size != len(keys) {
		t.Fatalf("size = %d, want %d", x.size, len(keys))
	}
	for range 200 {
		k := key()
		if x.get(k) != want[k] {
			t.Fatalf("get(%q) = %p, want %p", k, x.get(k), want[k])
		}
		prefix, after, until, size := []string{"", "a/", "b/1", "a/2999"}[r.IntN(4)], "", "", 1+r.IntN(50)
		if r.IntN(2) == 0 {
			after = key()
		}
		if r.IntN(2) == 0 {
			until = key()
		}
		var in []string
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) && k > after && (until == "" || k <= until) {
				in = append(in, k)
			}
		}
		page, more := x.page(make([]entry, 0, size), prefix, after, until)
		var got []string
		for _, e := range page {
			got = append(got, e.key)
			if e.obj != want[e.key] {
				t.Errorf("page has another object under %q", e.key)
			}
		}
		if diff := cmp.Diff(in[:min(size, len(in))], got); diff != "" || more != (len(in) > size) {
			t.Fatalf("page of %d in (%q, %q] of %q, more = %t (-want +got):\n%s", size, after, until, prefix, more, diff)
		}
	}
}
