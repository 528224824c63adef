package transfer

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// smallObject is the size up to which an object is read whole before it is
// written: its source connection is free at once, its checksum is known before
// the first byte goes out, and a failed write repeats without a second read.
// Larger ones stream, so memory is this times the requests in flight at most.
const smallObject = 128 << 10

// copyWhole makes the object with two requests: GET, PUT.
func (c *Copier) copyWhole(ctx context.Context, a *attempt) (Result, error) {
	content, err := c.open(ctx, a)
	if err != nil {
		return Result{}, atSource(err)
	}
	defer content.Body.Close()
	opt, dropped, err := c.putOptions(ctx, a, &content.Info)
	if err != nil {
		return Result{}, err
	}
	var sum uint64
	var w objstore.Written
	if content.Length <= smallObject {
		sum, w, err = c.putBuffered(ctx, a.key, content, opt)
	} else {
		sum, w, err = c.putStreamed(ctx, a.key, content, opt)
	}
	if err != nil {
		return Result{}, err
	}
	content.Body.Close()
	if err := c.verify(ctx, a.key, &content.Info, sum, &w); err != nil {
		return Result{}, err
	}
	a.written, a.srcSum = w, content.CRC64
	return Result{Outcome: task.Synced, Reason: task.Copied, Size: content.Length, Dropped: append(dropped, w.Dropped...)}, nil
}

// open opens the object, unless it is: what was opened is read once.
func (c *Copier) open(ctx context.Context, a *attempt) (*objstore.Content, error) {
	if content := a.opened; content != nil {
		a.opened = nil
		return content, nil
	}
	return c.cfg.Src.Open(ctx, a.key, objstore.OpenOptions{IfMatch: a.src.ETag})
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// putBuffered reads content into a pooled buffer and writes it from there.
func (c *Copier) putBuffered(ctx context.Context, key string, content *objstore.Content, opt objstore.PutOptions) (uint64, objstore.Written, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if int64(cap(*buf)) <= content.Length {
		*buf = make([]byte, roundUp(content.Length+1, 16<<10))
	}
	p := (*buf)[:content.Length]
	if _, err := io.ReadFull(content.Body, p); err != nil {
		return 0, objstore.Written{}, atSource(err)
	}
	// Reading on to the end lets the driver check what only the end tells, and
	// closing now frees the connection for the next object.
	if n, err := content.Body.Read((*buf)[content.Length : content.Length+1]); n != 0 || err != io.EOF {
		if err == nil || err == io.EOF {
			err = &objstore.Error{Kind: objstore.ErrUnavailable, Op: "open", Key: key, Message: "body is longer than announced"}
		}
		return 0, objstore.Written{}, atSource(err)
	}
	content.Body.Close()
	c.cfg.Moved.Add(content.Length)
	sum := objstore.UpdateCRC64(0, p)
	if content.CRC64.Set && content.CRC64.Sum != sum {
		return 0, objstore.Written{}, atSource(objstore.ErrChecksum)
	}
	opt.CRC64 = objstore.Checksum{Sum: sum, Set: true}
	w, err := c.cfg.Dst.Put(ctx, key, bytes.NewReader(p), content.Length, opt)
	if err != nil {
		return 0, w, atDestination(err)
	}
	return sum, w, nil
}

func roundUp(n, step int64) int64 { return (n + step - 1) / step * step }

// putStreamed passes the bytes on as they come.
func (c *Copier) putStreamed(ctx context.Context, key string, content *objstore.Content, opt objstore.PutOptions) (uint64, objstore.Written, error) {
	body := &reader{r: content.Body, c: c}
	w, err := c.cfg.Dst.Put(ctx, key, body, content.Length, opt)
	if err != nil {
		return 0, w, body.blame(err)
	}
	return body.sum, w, nil
}

// reader sums and counts what passes, and remembers whether reading itself failed.
type reader struct {
	r   io.Reader
	c   *Copier
	sum uint64
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if n > 0 {
		r.sum = objstore.UpdateCRC64(r.sum, p[:n])
		r.c.cfg.Moved.Add(int64(n))
	}
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// blame says on which side a write from this reader failed.
func (r *reader) blame(err error) error {
	if r.err != nil {
		return atSource(r.err)
	}
	return atDestination(err)
}
