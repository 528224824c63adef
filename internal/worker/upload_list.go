package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// upload writes one sealed list and lets the database forget its rows. The text is
// read twice, since a store must be told how long it is: memory is one row.
func (u *Uploader) upload(ctx context.Context, f queue.ListFile) error {
	ends, err := u.cfg.Stores.Open(ctx, f.Task)
	if err != nil {
		return err
	}
	o, crc, err := measure(u.cfg.Outbox.ListText(ctx, f))
	if err != nil {
		return err
	}
	o.Name = history.ListPlace(f.Task) + history.ListName(batchName(ends.Task, f.JobStart, f.Job), f)
	opt := objstore.PutOptions{Header: objstore.Header{ContentType: "text/plain; charset=utf-8"}, CRC64: crc}
	err = tries.Do(ctx, func() error {
		text := newTextReader(u.cfg.Outbox.ListText(ctx, f))
		defer text.stop()
		_, err := ends.Lists.Put(ctx, o.Name, text, o.Bytes, opt)
		return err
	})
	if err != nil {
		return fmt.Errorf("list %q: %w", o.Name, err)
	}
	return u.cfg.Outbox.ConfirmList(ctx, f, o)
}

// measure reads a text and says how long it is, with its sums.
func measure(text iter.Seq2[[]byte, error]) (o queue.ListObject, crc objstore.Checksum, err error) {
	sum := sha256.New()
	crc.Set = true
	for piece, err := range text {
		if err != nil {
			return o, crc, err
		}
		o.Bytes += int64(len(piece))
		_, _ = sum.Write(piece) // never fails
		crc.Sum = objstore.UpdateCRC64(crc.Sum, piece)
	}
	sum.Sum(o.SHA256[:0])
	return o, crc, nil
}

// textReader reads the pieces of a text as one stream.
type textReader struct {
	next  func() ([]byte, error, bool)
	stop  func()
	piece []byte
}

func newTextReader(text iter.Seq2[[]byte, error]) *textReader {
	next, stop := iter.Pull2(text)
	return &textReader{next: next, stop: stop}
}

func (r *textReader) Read(p []byte) (int, error) {
	for len(r.piece) == 0 {
		piece, err, ok := r.next()
		if !ok {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		r.piece = piece
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

// manifest writes the closing manifest of an ended job. It is written anew when
// retries have added lists since.
func (u *Uploader) manifest(ctx context.Context, j task.Job) error {
	ends, err := u.cfg.Stores.Open(ctx, j.Task)
	if err != nil {
		return err
	}
	reasons, err := u.cfg.Outbox.Reasons(ctx, j.Task, j.ID)
	if err != nil {
		return err
	}
	lists, err := u.cfg.Outbox.JobLists(ctx, j.ID)
	if err != nil {
		return err
	}
	m, err := history.NewJobManifest(ends.Task, j, reasons, lists)
	if err != nil {
		// A retry settled while this was read: the next round reads it whole.
		return fmt.Errorf("manifest of job %s: %w", j.ID, err)
	}
	text, err := m.Text()
	if err != nil {
		return err
	}
	name := history.ListPlace(j.Task) + history.JobManifestName(batchName(ends.Task, j.StartedAt, j.ID))
	opt := objstore.PutOptions{Header: objstore.Header{ContentType: "application/json"}}
	err = tries.Do(ctx, func() error {
		_, err := ends.Lists.Put(ctx, name, bytes.NewReader(text), int64(len(text)), opt)
		return err
	})
	if err != nil {
		return fmt.Errorf("manifest %q: %w", name, err)
	}
	return u.cfg.Outbox.ManifestWritten(ctx, j.ID)
}
