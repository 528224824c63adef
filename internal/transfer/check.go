package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// ErrInconsistent: the object at the destination fails the check that is wanted after a
// copy. It stays there, as what the copy made: what it replaced is gone.
var ErrInconsistent = errors.New("the object at the destination fails the check after the copy")

// check looks at what a copy has made, as Config.Verify and Config.Encrypt say. It asks
// only for what the write has not told:
//
//	wanted               asked
//	encryption           the destination, when its answer to the write did not tell
//	size_last_modified   the destination
//	crc64                nothing, when both stores told their own sums
//	                     the source, when only it has not told
//	                     the destination, and then the source, when it has not told
func (c *Copier) check(ctx context.Context, a *attempt) error {
	var dst *objstore.Info
	if c.cfg.Encrypt != "" && !c.encrypted(a.written.Encryption) {
		var err error
		if dst, err = c.made(ctx, a.key); err != nil {
			return err
		}
		if !c.Encrypted(dst) {
			return atDestination(c.plain(a.key, dst))
		}
	}
	switch c.cfg.Verify {
	case "", task.VerifyTransmission:
		return nil
	case task.VerifyCRC64:
		if a.written.CRC64.Set {
			if err := c.learnSum(ctx, a); err != nil {
				return err
			}
		}
		if a.written.CRC64.Set && a.srcSum.Set {
			return sameSum(a.srcSum, a.written.CRC64)
		}
	}
	if dst == nil {
		var err error
		if dst, err = c.made(ctx, a.key); err != nil {
			return err
		}
	}
	if c.cfg.Verify == task.VerifyCRC64 && dst.CRC64.Set {
		if err := c.learnSum(ctx, a); err != nil {
			return err
		}
	}
	return c.fit(&objstore.Info{Object: a.src, CRC64: a.srcSum}, dst)
}

// learnSum asks the source for its checksum of what was copied, unless it was asked
// already or keeps none. A source that has changed since is copied again.
func (c *Copier) learnSum(ctx context.Context, a *attempt) error {
	if can := c.cfg.Src.Capabilities(); a.srcSum.Set || a.srcAsked || !can.ChecksumPut && !can.ChecksumComplete {
		return nil
	}
	info, err := c.cfg.Src.Stat(ctx, a.key)
	switch {
	case err != nil:
		return atSource(err)
	case info.ETag != a.src.ETag || info.Size != a.src.Size:
		return atSource(changed(a.key))
	}
	a.srcSum, a.srcAsked = info.CRC64, true
	return nil
}

// changed is the error for a source that is no longer what was read.
func changed(key string) error {
	return &objstore.Error{Kind: objstore.ErrPrecondition, Op: "stat", Key: key, Message: "the object changed while it was copied"}
}

// made looks at the object that a copy has made.
func (c *Copier) made(ctx context.Context, key string) (*objstore.Info, error) {
	info, err := c.cfg.Dst.Stat(ctx, key)
	if errors.Is(err, objstore.ErrNotFound) {
		err = fmt.Errorf("%w: %w", ErrInconsistent, err)
	}
	if err != nil {
		return nil, atDestination(err)
	}
	return &info, nil
}

// fit checks the states of both sides against each other; without checks wanted all fit.
func (c *Copier) fit(src, dst *objstore.Info) error {
	if !c.Encrypted(dst) {
		return atDestination(c.plain(dst.Key, dst))
	}
	switch c.cfg.Verify {
	case task.VerifyCRC64:
		if src.CRC64.Set && dst.CRC64.Set {
			return sameSum(src.CRC64, dst.CRC64)
		}
	case task.VerifySizeTime:
	default:
		return nil
	}
	return c.sameSizeNotOlder(&src.Object, &dst.Object)
}

func sameSum(src, dst objstore.Checksum) error {
	if src.Sum == dst.Sum {
		return nil
	}
	return atDestination(fmt.Errorf("%w: CRC64NVME %016x, at the source %016x", ErrInconsistent, dst.Sum, src.Sum))
}

// sameSizeNotOlder wants equal sizes, and a destination that is certainly not older: by
// the stores' own times, which count only as far as both show them. A time that a store
// does not say is not held against the object.
func (c *Copier) sameSizeNotOlder(src, dst *objstore.Object) error {
	if src.Size != dst.Size {
		return atDestination(fmt.Errorf("%w: %d bytes, at the source %d", ErrInconsistent, dst.Size, src.Size))
	}
	if !src.ModTime.IsZero() && plan.Later(src.ModTime.Add(-c.cfg.VerifySkew), dst.ModTime) {
		const form = "2006-01-02T15:04:05.999Z07:00"
		return atDestination(fmt.Errorf("%w: last modified %s, at the source %s",
			ErrInconsistent, dst.ModTime.UTC().Format(form), src.ModTime.UTC().Format(form)))
	}
	return nil
}

// Encrypted reports whether an object at the destination is encrypted as it should be.
func (c *Copier) Encrypted(dst *objstore.Info) bool { return c.encrypted(dst.Encryption) }

// encrypted takes what a store says of an object. A variant of what was asked for, like
// aws:kms:dsse, will do.
func (c *Copier) encrypted(said string) bool {
	want := c.cfg.Encrypt
	return want == "" || said == want || strings.HasPrefix(said, want+":")
}

// plain is the error for an object that the destination does not say to be encrypted.
func (c *Copier) plain(key string, dst *objstore.Info) error {
	said := "without encryption"
	if dst.Encryption != "" {
		said = "as " + dst.Encryption
	}
	return &objstore.Error{
		Kind: objstore.ErrEncryption, Op: "check", Key: key,
		Message: "the store took the object and keeps it " + said + ", not " + c.cfg.Encrypt,
	}
}
