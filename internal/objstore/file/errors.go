package file

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// translate wraps an error of the operating system with the sentinel it means
// for op on key. Errors that are translated already, and those of a context,
// pass.
func translate(op, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case isTranslated(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	e := &objstore.Error{Op: op, Key: key, Err: err}
	if message, kind := kindOfErrno(err); kind != nil {
		e.Kind, e.Message = kind, message
		return e
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Kind = objstore.ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		e.Kind = objstore.ErrDenied
	default:
		// An I/O error, too many open files, a stale handle: another attempt may do.
		e.Kind = objstore.ErrUnavailable
	}
	return e
}

// isTranslated reports whether err is no raw error of the system: ours already,
// or the caller's.
func isTranslated(err error) bool {
	if _, ok := errors.AsType[*bodyError](err); ok {
		return true
	}
	_, ok := errors.AsType[*objstore.Error](err)
	return ok
}

// isAbsent reports whether err says that a path leads to nothing a reader may
// see: no such name, a file or a link where a directory should be.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || isNotDir(err) || isLink(err)
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func precondition(op, key, message string) error {
	return &objstore.Error{Kind: objstore.ErrPrecondition, Op: op, Key: key, Message: message}
}

func invalid(op, key, message string) error {
	return &objstore.Error{Kind: objstore.ErrInvalid, Op: op, Key: key, Message: message}
}
