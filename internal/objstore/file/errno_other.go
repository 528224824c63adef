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
func kindOfErrno(err error) (message string, kind error) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return "", nil
	}
	switch errno {
	case errHandleDiskFull, errDiskFull:
		return "", objstore.ErrFull
	case errWriteProtect:
		return "the file system is read-only", objstore.ErrDenied
	case errInvalidName, errNameTooLong:
		return "the file system cannot hold such a name", objstore.ErrKey
	case errDirectory, syscall.ENOTDIR:
		return "an object is where a directory would have to be", objstore.ErrKey
	case syscall.ELOOP:
		return "the path leads through a symbolic link", objstore.ErrKey
	case errDirNotEmpty, syscall.EISDIR, syscall.ENOTEMPTY:
		return "a directory with objects has this name", objstore.ErrKey
	}
	return "", nil
}

func isNotDir(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, errDirectory)
}
func isLink(err error) bool { return errors.Is(err, syscall.ELOOP) }
func isNoRoom(error) bool   { return false }

func isSystemError(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}
