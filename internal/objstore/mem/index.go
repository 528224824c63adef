package mem

import (
	"slices"
	"sort"
	"strings"
)

// maxRun bounds the entries of one run of an index.
const maxRun = 256

// index is a sorted map from key to object: a list of short sorted runs. A
// lookup is two binary searches; an insertion moves at most one run, and the
// list of runs only when one of them splits. It is not safe for concurrent use.
type index struct {
	runs [][]entry // none is empty
	size int
}

type entry struct {
	key string
	obj *object
}

// seek returns where key is, or where the first greater key is when found is
// false. run equals len(runs) when every key is smaller.
func (x *index) seek(key string) (run, i int, found bool) {
	run = sort.Search(len(x.runs), func(r int) bool {
		last := x.runs[r]
		return last[len(last)-1].key >= key
	})
	if run == len(x.runs) {
		return run, 0, false
	}
	i, found = slices.BinarySearchFunc(x.runs[run], key, func(e entry, k string) int { return strings.Compare(e.key, k) })
	return run, i, found
}

// get returns the object under key, nil when there is none.
func (x *index) get(key string) *object {
	if run, i, found := x.seek(key); found {
		return x.runs[run][i].obj
	}
	return nil
}

func (x *index) set(key string, obj *object) {
	run, i, found := x.seek(key)
	if found {
		x.runs[run][i].obj = obj
		return
	}
	x.size++
	e := entry{key, obj}
	switch {
	case run < len(x.runs):
	case run > 0 && len(x.runs[run-1]) < maxRun:
		run, i = run-1, len(x.runs[run-1])
	default: // ascending insertions fill run after run
		x.runs = append(x.runs, append(make([]entry, 0, maxRun), e))
		return
	}
	if full := x.runs[run]; len(full) == maxRun {
		upper := append(make([]entry, 0, maxRun), full[maxRun/2:]...)
		clear(full[maxRun/2:])
		x.runs[run] = full[:maxRun/2]
		x.runs = slices.Insert(x.runs, run+1, upper)
		if i > maxRun/2 {
			run, i = run+1, i-maxRun/2
		}
	}
	x.runs[run] = slices.Insert(x.runs[run], i, e)
}

func (x *index) remove(key string) {
	run, i, found := x.seek(key)
	if !found {
		return
	}
	x.size--
	x.runs[run] = slices.Delete(x.runs[run], i, i+1)
	if len(x.runs[run]) == 0 {
		x.runs = slices.Delete(x.runs, run, run+1)
	}
}

// page appends the entries (after, until] that begin with prefix to dst, up to
// its capacity, and reports whether more follow. Empty bounds are open.
func (x *index) page(dst []entry, prefix, after, until string) (_ []entry, more bool) {
	run, i, found := x.seek(max(prefix, after))
	if found && after >= prefix && after != "" {
		i++
	}
	for ; run < len(x.runs); run, i = run+1, 0 {
		for _, e := range x.runs[run][i:] {
			if !strings.HasPrefix(e.key, prefix) || until != "" && e.key > until {
				return dst, false
			}
			if len(dst) == cap(dst) {
				return dst, true
			}
			dst = append(dst, e)
		}
	}
	return dst, false
}
