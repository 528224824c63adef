package task

import (
	"errors"
	"fmt"
)

// Kind says what an error means to the one who asked. Each dialect maps kinds
// to its own status codes and bodies in one table.
type Kind uint8

// The kinds. Internal is the zero value: an unclassified error is our fault.
const (
	Internal    Kind = iota
	Invalid          // the request is wrong; repeating it cannot help
	NotFound         // what it names does not exist
	Conflict         // not in this state, or not beside what exists
	Denied           // not with these credentials
	Unavailable      // not now; the same request may succeed later
)

// Error is an error with a kind, a stable code and advice for the reader.
type Error struct {
	Kind Kind
	Code string // stable, upper case with underscores, e.g. BUCKET_NOT_FOUND
	Text string // what is wrong, one sentence, no secrets
	Next string // what to do about it; may be empty
	Err  error  // the cause; for logs and errors.Is, not for clients
}

func (e *Error) Error() string {
	if e.Err != nil && e.Text == "" {
		return e.Err.Error()
	}
	return e.Text
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind. Like fmt.Errorf it wraps the operand of %w.
func Errorf(kind Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Text: err.Error(), Err: errors.Unwrap(err)}
}

// KindOf reports the kind of err; errors of strangers are Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}
