package faulty

import "io"

// place turns Fault.Bytes into an index below length, 0 when there is none.
func place(n, length int64) int64 {
	if length == 0 {
		return 0
	}
	if n %= length; n < 0 {
		n = -n
	}
	return n
}

// body is an open object that breaks as its fault says.
type body struct {
	io.ReadCloser
	b      *Bucket
	fault  Fault
	key    string
	length int64
	at     int64 // bytes delivered
	tear   int64 // break off before this byte; negative: never
	flip   int64 // spoil this byte; negative: none
	closed bool
	broken bool
}

func (r *body) Read(p []byte) (int, error) {
	if r.tear >= 0 {
		if r.at >= r.tear {
			if !r.broken {
				r.broken = true
				r.b.count(&r.b.fired, 1)
			}
			return 0, r.fault.fail(Open, r.key)
		}
		p = p[:min(int64(len(p)), r.tear-r.at)]
	}
	n, err := r.ReadCloser.Read(p)
	if flip(p[:n], r.at, r.flip) {
		r.b.count(&r.b.fired, 1)
	}
	r.at += int64(n)
	return n, err
}

func (r *body) Close() error {
	if !r.closed {
		r.closed = true
		r.b.count(&r.b.bodies, -1)
	}
	return r.ReadCloser.Close()
}

// flip spoils byte target of a stream of which p is what follows byte at.
func flip(p []byte, at, target int64) bool {
	if target < at || target >= at+int64(len(p)) {
		return false
	}
	p[target-at] ^= 0x10
	return true
}

// upload returns the body that the store gets, and what reads half of it away.
func (b *Bucket) upload(r io.Reader, size int64, f Fault) (io.Reader, func()) {
	half := func() { _, _ = io.CopyN(io.Discard, r, size/2) }
	if f.Kind != Corrupt || size == 0 {
		return r, half
	}
	return &spoiled{Reader: r, b: b, flip: place(f.Bytes, size)}, half
}

// spoiled is a body on its way to the store with one bit flipped. The caller's
// own memory stays as it is: only the store's buffer is spoiled.
type spoiled struct {
	io.Reader
	b    *Bucket
	at   int64
	flip int64
}

func (s *spoiled) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if flip(p[:n], s.at, s.flip) {
		s.b.count(&s.b.fired, 1)
	}
	s.at += int64(n)
	return n, err
}
