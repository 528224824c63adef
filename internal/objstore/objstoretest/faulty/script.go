package faulty

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// Script decides what goes wrong with a call. It must be safe for concurrent use.
type Script func(Call) Fault

// Break is a script that breaks one call.
func Break(call Call, fault Fault) Script {
	return func(c Call) Fault {
		if c == call {
			return fault
		}
		return Fault{}
	}
}

// First tries scripts in turn until one has a fault.
func First(scripts ...Script) Script {
	return func(c Call) Fault {
		for _, s := range scripts {
			if f := s(c); f.Kind != None {
				return f
			}
		}
		return Fault{}
	}
}

// Rate is how often a fault happens to an operation.
type Rate struct {
	Fault Fault
	// Ops are the operations it happens to; none means all.
	Ops []Op
	// PerMille is the share of calls, in thousandths.
	PerMille int
	// Repeat lets it hit also the second and later of equal calls; without it a
	// retry succeeds.
	Repeat bool
}

// Seeded breaks calls at random. What happens to a call depends on the seed and
// the call alone; of several rates the first that hits wins. Fault.Bytes of Torn
// and Corrupt is drawn as well.
func Seeded(seed uint64, rates ...Rate) Script {
	return func(c Call) Fault {
		for i, r := range rates {
			if c.Nth > 1 && !r.Repeat || !r.hits(c.Op) {
				continue
			}
			draw := c.hash(seed + uint64(i))
			if int(draw%1000) >= r.PerMille {
				continue
			}
			f := r.Fault
			if f.Kind == Torn || f.Kind == Corrupt {
				f.Bytes = int64(draw >> 12)
			}
			return f
		}
		return Fault{}
	}
}

func (r *Rate) hits(op Op) bool { return len(r.Ops) == 0 || slices.Contains(r.Ops, op) }

// hash mixes the seed and the call.
func (c Call) hash(seed uint64) uint64 {
	h := fnv.New64a()
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(c.Part))
	binary.LittleEndian.PutUint64(b[16:], uint64(c.Nth))
	h.Write(b[:])
	h.Write([]byte(c.Op))
	h.Write([]byte(c.Key))
	// FNV's low bits are weak on short inputs: finish as splitmix64 does.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Case is one run of a fault matrix.
type Case struct {
	Name   string
	Call   Call
	Fault  Fault
	Script Script
}

// Matrix returns the runs that a clean run's calls call for: every write broken
// twice (not done; done, reply lost), every read torn once.
func Matrix(calls []Call) []Case {
	var cases []Case
	add := func(c Call, k Kind) {
		f := Fault{Kind: k, Bytes: 1000}
		cases = append(cases, Case{Name: c.String() + " " + k.String(), Call: c, Fault: f, Script: Break(c, f)})
	}
	for _, c := range calls {
		if c.Op.Writes() {
			add(c, NotDone)
			add(c, ReplyLost)
		} else {
			add(c, Torn)
		}
	}
	return cases
}
