package oms

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

const (
	// maxBody is room for MaxEventKeys keys of 16,384 characters, as OMS documents them.
	maxBody = 2 << 20
	// smallBody is what any request may hold in memory; those with more share largeBodies.
	smallBody   = 64 << 10
	largeBodies = 64 << 20
	// bodyTime is how long a client may take to send a body.
	bodyTime = 15 * time.Second
)

// bodyMemory bounds the memory of bodies whose senders are not known yet.
type bodyMemory struct{ used atomic.Int64 }

// take reserves room for a body and reports whether there was any.
func (m *bodyMemory) take(n int64) bool {
	if m.used.Add(n) > largeBodies {
		m.used.Add(-n)
		return false
	}
	return true
}

func (m *bodyMemory) give(n int64) { m.used.Add(-n) }

var (
	errTooLarge = &task.Error{Kind: task.Invalid, Code: codeTooLarge, Text: "the body is too large", Next: "send fewer keys in a request"}
	errBusy     = &task.Error{Kind: task.Unavailable, Code: "BODIES_IN_MEMORY", Text: "too many large requests are under way", Next: "try again in a second"}
)

// readBody reads the body, which the signature covers, whatever it is: an empty one may
// come in chunks, or not at all. release gives its memory back.
func (a *API) readBody(r *request) (release func(), err error) {
	release = func() {}
	if r.http.Body == nil || r.http.Body == http.NoBody {
		return release, nil
	}
	if r.http.ContentLength > maxBody {
		return release, errTooLarge
	}
	deadlines := http.NewResponseController(r.w)
	_ = deadlines.SetReadDeadline(time.Now().Add(bodyTime)) // where there are none the server's own hold
	defer func() { _ = deadlines.SetReadDeadline(time.Time{}) }()
	var b bytes.Buffer
	if n := r.http.ContentLength; n > 0 {
		b.Grow(int(min(n, smallBody)) + bytes.MinRead)
	}
	_, err = io.CopyN(&b, r.http.Body, smallBody)
	if err == nil { // it may go on
		if !a.memory.take(maxBody) {
			return release, errBusy
		}
		release = func() { a.memory.give(maxBody) }
		_, err = io.CopyN(&b, r.http.Body, maxBody-smallBody+1)
	}
	var over *http.MaxBytesError
	switch {
	case err == nil, errors.As(err, &over):
		err = errTooLarge
	case errors.Is(err, io.EOF):
		r.body = b.Bytes()
		return release, nil
	default:
		err = &task.Error{Kind: task.Invalid, Code: "BODY_CUT_SHORT", Text: "the body did not arrive", Next: "send it again", Err: err}
	}
	release()
	return func() {}, err
}
