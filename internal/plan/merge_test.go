package plan_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// pagesOf cuts keys into pages; the sizes repeat, and zero makes an empty page.
func pagesOf(keys []string, sizes ...int) plan.Pages {
	turn := 0
	return func() ([]objstore.Object, bool, error) {
		if len(keys) == 0 {
			return nil, false, nil
		}
		n := min(sizes[turn%len(sizes)], len(keys))
		turn++
		page := make([]objstore.Object, n)
		for i := range page {
			page[i].Key = keys[i]
		}
		keys = keys[n:]
		return page, true, nil
	}
}

// walk returns what a merge yields: "key", and < or > for keys of one side.
func walk(m *plan.Merge) []string {
	got := []string{}
	for {
		src, dst, ok := m.Next()
		switch {
		case !ok:
			return got
		case src == nil:
			got = append(got, dst.Key+">")
		case dst == nil:
			got = append(got, src.Key+"<")
		default:
			got = append(got, src.Key)
		}
	}
}

// wantMerge makes the same with a map.
func wantMerge(src, dst []string) []string {
	sides := map[string]int{}
	for _, k := range src {
		sides[k]++
	}
	for _, k := range dst {
		sides[k] += 2
	}
	keys := make([]string, 0, len(sides))
	for k := range sides {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		keys[i] = k + []string{"", "<", ">", ""}[sides[k]]
	}
	return keys
}

// randomKeys returns a sorted set over few bytes, so that keys meet, begin each
// other, and are often not UTF-8.
func randomKeys(r *rand.Rand, n int) []string {
	const alphabet = "ab/\x00\x7f\x80\xc3\xa4\xff"
	keys := make([]string, r.IntN(n+1))
	for i := range keys {
		b := make([]byte, 1+r.IntN(5))
		for j := range b {
			b[j] = alphabet[r.IntN(len(alphabet))]
		}
		keys[i] = string(b)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func TestMergeEqualsSets(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 3000 {
		src, dst := randomKeys(r, 60), randomKeys(r, 60)
		m := plan.NewMerge(pagesOf(src, 1+r.IntN(9), r.IntN(5)), pagesOf(dst, 1+r.IntN(9), r.IntN(5)), plan.MergeOptions{})
		if diff := cmp.Diff(wantMerge(src, dst), walk(m)); diff != "" || m.Err() != nil {
			t.Fatalf("round %d: %v (-want +got):\n%s", i, m.Err(), diff)
		}
	}
}

func FuzzMerge(f *testing.F) {
	f.Add("a,b,c", "b,c,d", uint8(2), uint8(3))
	f.Add("a,a/,a/b,a.txt", "a.txt,a/b,\xff,\x80", uint8(1), uint8(1))
	f.Add("", "a", uint8(0), uint8(9))
	f.Fuzz(func(t *testing.T, a, b string, sizeA, sizeB uint8) {
		split := func(s string) []string {
			keys := slices.DeleteFunc(strings.Split(s, ","), func(k string) bool { return k == "" })
			slices.Sort(keys)
			return slices.Compact(keys)
		}
		src, dst := split(a), split(b)
		m := plan.NewMerge(pagesOf(src, int(sizeA), 1), pagesOf(dst, 1, int(sizeB)), plan.MergeOptions{})
		if diff := cmp.Diff(wantMerge(src, dst), walk(m)); diff != "" || m.Err() != nil {
			t.Fatalf("%v (-want +got):\n%s", m.Err(), diff)
		}
	})
}

func TestMergeUnsorted(t *testing.T) {
	t.Parallel()
	good := []string{"b", "c", "d", "e"}
	for _, bad := range [][]string{{"b", "d", "c"}, {"b", "b"}, {"c", "d", "e", "b"}, {"a"}, {"after"}} {
		for _, size := range []int{1, 2, 9} {
			for _, atSource := range []bool{true, false} {
				src, dst := pagesOf(bad, size), pagesOf(good, size)
				if !atSource {
					src, dst = dst, src
				}
				m := plan.NewMerge(src, dst, plan.MergeOptions{After: "after"})
				walk(m)
				var listing *plan.ListingError
				var e *task.Error
				if !errors.Is(m.Err(), objstore.ErrUnsorted) || !errors.As(m.Err(), &e) || e.Code != "LISTING_UNSORTED" ||
					!errors.As(m.Err(), &listing) || listing.AtSource != atSource {
					t.Errorf("%q in pages of %d, at source %v: %v", bad, size, atSource, m.Err())
				}
			}
		}
	}
}

// An error is not an end: keys of the other side are not taken for differences.
func TestMergeListingError(t *testing.T) {
	t.Parallel()
	broken := errors.New("reset")
	fails := func(keys ...string) plan.Pages {
		good := pagesOf(keys, 2)
		return func() ([]objstore.Object, bool, error) {
			if page, ok, _ := good(); ok {
				return page, true, nil
			}
			return nil, false, broken
		}
	}
	all := []string{"a", "b", "c", "d", "e"}
	for _, atSource := range []bool{true, false} {
		src, dst := fails("a", "b"), pagesOf(all, 5)
		if !atSource {
			src, dst = dst, src
		}
		m := plan.NewMerge(src, dst, plan.MergeOptions{})
		if diff := cmp.Diff([]string{"a", "b"}, walk(m)); diff != "" {
			t.Errorf("at source %v (-want +got):\n%s", atSource, diff)
		}
		var listing *plan.ListingError
		if !errors.Is(m.Err(), broken) || !errors.As(m.Err(), &listing) || listing.AtSource != atSource {
			t.Errorf("at source %v: error %v", atSource, m.Err())
		}
		if _, _, ok := m.Next(); ok {
			t.Error("a merge goes on after an error")
		}
	}
}

func TestMergeUntil(t *testing.T) {
	t.Parallel()
	src, dst := []string{"a", "c", "e", "g"}, []string{"b", "c", "f", "g"}
	for until, want := range map[string][]string{
		"":   {"a<", "b>", "c", "e<", "f>", "g"},
		"g":  {"a<", "b>", "c", "e<", "f>", "g"},
		"f":  {"a<", "b>", "c", "e<", "f>"},
		"d":  {"a<", "b>", "c"},
		"\t": {},
	} {
		for _, size := range []int{1, 3, 9} {
			m := plan.NewMerge(pagesOf(src, size), pagesOf(dst, size), plan.MergeOptions{Until: until})
			if diff := cmp.Diff(want, walk(m)); diff != "" || m.Err() != nil {
				t.Errorf("until %q, pages of %d: %v (-want +got):\n%s", until, size, m.Err(), diff)
			}
		}
	}
}

// Limit cuts a merge under way, whatever of the listings is read already.
func TestMergeLimit(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 2000 {
		src, dst := randomKeys(r, 40), randomKeys(r, 40)
		want := wantMerge(src, dst)
		if len(want) == 0 {
			continue
		}
		steps := r.IntN(len(want))
		m := plan.NewMerge(pagesOf(src, 1+r.IntN(9)), pagesOf(dst, 1+r.IntN(9)), plan.MergeOptions{})
		for range steps {
			m.Next()
		}
		last := ""
		if steps > 0 {
			last = strings.TrimRight(want[steps-1], "<>")
		}
		until := strings.TrimRight(want[steps+r.IntN(len(want)-steps)], "<>")
		if r.IntN(2) == 0 {
			until += "\x00"
		}
		m.Limit(until)
		want = slices.DeleteFunc(want, func(k string) bool {
			k = strings.TrimRight(k, "<>")
			return k <= last || k > until
		})
		if diff := cmp.Diff(want, walk(m)); diff != "" || m.Err() != nil {
			t.Fatalf("round %d, until %q: %v (-want +got):\n%s", i, until, m.Err(), diff)
		}
	}
}

func TestMergeStopsWithSource(t *testing.T) {
	t.Parallel()
	read := 0
	dst := pagesOf([]string{"a", "b", "x", "y", "z"}, 2)
	counted := func() ([]objstore.Object, bool, error) { read++; return dst() }
	m := plan.NewMerge(pagesOf([]string{"a", "c"}, 1), counted, plan.MergeOptions{StopWithSource: true})
	if diff := cmp.Diff([]string{"a", "b>", "c<"}, walk(m)); diff != "" || m.Err() != nil {
		t.Errorf("%v (-want +got):\n%s", m.Err(), diff)
	}
	if read != 2 {
		t.Errorf("read %d pages of the destination, want 2: the tail is nobody's business", read)
	}
}

func TestMergeSourcePageDone(t *testing.T) {
	t.Parallel()
	m := plan.NewMerge(pagesOf([]string{"a", "b", "c"}, 2), pagesOf([]string{"a", "z"}, 9), plan.MergeOptions{})
	var got []string
	for {
		done := m.SourcePageDone()
		src, dst, ok := m.Next()
		if !ok {
			break
		}
		got = append(got, fmt.Sprint(done, src != nil, dst != nil))
	}
	want := []string{"true true true", "false true false", "true true false", "true false true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// endless returns the same objects again and again, with keys that rise.
func endless(page []objstore.Object, keys [][]string) plan.Pages {
	turn := 0
	return func() ([]objstore.Object, bool, error) {
		if turn == len(keys) {
			return nil, false, nil
		}
		for i := range page {
			page[i].Key = keys[turn][i]
		}
		turn++
		return page, true, nil
	}
}

func benchKeys(pages, size int) [][]string {
	keys := make([][]string, pages)
	for p := range keys {
		keys[p] = make([]string, size)
		for i := range keys[p] {
			keys[p][i] = fmt.Sprintf("photos/2024/%03d/img_%09d.jpg", p/10, p*size+i)
		}
	}
	return keys
}

func TestMergeAllocatesNothingPerKey(t *testing.T) {
	keys := benchKeys(20, 500)
	src, dst := make([]objstore.Object, 500), make([]objstore.Object, 500)
	n := testing.AllocsPerRun(5, func() {
		m := plan.NewMerge(endless(src, keys), endless(dst, keys), plan.MergeOptions{})
		for {
			if _, _, ok := m.Next(); !ok {
				break
			}
		}
	})
	if n > 5 {
		t.Errorf("%v allocations for 10,000 keys, want those of the merge itself", n)
	}
}

// Merge and Decide of equal sides: the figures are per key.
func BenchmarkMerge(b *testing.B) {
	keys := benchKeys(100, 1000)
	for _, c := range []struct {
		name   string
		decide bool
	}{{"merge", false}, {"merge+decide", true}} {
		b.Run(c.name, func(b *testing.B) {
			page := func() []objstore.Object {
				objs := make([]objstore.Object, 1000)
				for i := range objs {
					objs[i] = objstore.Object{Size: 5, ETag: strings.Clone(md5A), ModTime: noon}
				}
				return objs
			}
			src, dst := page(), page()
			opt := plan.Options{SrcETagMD5: true, DstETagMD5: true}
			b.ReportAllocs()
			n := 0
			for n < b.N {
				m := plan.NewMerge(endless(src, keys), endless(dst, keys), plan.MergeOptions{})
				for n < b.N {
					s, d, ok := m.Next()
					if !ok {
						break
					}
					if c.decide {
						plan.Decide(s, d, &opt)
					}
					n++
				}
			}
		})
	}
}
