package objstore

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinels. Ask with errors.Is; every driver translates its store's answers to
// these in one function.
var (
	ErrNotFound       = errors.New("object not found")
	ErrBucketNotFound = errors.New("bucket not found")
	ErrDenied         = errors.New("access denied")
	ErrCredentials    = errors.New("credentials refused") // unknown, wrong or expired
	ErrClockSkew      = errors.New("clocks differ too much")
	ErrPrecondition   = errors.New("object is not in the expected state")
	ErrThrottled      = errors.New("store asks to slow down")
	ErrUnavailable    = errors.New("store unavailable") // transient: 5xx, reset, time-out, torn body
	ErrUnsupported    = errors.New("not supported by this store")
	ErrArchived       = errors.New("object is archived")
	ErrEncryption     = errors.New("store does not encrypt as it was asked to")
	ErrTooLarge       = errors.New("too large for this store")
	ErrChecksum       = errors.New("checksum mismatch") // the store refused the bytes it received
	ErrFull           = errors.New("no space left at the store")
	ErrKey            = errors.New("key cannot be held by this store") // KEY_NOT_REPRESENTABLE
	ErrInvalid        = errors.New("request refused by the store")
	// ErrUnsorted: a listing went backwards, so nothing may be concluded from it.
	ErrUnsorted = errors.New("listing is not sorted")
)

// Error is a store's refusal with what it said.
type Error struct {
	Kind      error  // one of the sentinels
	Op        string // list, stat, open, put, …
	Key       string // "" for the bucket
	Status    int    // HTTP status, 0 when none
	Code      string // the store's own code, e.g. SlowDown
	Message   string // the store's own words, without secrets
	RequestID string
	// RetryAfter is how long the store asks to wait; 0 when it does not say.
	RetryAfter time.Duration
	// Unconfirmed: a 404 without a body, which may speak of the bucket. Probe tells.
	Unconfirmed bool
	Err         error // the cause, e.g. a network error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Key != "" {
		fmt.Fprintf(&b, " %q", e.Key)
	}
	b.WriteString(": " + e.Kind.Error())
	if e.Status != 0 || e.Code != "" {
		fmt.Fprintf(&b, " (%s)", strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, e.Code)))
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap yields sentinel and cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Transient reports whether the same request may succeed later.
func Transient(err error) bool {
	return errors.Is(err, ErrThrottled) || errors.Is(err, ErrUnavailable)
}

// Unconfirmed reports whether err is a 404 that does not say of what.
func Unconfirmed(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Unconfirmed
}

// RetryAfter returns how long the store asked to wait; 0 when it did not.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
