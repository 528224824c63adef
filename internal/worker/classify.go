// Package worker runs the work: partitions of scans, which compare two listings
// and say what differs, and the settling of single keys. classify.go alone turns
// storage errors into reasons.
package worker

import (
	"context"
	"errors"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// verdict is a storage error's reason on either side.
type verdict struct {
	kind     error
	src, dst task.Reason
}

// verdicts is in order of precedence: the first kind that matches decides.
var verdicts = [...]verdict{
	{transfer.ErrChanging, task.SourceChanging, task.SourceChanging},
	{transfer.ErrMismatch, task.ChecksumMismatch, task.ChecksumMismatch},
	{transfer.ErrInconsistent, task.DestinationInconsistent, task.DestinationInconsistent},
	{objstore.ErrEncryption, task.SourceInvalid, task.DestinationNotEncrypted},
	{objstore.ErrChecksum, task.SourceCorrupt, task.ChecksumMismatch},
	{objstore.ErrKey, task.SourceInvalid, task.KeyNotRepresentable},
	{objstore.ErrTooLarge, task.SourceInvalid, task.TooLarge},
	{objstore.ErrFull, task.SourceInvalid, task.DestinationFull},
	{objstore.ErrArchived, task.SourceArchived, task.DestinationInvalid},
	{objstore.ErrDenied, task.SourceDenied, task.DestinationDenied},
	{objstore.ErrCredentials, task.SourceDenied, task.DestinationDenied},
	{objstore.ErrClockSkew, task.SourceDenied, task.DestinationDenied},
	{objstore.ErrBucketNotFound, task.SourceBucketMissing, task.DestinationBucketGone},
	{objstore.ErrPrecondition, task.SourceChanging, task.DestinationConflict},
	{objstore.ErrThrottled, task.SourceThrottled, task.DestinationThrottled},
	{objstore.ErrUnavailable, task.SourceUnavailable, task.DestinationUnavailable},
	{objstore.ErrUnsupported, task.Unsupported, task.Unsupported},
	{objstore.ErrInvalid, task.SourceInvalid, task.DestinationInvalid},
	{objstore.ErrNotFound, task.SourceGone, task.DestinationInvalid},
}

// Classify returns the stable reason of a failed transfer and whether trying the
// same key again later may succeed.
func Classify(err error) (reason task.Reason, again bool) {
	at := transfer.Destination
	if side, ok := errors.AsType[*transfer.SideError](err); ok {
		at = side.Side
	}
	again = objstore.Transient(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	for _, v := range verdicts {
		if !errors.Is(err, v.kind) {
			continue
		}
		if at == transfer.Source {
			return v.src, again
		}
		return v.dst, again
	}
	return task.InternalFailure, again
}
