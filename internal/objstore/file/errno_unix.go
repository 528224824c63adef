//go:build linux || darwin

package file

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// kindOfErrno is translate's table.
func kindOfErrno(err error) (message string, kind error) {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return "", nil
	}
	switch errno {
	case unix.ENOSPC:
		return "", objstore.ErrFull
	case unix.EDQUOT:
		return "the quota is used up", objstore.ErrFull
	case unix.EROFS:
		return "the file system is read-only", objstore.ErrDenied
	case unix.ENAMETOOLONG, unix.EILSEQ:
		return "the file system cannot hold such a name", objstore.ErrKey
	case unix.ENOTDIR:
		return "an object is where a directory would have to be", objstore.ErrKey
	case unix.ELOOP:
		return "the path leads through a symbolic link", objstore.ErrKey
	case unix.EISDIR, unix.ENOTEMPTY:
		return "a directory with objects has this name", objstore.ErrKey
	case unix.EFBIG:
		return "", objstore.ErrTooLarge
	case unix.ENOTSUP:
		return "", objstore.ErrUnsupported
	case unix.EXDEV:
		return "another file system is mounted inside the bucket", objstore.ErrUnsupported
	}
	return "", nil
}

func isNotDir(err error) bool { return errors.Is(err, unix.ENOTDIR) }
func isLink(err error) bool   { return errors.Is(err, unix.ELOOP) }

// isNoRoom reports whether an extended attribute was refused for its size: ext4
// has one block for all of them and says ENOSPC.
func isNoRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.E2BIG) ||
		errors.Is(err, unix.ERANGE) || errors.Is(err, unix.ENOTSUP)
}

// isSystemError tells an error of the system from one of package os, like the
// refusal to follow a link out of an os.Root.
func isSystemError(err error) bool {
	var errno unix.Errno
	return errors.As(err, &errno)
}
