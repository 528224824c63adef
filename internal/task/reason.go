package task

// Reasons of keys that ended without being worked on.
const (
	// AlreadyPending: a scan found the key while a record for it was waiting; that record counts on.
	AlreadyPending Reason = "ALREADY_PENDING"
	// Cancelled: the job was cancelled before the key's turn.
	Cancelled Reason = "CANCELLED"
	// TaskDeleted: the task was deleted before the key's turn (failed).
	TaskDeleted Reason = "TASK_DELETED"
	// GuardStopped: the guard refused the deletes of a scan.
	GuardStopped Reason = "GUARD_STOPPED"
)

// SourceRestoring: the object is archived, was asked back, and is waited for.
const SourceRestoring Reason = "SRC_RESTORING"
