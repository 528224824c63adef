//go:build linux || darwin

package file

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// xattrName is the one extended attribute of an object.
const xattrName = "user.lockstep"

// hasXattrs reports whether the file system knows extended attributes, without
// setting one: asking for a missing one fails in two ways.
func (d dir) hasXattrs() bool {
	_, err := unix.Fgetxattr(d.fd, xattrName, nil)
	return err == nil || errors.Is(err, errNoAttr)
}

// getXattr returns the attribute of f, nil when it has none.
func getXattr(f *os.File) ([]byte, error) {
	var value []byte
	err := control(f, func(fd int) error {
		var small [256]byte
		n, err := unix.Fgetxattr(fd, xattrName, small[:])
		if err == nil {
			value = append([]byte(nil), small[:n]...)
			return nil
		}
		for errors.Is(err, unix.ERANGE) {
			if n, err = unix.Fgetxattr(fd, xattrName, nil); err != nil {
				break
			}
			value = make([]byte, n)
			n, err = unix.Fgetxattr(fd, xattrName, value)
			value = value[:max(n, 0)]
		}
		return err
	})
	if errors.Is(err, errNoAttr) || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	return value, err
}

func setXattr(f *os.File, value []byte) error {
	return control(f, func(fd int) error { return unix.Fsetxattr(fd, xattrName, value, 0) })
}

// control runs do with the descriptor of f, which stays open meanwhile.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var doErr error
	if err := raw.Control(func(fd uintptr) { doErr = do(int(fd)) }); err != nil {
		return err
	}
	return doErr
}
