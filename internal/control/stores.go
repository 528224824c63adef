package control

import (
	"context"
	"errors"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Stores opens buckets.
type Stores interface {
	// Bucket returns the bucket at l, or the part of it below l.Prefix, whose keys are
	// then without the prefix. The endpoint is one of the project.
	Bucket(ctx context.Context, project task.ProjectID, l task.Location) (objstore.Bucket, error)
}

func (c *Control) bucket(ctx context.Context, project task.ProjectID, l task.Location) (objstore.Bucket, error) {
	if c.cfg.Stores == nil {
		return nil, &task.Error{Kind: task.Unavailable, Code: "NO_STORES", Text: "this process opens no buckets", Next: "ask a process of role all"}
	}
	return c.cfg.Stores.Bucket(ctx, project, l)
}

// storeCodes name what a store answered. They are stable.
var storeCodes = []struct {
	err  error
	code string
}{
	{objstore.ErrNotFound, "NOT_FOUND"},
	{objstore.ErrBucketNotFound, "BUCKET_NOT_FOUND"},
	{objstore.ErrCredentials, "CREDENTIALS_REFUSED"},
	{objstore.ErrDenied, "DENIED"},
	{objstore.ErrClockSkew, "CLOCK_SKEW"},
	{objstore.ErrThrottled, "THROTTLED"},
	{objstore.ErrUnsupported, "UNSUPPORTED"},
	{objstore.ErrArchived, "ARCHIVED"},
	{objstore.ErrFull, "FULL"},
	{objstore.ErrKey, "KEY_NOT_REPRESENTABLE"},
	{objstore.ErrTooLarge, "TOO_LARGE"},
	{objstore.ErrInvalid, "INVALID"},
	{objstore.ErrUnavailable, "UNAVAILABLE"},
	{context.DeadlineExceeded, "TIMEOUT"},
}

// storeCode names what a store answered; "" is nil.
func storeCode(err error) string {
	if err == nil {
		return ""
	}
	for _, c := range storeCodes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	var e *task.Error
	if errors.As(err, &e) && e.Code != "" {
		return e.Code
	}
	return "ERROR"
}
