package file

import (
	"bytes"
	"context"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// direntBuffer is how many bytes of directory entries are asked for at a time.
const direntBuffer = 64 << 10

// Offsets in a struct linux_dirent64, see getdents64(2).
const (
	direntReclen = 16
	direntType   = 18
	direntName   = 19
)

// readNames gives add every name in d but "." and "..", in no order, with its
// kind where the file system says it. The name is valid during the call.
func (d dir) readNames(ctx context.Context, buf []byte, add func(name []byte, k kind) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := unix.Getdents(d.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		for rest := buf[:n]; len(rest) > direntName; {
			size := int(binary.NativeEndian.Uint16(rest[direntReclen:]))
			if size <= direntName || size > len(rest) {
				return unix.EIO
			}
			name, _, _ := bytes.Cut(rest[direntName:size], []byte{0})
			k := kindOfDirent(rest[direntType])
			rest = rest[size:]
			if string(name) == "." || string(name) == ".." {
				continue
			}
			if err := add(name, k); err != nil {
				return err
			}
		}
	}
}

func kindOfDirent(t byte) kind {
	switch t {
	case unix.DT_REG:
		return kindFile
	case unix.DT_DIR:
		return kindDir
	case unix.DT_LNK:
		return kindLink
	case unix.DT_UNKNOWN:
		return kindUnknown
	}
	return kindSpecial
}
