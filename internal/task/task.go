// Package task holds the words and rules of Lockstep: outcomes, the stable
// reasons behind them, and the error kinds every other package speaks. It
// imports the standard library alone and does no I/O.
package task

// Outcome is how a key ended. Pending is the zero value: it has not ended yet.
type Outcome uint8

// The outcomes of a key. requested = synced + failed + ignored + pending, always.
const (
	Pending Outcome = iota
	Synced          // copied to, or deleted at, the destination
	Failed
	Ignored
)

var outcomeNames = [...]string{"pending", "synced", "failed", "ignored"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown"
}

// Reason is the stable code that says why a key ended as it did. Reasons are
// written to lists, metrics and answers: never rename one.
type Reason string

// Reasons of synced keys.
const (
	Copied  Reason = "COPIED"
	Deleted Reason = "DELETED"
)

// Reasons of ignored keys.
const (
	// UpToDate: the comparison found both sides equal.
	UpToDate Reason = "UP_TO_DATE"
	// UpToDateButDifferent: mode oms ignores the key by size and time although
	// comparable ETags disprove equality.
	UpToDateButDifferent Reason = "UP_TO_DATE_BUT_DIFFERENT"
	// Excluded: a filter rule excludes the key; the rule's number is kept beside it.
	Excluded Reason = "EXCLUDED_BY_RULE"
	// DestinationExists: mode never leaves every existing destination object alone.
	DestinationExists Reason = "DESTINATION_EXISTS"
	// SourceGone: the key no longer exists at the source.
	SourceGone Reason = "SOURCE_GONE"
	// LiteralKey: the source does not hold the key but holds it with the plus signs as
	// they were written, and a record of its own was made for that one.
	LiteralKey Reason = "LITERAL_KEY"
	// Superseded: the key was named again while it was pending; the later record counts on.
	Superseded Reason = "SUPERSEDED"
	// DeleteSuperseded: a staged delete found the key back at the source.
	DeleteSuperseded Reason = "SOURCE_IS_BACK"
)

// Reasons of failed keys.
const (
	SourceDenied           Reason = "SRC_DENIED"
	SourceUnavailable      Reason = "SRC_UNAVAILABLE"
	SourceThrottled        Reason = "SRC_THROTTLED"
	SourceBucketMissing    Reason = "SRC_BUCKET_MISSING"
	SourceArchived         Reason = "SRC_ARCHIVED"
	SourceChanging         Reason = "SRC_CHANGING" // changed under every attempt to read it
	SourceCorrupt          Reason = "SRC_CORRUPT"  // bytes disagree with the source's own checksum
	SourceInvalid          Reason = "SRC_INVALID"  // the source refuses the request for a reason of its own
	DestinationDenied      Reason = "DST_DENIED"
	DestinationUnavailable Reason = "DST_UNAVAILABLE"
	DestinationThrottled   Reason = "DST_THROTTLED"
	DestinationBucketGone  Reason = "DST_BUCKET_MISSING"
	DestinationFull        Reason = "DST_FULL"
	DestinationConflict    Reason = "DST_CONFLICT" // somebody else keeps writing the key
	DestinationInvalid     Reason = "DST_INVALID"  // the destination refuses the request for a reason of its own
	KeyNotRepresentable    Reason = "KEY_NOT_REPRESENTABLE"
	TooLarge               Reason = "TOO_LARGE"
	ChecksumMismatch       Reason = "CHECKSUM_MISMATCH"
	Unsupported            Reason = "UNSUPPORTED"
	// DestinationInconsistent: the copy is there and fails the check that its task wants.
	DestinationInconsistent Reason = "DST_INCONSISTENT"
	// DestinationNotEncrypted: the destination refuses to encrypt the object as its task
	// wants, or took it and does not say that it did.
	DestinationNotEncrypted Reason = "DST_NOT_ENCRYPTED"
	InternalFailure         Reason = "INTERNAL"
)
