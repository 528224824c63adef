//go:build !linux && !darwin

package file

import "io/fs"

// stateOfInfo is the state as package os tells it: without inode and change time.
func stateOfInfo(info fs.FileInfo) state {
	s := state{size: info.Size(), mtime: info.ModTime().UnixNano(), kind: kindOfMode(info.Mode())}
	s.ctime, s.links = s.mtime, 1
	return s
}
