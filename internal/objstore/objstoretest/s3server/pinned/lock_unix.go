//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package pinned

import (
	"errors"
	"os"
	"syscall"
)

// lock waits until this process alone holds the file at path. The kernel frees
// the lock of a process that dies, so the file may stay.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
