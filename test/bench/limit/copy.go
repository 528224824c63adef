package limit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/lockstep-sync/lockstep/test/bench/bare"
)

// wholeSize is the most bytes that are read before they are sent on, which frees
// the source's connection at once. Larger objects are streamed.
const wholeSize = 256 << 10

type copier struct {
	Job
	buffers sync.Pool // *[]byte of wholeSize
}

func newCopier(job Job) *copier {
	return &copier{Job: job, buffers: sync.Pool{New: func() any {
		b := make([]byte, wholeSize)
		return &b
	}}}
}

// copy copies one object. The destination's ETag must be the source's where that
// is the MD5 of the content, which proves the bytes.
func (c *copier) copy(ctx context.Context, o bare.Object) error {
	var etag string
	var err error
	if c.ServerSide {
		etag, err = c.Dst.Copy(ctx, c.DstBucket, o.Key, c.SrcBucket, o.Key)
	} else {
		etag, err = c.move(ctx, o)
	}
	if err == nil && len(o.ETag) == 32 && etag != o.ETag {
		err = fmt.Errorf("%q: ETag %s, want %s", o.Key, etag, o.ETag)
	}
	return err
}

// move takes the bytes through this process.
func (c *copier) move(ctx context.Context, o bare.Object) (etag string, err error) {
	content, size, err := c.Src.Get(ctx, c.SrcBucket, o.Key)
	if err != nil {
		return "", err
	}
	defer content.Close()
	if size != o.Size {
		return "", fmt.Errorf("%q: %d bytes, want %d", o.Key, size, o.Size)
	}
	if size > wholeSize {
		return c.Dst.Put(ctx, c.DstBucket, o.Key, io.NopCloser(content), size)
	}
	buffer := c.buffers.Get().(*[]byte)
	defer c.buffers.Put(buffer)
	whole := (*buffer)[:size]
	if _, err := io.ReadFull(content, whole); err != nil {
		return "", err
	}
	content.Close()
	return c.Dst.Put(ctx, c.DstBucket, o.Key, bytes.NewReader(whole), size)
}
