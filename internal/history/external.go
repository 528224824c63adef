package history

import (
	"bytes"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// ExternalJob is a job as a dialect lists it: one that somebody else's program does and
// reports, or one of Lockstep's own with the words that dialects have for it.
type ExternalJob struct {
	task.Job

	// Type is the dialect's word for the kind of sync. Of managed jobs: full for scans,
	// else incremental.
	Type string
	// Status is the dialect's word for how far it is. Of managed jobs: in_progress,
	// canceling, completed, canceled, or error, which a completed job with failures is too.
	Status    string
	ChangedAt time.Time
}

// Managed says whether Lockstep does the job itself.
func (j ExternalJob) Managed() bool { return j.Origin == "" }

// Same says whether nothing of j that a dialect may change differs from k.
func (j ExternalJob) Same(k ExternalJob) bool {
	return j.Subject == k.Subject && j.Type == k.Type && j.Status == k.Status && j.State == k.State && j.Why == k.Why &&
		j.Counts == k.Counts && j.StartedAt.Equal(k.StartedAt) && j.EndedAt.Equal(k.EndedAt) && bytes.Equal(j.Ext[j.Origin], k.Ext[k.Origin])
}

// TaskSync is how the jobs of a task stand.
type TaskSync struct {
	Latest  ExternalJob // the one that began last
	EndedAt time.Time   // when a job of it ended last; zero: none has
}

// ExternalReport is the first that Lockstep hears of an external job.
type ExternalReport struct {
	// ID may be of the dialect's own making; empty: one is made. Conflict when it is taken.
	ID      task.JobID
	Subject string
	// Name is what people call the subject; empty: what it was.
	Name   string
	Type   string
	Status string
	// State is what Status means; empty: open. A job that has ended needs EndedAt.
	State     task.JobState
	Counts    task.Counts
	StartedAt time.Time // zero: now
	EndedAt   time.Time
	Why       string
	// Ext is what the dialect keeps beside the job, a JSON object; nil: {}.
	Ext []byte
}

// ExternalSort is an order of a list of external jobs.
type ExternalSort string

// The orders. Equal ones are in the order of their making, and so is every group.
const (
	SortCreated ExternalSort = "" // by when Lockstep heard of it first
	SortChanged ExternalSort = "changed"
	SortType    ExternalSort = "type"
	SortStatus  ExternalSort = "status"
)

// ExternalFilter selects jobs of a project as a dialect lists them: those it reports,
// those that Lockstep does, or both.
type ExternalFilter struct {
	Origin task.Dialect // of the external ones; empty: none
	// Subject narrows the external ones; empty: all.
	Subject string
	Managed bool // those that Lockstep does, too
	// Task narrows the managed ones; empty: all.
	Task task.ID
	// Types and Statuses narrow both; nil: all. Empty but not nil: none.
	Types    []string
	Statuses []string

	// Bare leaves out what the dialects keep beside the jobs.
	Bare bool

	Sort      ExternalSort
	Ascending bool
	// StatusWord is the word by which SortStatus orders a status; nil: itself.
	StatusWord func(status string) string
}

// MaxExternalRow is the last row of a list that can be asked for: pages beyond are refused.
const MaxExternalRow = 10_000

// MaxPageBytes bounds what dialects keep beside the rows of one page of a list of theirs:
// a page is in memory as a whole, several times over. One that has more is refused.
const MaxPageBytes = 16 << 20

// ExternalSubject is what external jobs are about, e.g. a connector or an app.
type ExternalSubject struct {
	Origin task.Dialect
	ID     string
	Name   string
	// Every is how often it is expected to sync; 0: nobody knows.
	Every       time.Duration
	CreatedAt   time.Time
	ReportedAt  time.Time // zero: never
	SucceededAt time.Time // zero: never
}

// Late says whether a sync is overdue: the last success, or the making of the subject, is
// longer ago than Every and half as much again.
func (s ExternalSubject) Late(now time.Time) bool {
	since := s.SucceededAt
	if since.IsZero() {
		since = s.CreatedAt
	}
	return s.Every > 0 && now.Sub(since) > s.Every+s.Every/2
}

// ExternalTally is how many external jobs of a dialect have a status.
type ExternalTally struct {
	Origin task.Dialect
	Status string
	Jobs   int64
}
