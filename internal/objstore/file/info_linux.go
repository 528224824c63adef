package file

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// stateOfInfo is the state behind what package os says of a file.
func stateOfInfo(info fs.FileInfo) state {
	s := state{size: info.Size(), mtime: info.ModTime().UnixNano(), kind: kindOfMode(info.Mode())}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.ctime, s.inode, s.links = unix.TimespecToNsec(unix.Timespec(st.Ctim)), st.Ino, uint64(st.Nlink)
	}
	return s
}
