// Package verify says whether two buckets hold the same objects.
package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lockstep-sync/lockstep/test/bench/bare"
	"github.com/lockstep-sync/lockstep/test/bench/workload"
)

// ErrMismatch says that two buckets differ; the text around it says where.
var ErrMismatch = errors.New("buckets differ")

// Bucket is one side.
type Bucket struct {
	Client *bare.Client
	Name   string
}

// Result counts what was compared.
type Result struct {
	Objects int
	// Opaque objects have ETags that cannot be compared: uploaded in parts of
	// different sizes. Their bytes were compared when that was asked for.
	Opaque int
}

func (r Result) String() string {
	return fmt.Sprintf("%d objects equal, %d of them not comparable by ETag", r.Objects, r.Opaque)
}

// Equal compares keys, sizes and ETags. An ETag of an upload in parts depends on
// the size of the parts: where such a one differs, the bytes are compared, if
// content is set. It returns ErrMismatch for the first difference.
func Equal(ctx context.Context, src, dst Bucket, content bool) (Result, error) {
	want, err := src.Client.ListAll(ctx, src.Name)
	if err != nil {
		return Result{}, err
	}
	have, err := dst.Client.ListAll(ctx, dst.Name)
	if err != nil {
		return Result{}, err
	}
	opaque, err := compare(want, have)
	if err != nil {
		return Result{}, err
	}
	if content {
		const concurrency = 2
		err = workload.Each(ctx, opaque, concurrency, func(ctx context.Context, o bare.Object) error {
			return sameBytes(ctx, src, dst, o)
		})
	}
	return Result{Objects: len(want), Opaque: len(opaque)}, err
}

// compare returns the objects whose ETags cannot be compared. Both listings are
// in key order.
func compare(want, have []bare.Object) (opaque []bare.Object, err error) {
	for i, o := range want {
		if i == len(have) || have[i].Key > o.Key {
			return nil, fmt.Errorf("%w: %q is missing at the destination", ErrMismatch, o.Key)
		}
		d := have[i]
		switch {
		case d.Key < o.Key:
			return nil, fmt.Errorf("%w: %q is at the destination only", ErrMismatch, d.Key)
		case d.Size != o.Size:
			return nil, fmt.Errorf("%w: %q: %d bytes at the source, %d at the destination", ErrMismatch, o.Key, o.Size, d.Size)
		case d.ETag == o.ETag:
		case isMD5(d.ETag) && isMD5(o.ETag):
			return nil, fmt.Errorf("%w: %q: ETag %s at the source, %s at the destination", ErrMismatch, o.Key, o.ETag, d.ETag)
		default:
			opaque = append(opaque, o)
		}
	}
	if len(have) > len(want) {
		return nil, fmt.Errorf("%w: %q is at the destination only", ErrMismatch, have[len(want)].Key)
	}
	return opaque, nil
}

// isMD5 says whether an ETag is that of an object uploaded in one piece.
func isMD5(etag string) bool { return len(etag) == 32 }

func sameBytes(ctx context.Context, src, dst Bucket, o bare.Object) error {
	a, err := open(ctx, src, o)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := open(ctx, dst, o)
	if err != nil {
		return err
	}
	defer b.Close()
	at, err := firstDifference(a, b, o.Size)
	if err != nil {
		return fmt.Errorf("%q: %w", o.Key, err)
	}
	if at >= 0 {
		return fmt.Errorf("%w: %q: bytes near offset %d", ErrMismatch, o.Key, at)
	}
	return nil
}

func open(ctx context.Context, b Bucket, o bare.Object) (io.ReadCloser, error) {
	body, size, err := b.Client.Get(ctx, b.Name, o.Key)
	if err != nil {
		return nil, err
	}
	if size != o.Size {
		body.Close()
		return nil, fmt.Errorf("%w: %q: %d bytes listed, %d sent", ErrMismatch, o.Key, o.Size, size)
	}
	return body, nil
}

// firstDifference compares size bytes and returns the offset of the first block
// that differs, -1 when none does. A stream that ends early is an error.
func firstDifference(a, b io.Reader, size int64) (int64, error) {
	const blockSize = 1 << 20
	x, y := make([]byte, blockSize), make([]byte, blockSize)
	for off := int64(0); off < size; off += blockSize {
		n := min(blockSize, size-off)
		if _, err := io.ReadFull(a, x[:n]); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(b, y[:n]); err != nil {
			return 0, err
		}
		if !bytes.Equal(x[:n], y[:n]) {
			return off, nil
		}
	}
	return -1, nil
}
