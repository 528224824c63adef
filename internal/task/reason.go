package task

import (
	"slices"
	"strconv"
	"strings"
)

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

// failureReasons are all with which a record can end failed.
var failureReasons = []Reason{
	SourceGone, SourceDenied, SourceUnavailable, SourceThrottled, SourceBucketMissing, SourceArchived, SourceChanging,
	SourceCorrupt, SourceInvalid, DestinationDenied, DestinationUnavailable, DestinationThrottled, DestinationBucketGone,
	DestinationFull, DestinationConflict, DestinationInvalid, KeyNotRepresentable, TooLarge, ChecksumMismatch, Unsupported,
	DestinationInconsistent, DestinationNotEncrypted, InternalFailure, TaskDeleted,
}

// CheckFailureReason refuses, Invalid, what no record fails with: whoever selects failures
// by it would wait for what never comes. Empty selects all.
func CheckFailureReason(r Reason) error {
	if r == "" || slices.Contains(failureReasons, r) {
		return nil
	}
	var known strings.Builder
	for i, f := range failureReasons {
		if i > 0 {
			known.WriteString(", ")
		}
		known.WriteString(string(f))
	}
	return &Error{
		Kind: Invalid, Code: "UNKNOWN_REASON", Text: "no record fails with the reason " + strconv.QuoteToASCII(firstBytes(string(r))),
		Next: "use one of " + known.String(),
	}
}

// firstBytes is as much of what a client sent as is worth repeating.
func firstBytes(s string) string { return s[:min(len(s), 64)] }
