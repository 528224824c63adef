package s3

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// A body goes out in one of two forms. A small one is copied into a parcel, which
// net/http knows to be in memory, so that head and body leave in one write. A
// large one is an upload, which the caller gets back only when net/http has let
// go of it: http.Transport may still read a body after it has returned.

// parcel is a small body in memory of our own.
type parcel struct {
	reader  bytes.Reader // for the first sending
	closer  io.ReadCloser
	getBody func() (io.ReadCloser, error)
	opened  atomic.Int32 // how often it was sent
	data    []byte
	buf     [wholeBody]byte
}

var parcels = sync.Pool{New: func() any {
	p := new(parcel)
	p.closer = io.NopCloser(&p.reader)
	// For net/http, when a kept connection turns out to be dead.
	p.getBody = func() (io.ReadCloser, error) { return p.open(), nil }
	return p
}}

// open returns a reader of the whole parcel: another one each time, as the last
// may still be in the hands of a dying connection.
func (p *parcel) open() io.ReadCloser {
	if p.opened.Add(1) > 1 {
		return io.NopCloser(bytes.NewReader(p.data))
	}
	p.reader.Reset(p.data)
	return p.closer
}

// keep makes the parcel one that is never used again, as nobody knows when
// net/http has let go of it.
func (p *parcel) keep() { p.opened.Add(1) }

// fill takes size bytes from r.
func (p *parcel) fill(r io.Reader, size int64) error {
	p.data = p.buf[:size]
	_, err := io.ReadFull(r, p.data)
	return shortBody(err)
}

// upload is a large body: data, or else what reader has left.
type upload struct {
	inUse  *sync.WaitGroup // until net/http has closed it
	once   sync.Once
	data   []byte
	reader io.Reader
	left   int64
	err    error // of reader
}

// again returns data from its beginning, in use like u.
func (u *upload) again() *upload {
	u.inUse.Add(1)
	return &upload{inUse: u.inUse, data: u.data, left: int64(len(u.data))}
}

func (u *upload) Read(p []byte) (int, error) {
	if u.left <= 0 {
		return 0, io.EOF
	}
	if u.data != nil {
		return copy(p, u.take(int64(len(p)))), nil
	}
	if int64(len(p)) > u.left {
		p = p[:u.left]
	}
	n, err := u.reader.Read(p)
	u.left -= int64(n)
	if err != nil && u.left > 0 {
		u.err = shortBody(err)
		return n, u.err
	}
	return n, nil
}

// take returns up to n of the bytes that are left, nil at the end.
func (u *upload) take(n int64) []byte {
	p := u.data[int64(len(u.data))-u.left:]
	p = p[:min(n, u.left)]
	u.left -= int64(len(p))
	return p
}

// Close tells that net/http is done with the body.
func (u *upload) Close() error {
	u.once.Do(u.inUse.Done)
	return nil
}

// shortBody names the end of a body before its size.
func shortBody(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// inMemory returns the rest of a *bytes.Reader without copying it.
func inMemory(r io.Reader) ([]byte, bool) {
	br, ok := r.(*bytes.Reader)
	if !ok {
		return nil, false
	}
	var rest lastWrite
	_, _ = br.WriteTo(&rest) // hands over its whole rest in one Write, which cannot fail
	return rest.p, true
}

type lastWrite struct{ p []byte }

func (w *lastWrite) Write(p []byte) (int, error) {
	w.p = p
	return len(p), nil
}
