// Package transfer does what plan decided about one key: it copies (in one
// request, as a stream, in parts, or inside the service), compares contents, or
// deletes, and reports the outcome. It decides nothing about other keys, counts
// nothing and knows no queue; worker turns its errors into reasons.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Config says between which buckets and how.
type Config struct {
	Src, Dst objstore.Bucket
	Retry    retry.Policy
	// Uploads remembers unfinished uploads so that a later run resumes or aborts
	// them; nil remembers none, and an upload that fails is aborted at once.
	Uploads Uploads
	// PartsAtOnce is how many parts of one object move at a time; 0 means 4.
	PartsAtOnce int
	// Plain leaves behind what an object has beside its bytes, Content-Type and
	// Content-Encoding excepted.
	Plain bool
	// Class is the storage class of what is written; empty: the destination's default;
	// task.KeepClass: the source object's.
	Class string
	// Encrypt is how the destination is to encrypt what is written, as in
	// objstore.PutOptions; empty: as its bucket says. An object that it does not say to
	// be encrypted so has failed.
	Encrypt string
	// Verify is what of a copy is checked once it is there; VerifySkew is how far the
	// destination's clock may be behind the source's.
	Verify     task.Verify
	VerifySkew time.Duration
	// Paced says that reads of Src are limited in bytes. Copies inside a service whose
	// bytes pass through this machine are then made by reading too.
	Paced bool
	// Moved counts bytes received from the source; may be nil.
	Moved *atomic.Int64
}

// Copier settles keys, one call each. It may be called concurrently for
// different keys; one key has one caller.
type Copier struct {
	cfg      Config
	srcID    objstore.Identity
	sameSite bool        // both ends are one service that may copy inside itself
	noInside atomic.Bool // the service refused to copy inside itself
	checks   bool        // something is checked after a copy
}

// New returns a Copier. It starts nothing.
func New(cfg Config) *Copier {
	if cfg.PartsAtOnce == 0 {
		cfg.PartsAtOnce = 4
	}
	if cfg.Moved == nil {
		cfg.Moved = new(atomic.Int64)
	}
	c := &Copier{cfg: cfg, srcID: cfg.Src.Identity()}
	c.checks = cfg.Encrypt != "" || cfg.Verify != "" && cfg.Verify != task.VerifyTransmission
	c.sameSite = c.srcID.Service == cfg.Dst.Identity().Service && !(cfg.Paced && c.srcID.Local())
	return c
}

// Result is how one key ended.
type Result struct {
	Outcome task.Outcome
	Reason  task.Reason // of synced and ignored keys; worker finds that of Err
	Size    int64       // bytes at the destination, of synced keys
	Dropped []string    // what the destination did not keep, as objstore.Written.Dropped
	Err     error       // why it failed; a *SideError
}

// Side names the store an error speaks of.
type Side string

// The sides.
const (
	Source      Side = "source"
	Destination Side = "destination"
)

// SideError is a store's error with the side it came from.
type SideError struct {
	Side Side
	Err  error
}

func (e *SideError) Error() string { return fmt.Sprintf("%s: %v", e.Side, e.Err) }
func (e *SideError) Unwrap() error { return e.Err }

func atSource(err error) error      { return &SideError{Source, err} }
func atDestination(err error) error { return &SideError{Destination, err} }

func sideOf(err error) Side {
	if s, ok := errors.AsType[*SideError](err); ok {
		return s.Side
	}
	return Destination
}

// ErrChanging: the source object changed under every attempt to read it.
var ErrChanging = errors.New("object keeps changing while it is read")

// ErrMismatch: both stores' own words about the bytes disagree after the copy.
var ErrMismatch = errors.New("contents differ after the copy")

// Do carries out the item's verdict. It may be repeated after a crash: the
// second call finds the same or newer source and ends in the same state.
func (c *Copier) Do(ctx context.Context, item plan.Item) Result {
	switch item.Verb {
	case plan.Copy:
		return c.copy(ctx, item)
	case plan.Compare:
		return c.compare(ctx, item)
	case plan.Delete:
		return c.Remove(ctx, []plan.Item{item})[0]
	default:
		return Result{Outcome: task.Ignored, Reason: item.Reason}
	}
}

// attempt is what is known of both sides before one try.
type attempt struct {
	key       string
	src, dst  objstore.Object
	dstAbsent bool
	opened    *objstore.Content // of src, from its beginning; nil: to be opened
	// What this try wrote, and the source's own checksum of what it read.
	written  objstore.Written
	srcSum   objstore.Checksum
	srcAsked bool // for its checksum
}

// maxChanges bounds how often a key starts afresh because a side moved under it.
const maxChanges = 5

// copy tries until the key is in step, a side refuses for good, or patience ends.
func (c *Copier) copy(ctx context.Context, item plan.Item) Result {
	return c.try(ctx, attempt{key: item.Key, src: item.Src, dst: item.Dst, dstAbsent: item.DstAbsent})
}

// Streams reports whether the bytes of copies pass through here, so that CopyOpen saves a
// request.
func (c *Copier) Streams() bool { return !c.inside(0) }

// CopyOpen is Do of a Copy whose source object was opened, whole, instead of looked at.
// What does not go in one piece is read afresh. The content may be closed before the
// caller does so.
func (c *Copier) CopyOpen(ctx context.Context, item plan.Item, content *objstore.Content) Result {
	return c.try(ctx, attempt{key: item.Key, src: item.Src, dst: item.Dst, dstAbsent: item.DstAbsent, opened: content})
}

func (c *Copier) try(ctx context.Context, a attempt) Result {
	var fails, changes int
	policy := c.cfg.Retry
	for {
		res, err := c.once(ctx, &a)
		if err == nil {
			err = c.lookAfter(ctx, &a)
		}
		if err == nil && c.checks {
			err = c.check(ctx, &a)
		}
		if err == nil {
			return res
		}
		var again bool
		switch {
		case ctx.Err() != nil:
			return failed(err)
		case sideOf(err) == Source && errors.Is(err, objstore.ErrNotFound):
			return c.sourceGone(ctx, err)
		case errors.Is(err, objstore.ErrPrecondition), errors.Is(err, ErrMismatch), errors.Is(err, objstore.ErrChecksum):
			changes++
			if changes > maxChanges {
				return failed(giveUp(err))
			}
			if res, done := c.refresh(ctx, &a, err); done {
				return res
			}
			again = changes == 1 || retry.Sleep(ctx, policy.Wait(changes, nil))
		case objstore.Transient(err):
			fails++
			again = fails < policy.Tries() && retry.Sleep(ctx, policy.Wait(fails, err))
		}
		if !again {
			return failed(err)
		}
	}
}

func failed(err error) Result { return Result{Outcome: task.Failed, Err: err} }

func giveUp(err error) error {
	if sideOf(err) == Source && errors.Is(err, objstore.ErrPrecondition) {
		if side, ok := errors.AsType[*SideError](err); ok {
			err = side.Err
		}
		return atSource(fmt.Errorf("%w: %w", ErrChanging, err))
	}
	return err
}

// once makes one try by the cheapest way that fits.
func (c *Copier) once(ctx context.Context, a *attempt) (Result, error) {
	if a.opened == nil && c.inside(a.src.Size) {
		res, err := c.copyInside(ctx, a)
		if !refusedInside(err) {
			return res, err
		}
		c.noInside.Store(true)
	}
	cut := c.layout(a.src)
	if cut.whole() {
		return c.copyWhole(ctx, a)
	}
	if a.opened != nil {
		a.opened.Body.Close()
		a.opened = nil
	}
	return c.copyParts(ctx, a, cut)
}

// lookAfter sees whether the source has changed since it was read, where no later run
// could: without ETags to compare, a destination written after the change passes for
// its copy. The error is then ErrPrecondition, and the key is copied again. A source that
// cannot be asked leaves the copy as it is.
func (c *Copier) lookAfter(ctx context.Context, a *attempt) error {
	if c.bothMD5() && a.written.ETag == a.src.ETag {
		return nil
	}
	now, err := c.cfg.Src.Stat(ctx, a.key)
	if err != nil {
		return nil
	}
	if now.ETag != a.src.ETag || now.Size != a.src.Size {
		return atSource(changed(a.key))
	}
	if a.srcAsked = true; now.CRC64.Set {
		a.srcSum = now.CRC64
	}
	return nil
}

// sourceGone tells a vanished object from a vanished bucket.
func (c *Copier) sourceGone(ctx context.Context, err error) Result {
	if objstore.Unconfirmed(err) {
		if perr := c.cfg.Src.Probe(ctx); perr != nil {
			return failed(atSource(perr))
		}
	}
	return Result{Outcome: task.Ignored, Reason: task.SourceGone}
}

// refresh looks at both sides again after one was not as expected. done says that
// the key has ended: the source is gone, or the destination already is what this
// copy would write, because the reply to an earlier write was lost.
func (c *Copier) refresh(ctx context.Context, a *attempt, cause error) (res Result, done bool) {
	src, err := c.cfg.Src.Stat(ctx, a.key)
	if errors.Is(err, objstore.ErrNotFound) {
		return c.sourceGone(ctx, err), true
	}
	if err != nil {
		return failed(atSource(err)), true
	}
	dst, err := c.cfg.Dst.Stat(ctx, a.key)
	switch {
	case errors.Is(err, objstore.ErrNotFound):
		a.dst, a.dstAbsent = objstore.Object{}, true
	case err != nil:
		return failed(atDestination(err)), true
	case errors.Is(cause, objstore.ErrPrecondition) && c.provenEqual(&src, &dst) && c.fit(&src, &dst) == nil:
		return Result{Outcome: task.Synced, Reason: task.Copied, Size: dst.Size}, true
	default:
		a.dst, a.dstAbsent = dst.Object, false
	}
	a.src, a.srcSum, a.srcAsked = src.Object, src.CRC64, true
	return Result{}, false
}

// provenEqual reports whether what the stores say proves both contents equal.
func (c *Copier) provenEqual(src, dst *objstore.Info) bool {
	if src.Size != dst.Size {
		return false
	}
	if src.CRC64.Set && dst.CRC64.Set {
		return src.CRC64.Sum == dst.CRC64.Sum
	}
	return c.bothMD5() && !src.OpaqueETag && !dst.OpaqueETag && src.ETag != "" && src.ETag == dst.ETag
}

// bothMD5 reports whether ETags can be compared. Those of what is encrypted with a managed
// key are no MD5s, whatever the store's usually are.
func (c *Copier) bothMD5() bool {
	return c.cfg.Encrypt == "" && c.cfg.Src.Capabilities().ETag == objstore.ETagMD5 && c.cfg.Dst.Capabilities().ETag == objstore.ETagMD5
}
