package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// bodyError is an error of the caller's reader, which is not ours to translate.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// The body is not as long as the caller said.
var (
	errTooShort = fmt.Errorf("the body ends early: %w", io.ErrUnexpectedEOF)
	errTooLong  = errors.New("the body goes on")
)

const bufferSize = 256 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// copyBody writes exactly size bytes of body to w and returns their CRC64NVME.
// It reads on to the end of body, where readers that verify say what they found.
func copyBody(ctx context.Context, w io.Writer, body io.Reader, size int64) (sum uint64, err error) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for left := size; left > 0; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		p := buf[:min(left, bufferSize)]
		n, err := io.ReadFull(body, p)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return 0, errTooShort
		}
		if err != nil {
			return 0, &bodyError{err}
		}
		sum = objstore.UpdateCRC64(sum, p)
		if _, err := w.Write(p); err != nil {
			return 0, err
		}
		left -= int64(n)
	}
	if body == nil {
		return sum, nil // nothing announced, nothing given
	}
	switch n, err := io.ReadFull(body, buf[:1]); {
	case n > 0:
		return 0, errTooLong
	case !errors.Is(err, io.EOF):
		return 0, &bodyError{err}
	}
	return sum, nil
}
