package file

import (
	"io/fs"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// kind is what a name in a directory leads to.
type kind uint8

const (
	kindUnknown kind = iota
	kindFile
	kindDir
	kindLink
	kindSpecial // device, fifo, socket
)

// state is what the file system says of a file.
type state struct {
	kind  kind
	size  int64
	mtime int64  // ns since 1970
	ctime int64  // ns since 1970; 0 where there is none
	inode uint64 // 0 where there is none
	links uint64 // names the file has
}

// sameContent reports whether an open file that was in state s has the same
// content now. One that has lost its last name meanwhile was replaced or deleted
// as a whole, which changes its change time but no byte of it.
func (s state) sameContent(now state) bool {
	return s.size == now.size && s.mtime == now.mtime && s.inode == now.inode &&
		(s.ctime == now.ctime || now.links == 0)
}

func (s state) modTime() time.Time { return time.Unix(0, s.mtime).UTC() }

// traits are the weaknesses of a file system.
type traits struct {
	madeUpInodes bool // inode numbers may change from one look to the next
	lateErrors   bool // writes may fail unseen until the file is flushed
}

// etagger makes ETags.
type etagger struct{ noInode bool }

// append writes the ETag of a state. The inode tells a replaced file from the
// old one where both have the same time; the change time, kept as its distance from the
// modification time, tells a file that was rewritten and given its old
// modification time back.
func (e etagger) append(p []byte, s state) []byte {
	p = strconv.AppendUint(p, uint64(s.mtime), 16)
	p = append(p, '-')
	p = strconv.AppendUint(p, uint64(s.size), 16)
	if !e.noInode {
		p = append(p, '-')
		p = strconv.AppendUint(p, s.inode, 16)
	}
	delta := s.ctime - s.mtime
	p = append(p, '-')
	return strconv.AppendUint(p, uint64(delta<<1^delta>>63), 16)
}

func (e etagger) of(s state) string {
	var buf [72]byte
	return string(e.append(buf[:0], s))
}

func (e etagger) object(key string, s state) objstore.Object {
	return objstore.Object{Key: key, Size: s.size, ModTime: s.modTime(), ETag: e.of(s)}
}

var lastTime atomic.Int64

// nextTime is the time in ns, later than all it has returned in this process.
// Kernels stamp files with a clock of a few milliseconds; two objects of one
// size written under one key within a tick must not look alike.
func nextTime() int64 {
	for {
		last := lastTime.Load()
		now := max(time.Now().UnixNano(), last+1)
		if lastTime.CompareAndSwap(last, now) {
			return now
		}
	}
}

func kindOfMode(mode fs.FileMode) kind {
	switch {
	case mode.IsRegular():
		return kindFile
	case mode.IsDir():
		return kindDir
	case mode&fs.ModeSymlink != 0:
		return kindLink
	}
	return kindSpecial
}
