package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = &task.Error{
	Kind: task.Unavailable, Code: "INTERRUPTED", Text: "stopped before the end",
	Next: "run the same command to go on: what is done stays done",
}

// advice is code and next step of an error whose place did not name them.
var advice = []struct {
	kind       error
	code, next string
}{
	{errInterrupted, errInterrupted.Code, errInterrupted.Next},
	{context.Canceled, errInterrupted.Code, errInterrupted.Next},
	{objstore.ErrBucketNotFound, "BUCKET_NOT_FOUND", "check the bucket's name and the endpoint"},
	{objstore.ErrCredentials, "CREDENTIALS_REFUSED", "check the access keys of that side, and that they have not expired"},
	{fs.ErrPermission, "ACCESS_DENIED", "let this user read the directory, or run as one who may"},
	{objstore.ErrDenied, "ACCESS_DENIED", "allow the access key to list the bucket"},
	{objstore.ErrClockSkew, "CLOCK_SKEW", "set this machine's clock"},
	{objstore.ErrUnsorted, "LISTING_UNSORTED", "the store lists keys out of order, so nothing was concluded from it; tell us which store it is"},
	{objstore.ErrThrottled, "STORE_BUSY", "run the same command later, or with --limit-requests"},
	{objstore.ErrUnavailable, "STORE_UNREACHABLE", "check endpoint and network, then run the same command to go on"},
	{context.DeadlineExceeded, "STORE_UNREACHABLE", "check endpoint and network, then run the same command to go on"},
}

// renderError writes an error, or each of several joined ones, as
//
//	error: TEXT
//	  code: CODE
//	  cause: what the system or the store said
//	  next: what to do
func renderError(w io.Writer, err error) {
	if several := unjoin(err); len(several) > 1 {
		for _, e := range several {
			renderError(w, e)
		}
		return
	}
	e := describe(err)
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\n  code: %s\n", oneLine(e.Text), e.Code)
	if e.Err != nil && !strings.Contains(e.Text, e.Err.Error()) {
		fmt.Fprintf(&b, "  cause: %s\n", oneLine(e.Err.Error()))
	}
	if e.Next != "" {
		fmt.Fprintf(&b, "  next: %s\n", oneLine(e.Next))
	}
	_, _ = io.WriteString(w, b.String())
}

// unjoin returns the errors that errors.Join put together to make err. An error
// that wraps several for another reason has a text of its own and stays whole.
func unjoin(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var texts []string
	for _, e := range joined.Unwrap() {
		texts = append(texts, e.Error())
	}
	if strings.Join(texts, "\n") != err.Error() {
		return nil
	}
	return joined.Unwrap()
}

// describe makes err a task.Error with a code. Words that were put around one
// stay in front of its text.
func describe(err error) task.Error {
	var e task.Error
	if told, ok := errors.AsType[*task.Error](err); ok {
		e = *told
	}
	e.Text = err.Error()
	for _, a := range advice {
		if e.Code == "" && errors.Is(err, a.kind) {
			e.Code = a.code
			if e.Next == "" {
				e.Next = a.next
			}
		}
	}
	if e.Code == "" {
		e.Code = [...]string{"INTERNAL", "INVALID", "NOT_FOUND", "CONFLICT", "DENIED", "UNAVAILABLE"}[e.Kind]
	}
	return e
}

// usageError is a command line that cannot be read.
func usageError(cmd *cobra.Command, err error) error {
	if told, ok := errors.AsType[*task.Error](err); ok {
		return told
	}
	return &task.Error{Kind: task.Invalid, Code: "USAGE", Text: err.Error(), Next: "see " + cmd.CommandPath() + " --help"}
}

// asUsage makes an error of cobra's own, like an unknown subcommand or a missing flag, a
// usage error. They have no type; what they begin with is cobra's.
func asUsage(cmd *cobra.Command, err error) error {
	text := err.Error()
	if _, ok := errors.AsType[*task.Error](err); ok {
		return err
	}
	for _, begin := range []string{"unknown command", "required flag(s)", "accepts ", "requires at least "} {
		if strings.HasPrefix(text, begin) {
			text, similar, _ := strings.Cut(text, "\n")
			if words := strings.Fields(similar); len(words) > 3 { // Did you mean this? NAME…
				text += "; did you mean " + words[len(words)-1] + "?"
			}
			return usageError(cmd, errors.New(text))
		}
	}
	return err
}
