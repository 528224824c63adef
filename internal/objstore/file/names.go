package file

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// sortLimits bound the memory a listing takes.
type sortLimits struct {
	names  int // of one directory held in memory
	bytes  int // of names held in memory, over all directories being listed
	fanIn  int // sorted runs merged at a time
	buffer int // bytes read ahead of each run
}

var defaultSortLimits = sortLimits{names: 1 << 16, bytes: 8 << 20, fanIn: 64, buffer: 16 << 10}

// minHeld is what a directory may hold in memory however much is held above it.
const minHeld = 64 << 10

// names holds what a listing wants of one directory, in the order of the keys
// below it: a directory counts as its name with a slash ("a.txt" before "a/").
// It is filled by add and sort, then emptied by next.
type names struct {
	arena []byte
	refs  []ref
	pos   int
	runs  *runs // of a directory too large for memory
	last  []byte
}

// ref is a name in the arena. head orders most names without a look at them.
type ref struct {
	head uint64
	off  uint32
	size uint16
	kind kind
}

func (n *names) reset() {
	n.arena, n.refs, n.pos, n.last = n.arena[:0], n.refs[:0], 0, n.last[:0]
}

// add takes a name, without the slash of a directory.
func (n *names) add(name []byte, k kind) {
	off := len(n.arena)
	n.arena = append(n.arena, name...)
	if k == kindDir {
		n.arena = append(n.arena, '/')
	}
	n.refs = append(n.refs, ref{off: uint32(off), size: uint16(len(n.arena) - off), kind: k})
}

func (n *names) held() int { return len(n.arena) + 16*len(n.refs) }

func (n *names) name(r ref) []byte { return n.arena[r.off:][:r.size] }

// sort orders the names in memory.
func (n *names) sort() {
	if len(n.refs) < 2 {
		return
	}
	skip := n.commonPrefix()
	for i := range n.refs {
		r := &n.refs[i]
		var head [8]byte
		copy(head[:], n.name(*r)[skip:])
		r.head = binary.BigEndian.Uint64(head[:])
	}
	slices.SortFunc(n.refs, func(a, b ref) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return bytes.Compare(n.name(a)[skip:], n.name(b)[skip:])
	})
}

// commonPrefix is how many bytes all names begin with.
func (n *names) commonPrefix() int {
	first := n.name(n.refs[0])
	size := len(first)
	for _, r := range n.refs[1:] {
		name := n.name(r)
		i := 0
		for i < min(size, len(name)) && name[i] == first[i] {
			i++
		}
		if size = i; size == 0 {
			break
		}
	}
	return size
}

// next returns the next name, which stays valid until the following call; ok is
// false at the end. A name that the directory gave twice, as it may while it
// changes, is returned once.
func (n *names) next() (name []byte, k kind, ok bool, err error) {
	for {
		if n.runs != nil {
			name, k, ok, err = n.runs.next()
		} else if ok = n.pos < len(n.refs); ok {
			r := n.refs[n.pos]
			n.pos++
			name, k = n.name(r), r.kind
		}
		if !ok || err != nil {
			return nil, 0, false, err
		}
		if len(n.last) > 0 && bytes.Equal(n.last, name) {
			continue
		}
		n.last = append(n.last[:0], name...)
		return name, k, true, nil
	}
}
