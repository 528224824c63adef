//go:build !linux && !darwin

package file

import (
	"errors"
	"syscall"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Windows error codes that package syscall does not name.
const (
	errWriteProtect   = syscall.Errno(19)
	errHandleDiskFull = syscall.Errno(39)
	errDiskFull       = syscall.Errno(112)
	errInvalidName    = syscall.Errno(123)
	errDirNotEmpty    = syscall.Errno(145)
	errNameTooLong    = syscall.Errno(206)
	errDirectory      = syscall.Errno(267)
)

// kindOfErrno is translate's table.
func kindOfErrno(err error) (kind error, message string) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return nil, ""
	}
	switch errno {
	case errHandleDiskFull, errDiskFull:
		return objstore.ErrFull, ""
	case errWriteProtect:
		return objstore.ErrDenied, "the file system is read-only"
	case errInvalidName, errNameTooLong:
		return objstore.ErrKey, "the file system cannot hold such a name"
	case errDirectory, syscall.ENOTDIR:
		return objstore.ErrKey, "an object is where a directory would have to be"
	case syscall.ELOOP:
		return objstore.ErrKey, "the path leads through a symbolic link"
	case errDirNotEmpty, syscall.EISDIR, syscall.ENOTEMPTY:
		return objstore.ErrKey, "a directory with objects has this name"
	}
	return nil, ""
}

func isNotDir(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, errDirectory)
}
func isLink(err error) bool { return errors.Is(err, syscall.ELOOP) }
func isDirInWay(err error) bool {
	return errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, errDirNotEmpty)
}
func isNoRoom(error) bool { return false }

func isSystemError(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}
