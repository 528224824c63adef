package worker

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
)

// keyBucket lists a sorted set of keys and does nothing else.
type keyBucket struct {
	objstore.Bucket // nil: any other call panics
	keys            []string
	etag            string
	page            int           // objects of a page; 0: 1,000
	delay           time.Duration // of a request; pages say so in Wait
	noWait          bool          // pages do not say it
	failAfter       int           // pages until err; 0: never
	err             error
	probeErr        error         // of listings with PageSize 1
	probeDelay      time.Duration // of those, when it is another
	textOnly        bool          // refuses to look for keys that are not UTF-8

	mu       sync.Mutex
	requests int // all of them
	probes   int // those with PageSize 1
	refused  []string
}

func (b *keyBucket) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	size := opt.PageSize
	if size == 0 {
		size = cmp.Or(b.page, 1000)
	}
	return func(yield func(objstore.Page, error) bool) {
		after := opt.After
		for pages := 0; ; pages++ {
			if err := b.request(ctx, opt, pages); err != nil {
				yield(objstore.Page{}, err)
				return
			}
			page := objstore.Page{Wait: b.wait(opt)}
			if b.noWait {
				page.Wait = 0
			}
			first := sort.SearchStrings(b.keys, max(after, opt.Prefix))
			if first < len(b.keys) && b.keys[first] == after {
				first++
			}
			more := false
			for _, key := range b.keys[first:] {
				if !strings.HasPrefix(key, opt.Prefix) || opt.Until != "" && key > opt.Until {
					break
				}
				if more = len(page.Objects) == size; more {
					break
				}
				page.Objects = append(page.Objects, objstore.Object{Key: key, Size: 1, ETag: b.etag})
				after = key
			}
			if !yield(page, nil) || !more {
				return
			}
		}
	}
}

func (b *keyBucket) request(ctx context.Context, opt objstore.ListOptions, pages int) error {
	if wait := b.wait(opt); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	if opt.PageSize == 1 {
		b.probes++
		if b.textOnly && !utf8.ValidString(opt.After) {
			b.refused = append(b.refused, opt.After)
		}
		return b.probeErr
	}
	if b.failAfter > 0 && pages >= b.failAfter {
		return b.err
	}
	return nil
}

func (b *keyBucket) wait(opt objstore.ListOptions) time.Duration {
	if opt.PageSize == 1 && b.probeDelay > 0 {
		return b.probeDelay
	}
	return b.delay
}

func (b *keyBucket) count() (requests, probes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests, b.probes
}

// record keeps what a scan emits, and checks what must hold of every batch.
type record struct {
	t  *testing.T
	mu sync.Mutex

	items     []plan.Item
	batches   []Batch
	afters    map[int]string // by partition
	ended     map[int]bool
	splits    int
	requested int64
	unchanged int64
	ignored   int64
}

func newRecord(t *testing.T) *record {
	return &record{t: t, afters: map[int]string{}, ended: map[int]bool{}}
}

func (r *record) emit(_ context.Context, b Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	after := r.afters[b.Partition]
	if r.ended[b.Partition] {
		r.t.Errorf("partition %d goes on after Done", b.Partition)
	}
	if b.After < after || b.After == after && !b.Done {
		r.t.Errorf("partition %d: After %q follows %q", b.Partition, b.After, after)
	}
	for _, it := range b.Items {
		if it.Key <= after || it.Key > b.After {
			r.t.Errorf("partition %d: item %q is not in (%q, %q]", b.Partition, it.Key, after, b.After)
		}
		after = it.Key
	}
	if b.SplitAt != "" {
		if r.splits++; b.SplitAt <= b.After {
			r.t.Errorf("partition %d: split at %q, which %q has passed", b.Partition, b.SplitAt, b.After)
		}
	}
	sum := int64(0)
	for _, n := range b.Ignored {
		sum += n
	}
	r.requested, r.unchanged, r.ignored = r.requested+b.Requested, r.unchanged+b.Unchanged, r.ignored+sum
	r.afters[b.Partition], r.ended[b.Partition] = b.After, b.Done
	r.items = append(r.items, b.Items...)
	b.Ignored = nil
	r.batches = append(r.batches, b)
	return nil
}

// decisions returns "key verb" of every item, sorted: one that comes twice shows.
func (r *record) decisions() []string {
	got := make([]string, len(r.items))
	for i, it := range r.items {
		got[i] = fmt.Sprintf("%q %d", it.Key, it.Verb)
	}
	slices.Sort(got)
	return got
}

// objects returns how many were listed on each side, by the batches.
func (r *record) objects() (src, dst int64) {
	for _, b := range r.batches {
		src, dst = src+b.SrcObjects, dst+b.DstObjects
	}
	return src, dst
}

// wantDecisions makes decisions without a merge, for options that list every key.
func wantDecisions(src, dst *keyBucket, opt *plan.Options) []string {
	sides := map[string]*[2]*objstore.Object{}
	for side, b := range []*keyBucket{src, dst} {
		for _, key := range b.keys {
			if sides[key] == nil {
				sides[key] = &[2]*objstore.Object{}
			}
			sides[key][side] = &objstore.Object{Key: key, Size: 1, ETag: b.etag}
		}
	}
	want := []string{}
	for key, o := range sides {
		if d := plan.Decide(o[0], o[1], opt); d.Verb != plan.Leave {
			want = append(want, fmt.Sprintf("%q %d", key, d.Verb))
		}
	}
	slices.Sort(want)
	return want
}

// randomKeys returns a sorted set over few bytes, so that keys begin each other
// and are often not UTF-8.
func randomKeys(r *rand.Rand, n int) []string {
	const alphabet = "ab/\x00\x7f\x80\xc3\xa4\xff"
	keys := make([]string, r.IntN(n+1))
	for i := range keys {
		b := make([]byte, 1+r.IntN(6))
		for j := range b {
			b[j] = alphabet[r.IntN(len(alphabet))]
		}
		keys[i] = string(b)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// keyShapes are ways in which people name objects, n each, sorted.
func keyShapes(n int) map[string][]string {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	shapes := map[string]func(i int) string{
		"numbers":    func(i int) string { return fmt.Sprintf("obj-%09d", i) },
		"uuids":      func(int) string { return fmt.Sprintf("%08x-%04x-%016x", r.Uint32(), r.Uint32N(1<<16), r.Uint64()) },
		"days":       func(i int) string { return fmt.Sprintf("logs/2024/%02d/%02d/%06d.gz", 1+i*12/n, 1+i*360/n%30, i) },
		"words":      func(i int) string { return fmt.Sprintf("%s/%d", strings.Repeat(string(rune('a'+r.IntN(26))), 3), i) },
		"one folder": func(i int) string { return fmt.Sprintf("%s%d", strings.Repeat("deep/", 60), i) },
		"cjk": func(i int) string {
			return fmt.Sprintf("照片/%c%c-%d", '一'+rune(r.IntN(20000)), '一'+rune(r.IntN(20000)), i)
		},
		"accents":   func(i int) string { return fmt.Sprintf("%c%d", []rune("éèàüöäñç")[r.IntN(8)], i) },
		"long tail": func(i int) string { return []string{fmt.Sprintf("a/%09d", i), "z"}[max(0, i-n+2)] },
		"long head": func(i int) string { return []string{fmt.Sprintf("z/%09d", i), "a"}[max(0, 1-i)] },
		"bytes": func(i int) string {
			return fmt.Sprintf("%c\xff%s%d", 'a'+rune(i%7), string([]byte{byte(128 + r.IntN(128))}), i)
		},
	}
	made := map[string][]string{}
	for name, key := range shapes {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = key(i)
		}
		slices.Sort(keys)
		made[name] = slices.Compact(keys)
	}
	return made
}

// madeBucket lists numbered keys that it makes on the way.
type madeBucket struct {
	objstore.Bucket
	pages int
}

func (b *madeBucket) List(context.Context, objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		for p := range b.pages {
			page := objstore.Page{Objects: make([]objstore.Object, 1000)}
			for i := range page.Objects {
				page.Objects[i].Key = fmt.Sprintf("obj-%09d", p*1000+i)
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// sortedLines makes a key of every line that is not empty.
func sortedLines(text string) []string {
	keys := slices.DeleteFunc(strings.Split(text, "\n"), func(k string) bool { return k == "" })
	slices.Sort(keys)
	return slices.Compact(keys)
}
