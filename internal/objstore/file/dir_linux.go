package file

import (
	"errors"

	"golang.org/x/sys/unix"
)

// openPlace asks only for a place in the tree, which needs no read permission.
const openPlace = unix.O_PATH

const placeFlags = openPlace | unix.O_DIRECTORY | unix.O_CLOEXEC

// resolve opens the directory at path below fd in one call. ELOOP for a path
// through a link.
func resolve(fd int, path string) (int, error) {
	return unix.Openat2(fd, path, &unix.OpenHow{
		Flags:   placeFlags,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
}

// canResolve reports whether openat2 is there: Linux has it since 5.6, but some
// container sandboxes refuse it.
func canResolve(fd int) bool {
	fd, err := resolve(fd, ".")
	if err != nil {
		return false
	}
	_ = unix.Close(fd)
	return true
}

// isUnresolved reports whether openat2 failed for a reason of its own: it gives
// up when something is renamed meanwhile.
func isUnresolved(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}

func renameNoReplace(from int, name string, to int, toName string) error {
	return unix.Renameat2(from, name, to, toName, unix.RENAME_NOREPLACE)
}

// traitsOf asks for the kind of file system. FUSE servers may make up inode
// numbers as they go, and network file systems report a failed write when the
// file is flushed or closed at the earliest.
func traitsOf(root dir) traits {
	var st unix.Statfs_t
	if err := unix.Fstatfs(root.fd, &st); err != nil {
		return traits{}
	}
	switch uint32(st.Type) {
	case unix.FUSE_SUPER_MAGIC:
		return traits{madeUpInodes: true, lateErrors: true}
	case unix.NFS_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.V9FS_MAGIC, unix.CEPH_SUPER_MAGIC:
		return traits{lateErrors: true}
	}
	return traits{}
}
