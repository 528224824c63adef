package workload

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
)

// Data names a set of objects: keys, sizes and bytes, the same on every machine.
type Data string

// The sets.
const (
	Small Data = "small" // 20,000 × 4 KiB
	Tiny  Data = "tiny"  // 100,000 × 1 KiB
	Big   Data = "big"   // 8 × 256 MiB
	Mixed Data = "mixed" // 5,000 of log-normal sizes: median 48 KiB, sigma 2.2, at most 96 MiB, about 2 GiB
)

// Object is one object of a set.
type Object struct {
	Key  string
	Size int64  // bytes
	Seed uint64 // of NewStream
}

// Objects returns the first objects of a set, at least one: scale times their
// full number.
func (d Data) Objects(scale float64) ([]Object, error) {
	count := func(full int) int { return max(1, int(float64(full)*scale)) }
	switch d {
	case Small:
		return uniform(count(20_000), "p%02d/obj-%06d.bin", 4<<10), nil
	case Tiny:
		return uniform(count(100_000), "p%02d/obj-%06d.bin", 1<<10), nil
	case Big:
		return big(count(8)), nil
	case Mixed:
		return mixed(count(5_000)), nil
	default:
		return nil, fmt.Errorf("unknown data set %q", d)
	}
}

func uniform(n int, pattern string, size int64) []Object {
	objects := make([]Object, n)
	for i := range objects {
		objects[i] = Object{Key: fmt.Sprintf(pattern, i%100, i), Size: size, Seed: uint64(i)}
	}
	return objects
}

func big(n int) []Object {
	objects := make([]Object, n)
	for i := range objects {
		objects[i] = Object{Key: fmt.Sprintf("big/obj-%02d.bin", i), Size: 256 << 20, Seed: uint64(i)}
	}
	return objects
}

func mixed(n int) []Object {
	r := rand.New(rand.NewPCG(5, 5))
	objects := make([]Object, n)
	for i := range objects {
		size := int64(48 << 10 * math.Exp(2.2*r.NormFloat64()))
		objects[i] = Object{
			Key:  fmt.Sprintf("a%d/b%02d/file-%05d.dat", i%5, i%50, i),
			Size: min(max(size, 16), 96<<20), Seed: uint64(i),
		}
	}
	return objects
}

// block is the random bytes that every stream repeats.
var block = func() []byte {
	b := make([]byte, 64<<10)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}()

// stream repeats block, each repetition that has room for it stamped with seed and
// offset: no two blocks are equal, and making them costs next to nothing.
type stream struct {
	seed      uint64
	off, size int64
}

// NewStream returns size bytes that depend on seed alone.
func NewStream(size int64, seed uint64) io.Reader { return &stream{size: size, seed: seed} }

const stampSize = 16

func (s *stream) Read(p []byte) (int, error) {
	if s.off >= s.size {
		return 0, io.EOF
	}
	at := int(s.off % int64(len(block)))
	n := int(min(int64(copy(p, block[at:])), s.size-s.off))
	if start := s.off - int64(at); at < stampSize && start+stampSize <= s.size {
		var stamp [stampSize]byte
		binary.LittleEndian.PutUint64(stamp[:], s.seed)
		binary.LittleEndian.PutUint64(stamp[8:], uint64(start))
		copy(p[:n], stamp[at:])
	}
	s.off += int64(n)
	return n, nil
}
