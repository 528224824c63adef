package s3_test

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"testing"
	"testing/iotest"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// A store that keeps what arrived of a broken body never gets to keep it.
func TestTornUploadIsNotStored(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{StoresTorn: true}, "versitygw")
	broken := errors.New("broken on purpose")
	for _, size := range []int{1, 4096, 65_535, 65_536, 65_537, 300_000} {
		key, data := "key"+strconv.Itoa(size), bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		stream := func() io.Reader { return iotest.OneByteReader(bytes.NewReader(data)) }
		if _, err := b.Put(t.Context(), key, stream(), int64(size), objstore.PutOptions{}); err != nil {
			t.Fatalf("Put of %d bytes = %v", size, err)
		}
		if got, _ := srv.Get("bucket", key); !bytes.Equal(got, data) {
			t.Fatalf("the server holds %d bytes of %d", len(got), size)
		}
		torn := io.MultiReader(bytes.NewReader(make([]byte, size/2)), iotest.ErrReader(broken))
		if _, err := b.Put(t.Context(), key, torn, int64(size), objstore.PutOptions{}); !errors.Is(err, broken) {
			t.Errorf("torn Put of %d bytes = %v", size, err)
		}
		// In memory, and signed, bodies are whole in one sum ahead of them.
		if _, err := b.Put(t.Context(), key, bytes.NewReader(data), int64(size), objstore.PutOptions{}); err != nil {
			t.Errorf("Put of %d bytes from memory = %v", size, err)
		}
		if got, _ := srv.Get("bucket", key); !bytes.Equal(got, data) {
			t.Errorf("after a torn Put the server holds %d bytes, another object", len(got))
		}
	}
}
