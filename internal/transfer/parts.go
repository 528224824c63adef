package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// span returns the byte range of part i (from 0) of an object of total bytes.
func (c cut) span(i int, total int64) (offset, length int64) {
	offset = int64(i) * c.size
	return offset, min(c.size, total-offset)
}

// upload is one object on its way in parts.
type upload struct {
	*Copier
	a     *attempt
	cut   cut
	id    string
	known bool // remembered by Config.Uploads
	taken bool // begun by an earlier try, or run
	info  objstore.Info
	parts []objstore.Part // by number-1; Number 0: not stored yet
}

// copyParts streams ranges of the source into parts of the destination. Every
// range is pinned to the same state of the source.
func (c *Copier) copyParts(ctx context.Context, a *attempt, by cut) (Result, error) {
	first, by, err := c.openFirst(ctx, a, by)
	if err != nil {
		return Result{}, atSource(err)
	}
	defer first.Body.Close()
	if first.Size != a.src.Size {
		return Result{}, atSource(objstore.ErrPrecondition)
	}
	opt, dropped, err := c.putOptions(ctx, a, &first.Info)
	if err != nil {
		return Result{}, err
	}
	opt.WillCRC64 = c.cfg.Dst.Capabilities().ChecksumComplete
	u := &upload{Copier: c, a: a, cut: by, info: first.Info, parts: make([]objstore.Part, by.parts)}
	if err := u.begin(ctx, opt); err != nil {
		return Result{}, err
	}
	w, err := u.run(ctx, first, opt)
	if err != nil {
		u.giveUp(ctx, err)
		return Result{}, err
	}
	u.forget()
	if err := u.tag(ctx, opt.Tags, &w); err != nil {
		return Result{}, err
	}
	a.written = w
	return Result{Outcome: task.Synced, Reason: task.Copied, Size: a.src.Size, Dropped: append(dropped, w.Dropped...)}, nil
}

// openFirst opens the first part and settles how the object is cut.
func (c *Copier) openFirst(ctx context.Context, a *attempt, by cut) (*objstore.Content, cut, error) {
	if by.ask {
		first, err := c.cfg.Src.Open(ctx, a.key, objstore.OpenOptions{IfMatch: a.src.ETag, Part: 1})
		if err == nil {
			if own := cutBy(a.src.Size, max(1, first.Length)); own.parts == first.Parts && allowed(own, c.cfg.Dst.Capabilities()) {
				return first, own, nil
			}
			first.Body.Close() // uneven parts, or not allowed there
		} else if !errors.Is(err, objstore.ErrUnsupported) {
			return nil, by, err
		}
	}
	_, length := by.span(0, a.src.Size)
	first, err := c.cfg.Src.Open(ctx, a.key, objstore.OpenOptions{IfMatch: a.src.ETag, Length: length})
	return first, by, err
}

// begin takes up a remembered upload of the same source state, or starts one.
func (u *upload) begin(ctx context.Context, opt objstore.PutOptions) error {
	if resumed, err := u.resume(ctx); resumed || err != nil {
		return err
	}
	id, err := u.cfg.Dst.CreateMultipart(ctx, u.a.key, opt)
	if err != nil {
		return atDestination(err)
	}
	u.id = id
	if err := u.remember(); err != nil {
		u.abort(ctx, u.a.key, id) // or nobody would ever find it again
		u.forget()
		return err
	}
	return nil
}

// run stores the missing parts and completes the upload.
func (u *upload) run(ctx context.Context, first *objstore.Content, opt objstore.PutOptions) (objstore.Written, error) {
	if u.parts[0].Number != 0 {
		first.Body.Close() // stored by an earlier run; others may need its slot
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(u.cfg.PartsAtOnce)
	for i := range u.parts {
		if u.parts[i].Number != 0 {
			continue
		}
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if i == 0 {
				return u.storePart(gctx, i, first)
			}
			return u.storePart(gctx, i, nil)
		})
	}
	if err := g.Wait(); err != nil {
		return objstore.Written{}, err
	}
	sum := u.sum()
	done := objstore.CompleteOptions{IfAbsent: opt.IfAbsent, IfMatch: opt.IfMatch}
	if opt.WillCRC64 {
		done.CRC64 = sum
	}
	w, err := u.cfg.Dst.CompleteMultipart(ctx, u.a.key, u.id, u.parts, done)
	if err != nil {
		return w, completionError(err)
	}
	if sum.Set {
		err = u.verify(ctx, u.a.key, &u.info, sum.Sum, &w)
	}
	return w, err
}

// completionError makes a vanished upload a conflict, never a vanished source: either an earlier
// completion was done and its reply lost, or somebody aborted it. Looking at the
// destination again tells which.
func completionError(err error) error {
	if errors.Is(err, objstore.ErrNotFound) {
		return atDestination(fmt.Errorf("%w: upload is gone: %w", objstore.ErrPrecondition, err))
	}
	return atDestination(err)
}

// storePart moves one part, again and again while the reasons are transient.
func (u *upload) storePart(ctx context.Context, i int, open *objstore.Content) error {
	return u.cfg.Retry.Do(ctx, func() error {
		content := open
		open = nil // a second try reads afresh
		offset, length := u.cut.span(i, u.a.src.Size)
		if content == nil {
			var err error
			content, err = u.cfg.Src.Open(ctx, u.a.key, objstore.OpenOptions{IfMatch: u.a.src.ETag, Offset: offset, Length: length})
			if err != nil {
				return atSource(err)
			}
		}
		defer content.Body.Close()
		body := &reader{r: content.Body, c: u.Copier}
		part, err := u.cfg.Dst.PutPart(ctx, u.a.key, u.id, i+1, body, length, objstore.PartOptions{})
		if err != nil {
			return body.blame(err)
		}
		if part.CRC64.Set && part.CRC64.Sum != body.sum {
			return atDestination(fmt.Errorf("%w: part %d", ErrMismatch, i+1))
		}
		part.Number, part.Size, part.CRC64 = i+1, length, objstore.Checksum{Sum: body.sum, Set: true}
		u.parts[i] = part
		return u.rememberPart(part)
	})
}

// sum combines the parts' checksums; not set when a resumed part has none.
func (u *upload) sum() objstore.Checksum {
	total := objstore.Checksum{Set: true}
	for _, p := range u.parts {
		if !p.CRC64.Set {
			return objstore.Checksum{}
		}
		total.Sum = objstore.CombineCRC64(total.Sum, p.CRC64.Sum, p.Size)
	}
	return total
}

// giveUp aborts the upload unless a later run may take it up: only a remembered
// one, and only while the source is still what it was made from.
func (u *upload) giveUp(ctx context.Context, err error) {
	if u.known && (ctx.Err() != nil || objstore.Transient(err)) {
		return
	}
	u.abort(ctx, u.a.key, u.id)
	u.forget()
}

// abort forgets an upload even when ctx has ended; what fails here is left to the
// store's own clean-up of unfinished uploads.
func (c *Copier) abort(ctx context.Context, key, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = c.cfg.Dst.AbortMultipart(ctx, key, id)
}
