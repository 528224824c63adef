package queue

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Scans is what the runner of scans asks beside their partitions.
type Scans interface {
	// Job returns a job with its counts. NotFound.
	Job(ctx context.Context, id task.JobID) (task.Job, error)
	// HearsEvents says whether events should have told of what the scan finds: the
	// task had got some before the scan began, and an earlier scan was complete.
	HearsEvents(ctx context.Context, scan task.JobID) (bool, error)
	// ComparedScans returns up to limit scans that have not ended, whose partitions
	// have all been compared, and which have staged deletes.
	ComparedScans(ctx context.Context, limit int) ([]task.JobID, error)
}
