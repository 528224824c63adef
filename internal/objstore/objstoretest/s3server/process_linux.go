package s3server

import (
	"os"
	"path/filepath"
	"syscall"
)

// dieWithParent has the kernel kill the server when the test process dies, even
// of kill -9 or a panic, when no cleanup runs.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// hasXattr reports whether files below dir can have user extended attributes.
func hasXattr(dir string) bool {
	probe := filepath.Join(dir, ".xattr-probe")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return false
	}
	err := syscall.Setxattr(probe, "user.lockstep", []byte("1"), 0)
	_ = os.Remove(probe)
	return err == nil
}
