package s3

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// pipe returns a connection and what arrives at its other end once it is closed.
func pipe(t *testing.T) (*conn, func() []byte) {
	t.Helper()
	near, far := net.Pipe()
	var got []byte
	var reader sync.WaitGroup
	reader.Go(func() { got, _ = io.ReadAll(far) })
	return newConn(near, time.Minute), func() []byte {
		_ = near.Close()
		reader.Wait()
		return got
	}
}

func TestConnReadFrom(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 70_000)
	var use sync.WaitGroup
	whole := (&upload{inUse: &use, data: data}).again()
	for name, body := range map[string]io.Reader{
		"stream":           bytes.NewReader(data),
		"limited":          io.LimitReader(bytes.NewReader(append(slices.Clip(data), "more"...)), int64(len(data))),
		"upload in memory": io.LimitReader(whole, int64(len(data))),
	} {
		c, end := pipe(t)
		n, err := c.ReadFrom(body)
		if got := end(); n != int64(len(data)) || err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d of %d bytes arrive, %d reported, %v", name, len(got), len(data), n, err)
		}
	}
	if n, err := whole.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("an upload sent whole still has %d bytes, %v", n, err)
	}
	broken, end := pipe(t)
	if _, err := broken.ReadFrom(io.MultiReader(bytes.NewReader(data), failing{})); !errors.Is(err, errBroken) {
		t.Errorf("a broken stream = %v", err)
	}
	end()
}

type failing struct{}

var errBroken = io.ErrNoProgress

func (failing) Read([]byte) (int, error) { return 0, errBroken }
