package queue

import (
	"context"
	"iter"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// ListKind says what a list names.
type ListKind int8

// The kinds of list. Their lines are those of the history package.
const (
	ListReceived ListKind = iota // keys as they were named
	ListSynced
	ListFailed
	ListIgnored
	// ListRetried takes back a line of a failed list: the record got another outcome,
	// or failed anew with a line of its own.
	ListRetried
	// ListUnstarted is failed lines of records on which no work could begin, because a
	// store refused the task as a whole.
	ListUnstarted
)

// ListFile is a list that is to become an object in the destination bucket. What
// it holds and its name are fixed from the moment it is sealed, so that writing it
// twice writes the same bytes.
type ListFile struct {
	Num      int64 // the store's own number
	Task     task.ID
	Job      task.JobID
	JobStart time.Time
	Kind     ListKind
	SealedAt time.Time // whole milliseconds; no two files of a job and kind share it
	Lines    int64
}

// ListObject is what was written.
type ListObject struct {
	Name   string
	Bytes  int64
	SHA256 [32]byte
}

// Outbox hands list lines, which were stored by the transactions that settled their
// keys, to an uploader.
type Outbox interface {
	// SealLists makes files of the rows that wait: of those of ended jobs, of those
	// whose first line is older than age, and of those with lines or more. A file holds
	// at most 100,000 lines and one row more.
	SealLists(ctx context.Context, age time.Duration, lines int64) (sealed int, err error)
	// SealedLists returns the files that have not been confirmed, oldest first, but those of
	// some tasks.
	SealedLists(ctx context.Context, limit int, but ...task.ID) ([]ListFile, error)
	// ListText yields the text of a sealed file in pieces of whole lines. A piece is
	// valid until the next one.
	ListText(ctx context.Context, f ListFile) iter.Seq2[[]byte, error]
	// ConfirmList drops the rows of an uploaded file and remembers the object.
	ConfirmList(ctx context.Context, f ListFile, o ListObject) error
	// UnlistedJobs returns ended jobs whose lists have all been uploaded since their
	// closing manifest was last written, but those of some tasks; ManifestWritten takes a
	// job off it. A job of which a list was given up has no manifest: it would not add up.
	UnlistedJobs(ctx context.Context, limit int, but ...task.ID) ([]task.Job, error)
	JobLists(ctx context.Context, job task.JobID) ([]UploadedList, error)
	ManifestWritten(ctx context.Context, job task.JobID) error
}

// UploadedList is a list in the destination bucket.
type UploadedList struct {
	ListFile
	ListObject
}
