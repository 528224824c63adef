package queue

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Notices keeps what is to be told until it has arrived.
type Notices interface {
	// ClaimNotices returns up to limit notices that are due, for this caller alone until
	// the lease is over.
	ClaimNotices(ctx context.Context, limit int, lease time.Duration) ([]Notice, error)
	// EndNotice says that a notice has arrived, or that it never will: why not.
	EndNotice(ctx context.Context, n Notice, why string) error
	// DelayNotice has a notice that did not arrive tried again.
	DelayNotice(ctx context.Context, n Notice, after time.Duration, why string) error
}

// Notice is one that is claimed.
type Notice struct {
	Num      int64
	To       task.Notification
	Event    task.NoticeEvent
	Body     []byte
	MadeAt   time.Time
	Attempts int // before this one
}
