package objstoretest

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"
)

// errBody is how a failing body fails.
var errBody = errors.New("body failed on purpose")

// failing delivers data and then fails.
func failing(data []byte) io.Reader { return &failingBody{data} }

type failingBody struct{ rest []byte }

func (f *failingBody) Read(p []byte) (int, error) {
	if len(f.rest) == 0 {
		return 0, errBody
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// watched is a body that belongs to the caller again once the write has returned.
type watched struct {
	io.Reader
	closed, returned, late atomic.Bool
}

func watch(r io.Reader) *watched { return &watched{Reader: r} }

func (w *watched) Read(p []byte) (int, error) {
	if w.returned.Load() {
		w.late.Store(true)
	}
	return w.Reader.Read(p)
}

func (w *watched) Close() error {
	w.closed.Store(true)
	return nil
}

// done marks the return of the write; the verdict falls at the end of the test,
// when a late reader has had its time.
func (w *watched) done(t *testing.T) {
	t.Helper()
	w.returned.Store(true)
	t.Cleanup(func() {
		if w.closed.Load() {
			t.Error("the write closed the body, which is the caller's")
		}
		if w.late.Load() {
			t.Error("the body was read after the write had returned")
		}
	})
}
