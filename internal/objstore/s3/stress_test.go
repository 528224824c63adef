package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// Many writers and readers share connections, buffers and a server that breaks
// every few requests. Each object is made of its own pattern: bytes of another
// request, or of a buffer used again too early, would show.
func TestBytesNeverMix(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{}, "aws")
	r := rand.New(rand.NewPCG(7, 7))
	for range 60 {
		kinds := []s3fault.Kind{s3fault.Reset, s3fault.LostReply, s3fault.SlowDown, s3fault.Early, s3fault.Torn}
		srv.Inject(s3fault.Fault{
			Op: []string{"get", "put"}[r.IntN(2)], Skip: r.IntN(12), Kind: kinds[r.IntN(len(kinds))], Status: 500, Code: "InternalError",
		})
	}
	sizes := []int{0, 1, 4096, 24 << 10, 24<<10 + 1, 100_000, 300_000}
	g, ctx := errgroup.WithContext(t.Context())
	for worker := range 8 {
		g.Go(func() error {
			buf := make([]byte, 300_000) // one for all, as transfer has it
			for i := range 25 {
				size := sizes[(worker+i)%len(sizes)]
				key := fmt.Sprintf("w%d/%d", worker, i)
				pattern(buf[:size], worker*1000+i)
				if err := putRepeatedly(ctx, b, key, buf[:size], i%2 == 0); err != nil {
					return err
				}
				clear(buf) // the caller's again
				if err := readRepeatedly(ctx, b, key, size, worker*1000+i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func pattern(p []byte, seed int) {
	for i := range p {
		p[i] = byte(seed*31 + i)
	}
}

func putRepeatedly(ctx context.Context, b *s3.Bucket, key string, data []byte, memory bool) error {
	for {
		var body io.Reader = bytes.NewReader(data)
		if !memory {
			body = io.MultiReader(body)
		}
		_, err := b.Put(ctx, key, body, int64(len(data)), objstore.PutOptions{})
		if !objstore.Transient(err) {
			return err
		}
	}
}

func readRepeatedly(ctx context.Context, b *s3.Bucket, key string, size, seed int) error {
	want := make([]byte, size)
	pattern(want, seed)
	for {
		got, err := load(ctx, b, key, objstore.OpenOptions{})
		switch {
		case objstore.Transient(err):
		case err != nil:
			return err
		case got != string(want):
			return errors.New(key + " holds other bytes")
		default:
			return nil
		}
	}
}
