package task

import "time"

// JobKind says what started a job and what it goes through.
type JobKind string

// The kinds of job.
const (
	ScanJob     JobKind = "scan"     // compares both listings
	EventsJob   JobKind = "events"   // keys named by events in one stretch of time
	ManifestJob JobKind = "manifest" // keys named by a list
	RetryJob    JobKind = "retry"    // new attempts of failed records, which stay in the job that requested them
	VerifyJob   JobKind = "verify"   // reads and compares, changes nothing
	ExternalJob JobKind = "external" // done and reported by somebody else's program
)

// JobState is how far a job is.
type JobState string

// The states of a job. A job goes forward only.
const (
	JobOpen       JobState = "open"       // takes records
	JobClosed     JobState = "closed"     // takes no more; some have not ended
	JobCancelling JobState = "cancelling" // its waiting records are being ended
	JobDone       JobState = "done"       // every record has ended, failed ones included
	JobCancelled  JobState = "cancelled"
	JobStopped    JobState = "stopped" // a guard ended it; Why says which
	JobFailed     JobState = "failed"  // could not go on; Why says why
)

// Ended says whether the job is over.
func (s JobState) Ended() bool {
	return s == JobDone || s == JobCancelled || s == JobStopped || s == JobFailed
}

// Job is bounded work with a beginning, an end and counts.
type Job struct {
	ID      JobID
	Task    ID // empty for an external job of no task
	Project ProjectID
	Kind    JobKind
	State   JobState
	Counts  Counts
	// Origin is the dialect that reports an external job; empty for one that Lockstep does.
	Origin Dialect
	// Subject is what an external job is about, e.g. a connector or an app; the task of one
	// that Lockstep does.
	Subject string

	StartedAt time.Time
	ClosedAt  time.Time // zero: open
	EndedAt   time.Time // zero: not ended
	// SourceTime is the source store's clock at the start of a scan: what was
	// written before it, the scan has seen. Zero before the first page of the source is
	// recorded, and when the store does not tell its clock.
	SourceTime time.Time
	// Why says in a sentence why the job was cancelled, stopped or failed.
	Why string
	// Listed says that the closing manifest is in the destination bucket.
	Listed bool
	// Ext holds what a dialect keeps beside the job, as JSON objects.
	Ext map[Dialect][]byte
}
