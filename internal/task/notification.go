package task

import "time"

// NoticeEvent is something that a project wants to be told of.
type NoticeEvent string

// What is told.
const (
	NoticeJobFailed       NoticeEvent = "job.failed"       // a job ended with failures, or could not go on
	NoticeGuardStopped    NoticeEvent = "guard.stopped"    // a guard stopped deletes of a job
	NoticeScheduleSkipped NoticeEvent = "schedule.skipped" // a start by the clock was skipped
	NoticeRecovered       NoticeEvent = "recovered"        // after one of the first two: a job ended well, and no failure is open
)

// Notification is where a project is told of trouble: a URL, and a key that what is sent
// there is signed with.
type Notification struct {
	ID        string
	Project   ProjectID
	URL       string
	Events    []NoticeEvent // none: all
	Sealed    []byte
	CreatedAt time.Time
	SentAt    time.Time // when the last one arrived
	Error     string    // of the last attempt; empty: it arrived
}

// Notice is what is told, as JSON.
type Notice struct {
	Event    NoticeEvent `json:"event"`
	At       time.Time   `json:"at"`
	Project  ProjectID   `json:"project"`
	Task     ID          `json:"task"`
	TaskName string      `json:"task_name"`
	Job      JobID       `json:"job,omitempty"`
	Kind     JobKind     `json:"kind,omitempty"`
	State    JobState    `json:"state,omitempty"`
	Counts   *Counts     `json:"counts,omitempty"`
	Why      string      `json:"why,omitempty"`
}
