//go:build linux || darwin

package file

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// noBlock keeps the opening of a file from waiting for the other end of a fifo.
const noBlock = unix.O_NONBLOCK

// dir is an open directory of the bucket. Methods take one name and never
// follow a link with it; those that end in Path take a slash path and never
// follow a link on the way. The descriptor pins the directory: nothing that
// happens to the path above it can lead out of the bucket.
type dir struct {
	fd       int
	borrowed bool // close leaves the descriptor alone
	fast     bool // the kernel resolves whole paths (openat2)
}

func openRoot(path string, _ *os.Root) (dir, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return dir{}, err
	}
	return dir{fd: fd, fast: canResolve(fd)}, nil
}

func (d dir) close() {
	if !d.borrowed {
		_ = unix.Close(d.fd)
	}
}

// walk opens the directory at a slash path below d, d itself for "", for use
// as a place: it can be searched and changed, but not read.
func (d dir) walk(path string) (dir, error) {
	if path == "" {
		return dir{fd: d.fd, borrowed: true}, nil
	}
	if d.fast {
		if fd, err := resolve(d.fd, path); err == nil || !isUnresolved(err) {
			return dir{fd: fd}, err
		}
	}
	at := dir{fd: d.fd, borrowed: true}
	for rest, more := path, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		next, err := at.enter(name)
		at.close()
		if err != nil {
			return dir{}, err
		}
		at = next
	}
	return at, nil
}

// enter opens the directory name as a place. ELOOP for a link.
func (d dir) enter(name string) (dir, error) {
	fd, err := openat(d.fd, name, openPlace|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOTDIR) {
		// With O_DIRECTORY a link answers ENOTDIR too.
		if s, e := d.lstat(name); e == nil && s.kind == kindLink {
			err = unix.ELOOP
		}
	}
	return dir{fd: fd}, err
}

// open opens the directory name for reading its names.
func (d dir) open(name string) (dir, error) {
	fd, err := openat(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	return dir{fd: fd}, err
}

// self opens d once more, for reading its names and flushing it.
func (d dir) self() (*os.File, error) {
	fd, err := openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "."), nil
}

// file opens the file name. Flags are those of package os.
func (d dir) file(name string, flag int) (*os.File, error) {
	if flag&unix.O_CREAT == 0 {
		flag |= noBlock // should it be a fifo by now
	}
	fd, err := openat(d.fd, name, flag|unix.O_NOFOLLOW, 0o666)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (d dir) lstat(name string) (state, error) {
	var st unix.Stat_t
	for {
		switch err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err {
		case nil:
			return stateOf(&st), nil
		case unix.EINTR:
		default:
			return state{}, err
		}
	}
}

func (d dir) lstatPath(path string) (state, error) {
	parent, name := splitKey(path)
	at, err := d.walk(parent)
	if err != nil {
		return state{}, err
	}
	defer at.close()
	return at.lstat(name)
}

func (d dir) mkdir(name string) error  { return unix.Mkdirat(d.fd, name, 0o777) }
func (d dir) remove(name string) error { return unix.Unlinkat(d.fd, name, 0) }
func (d dir) rmdir(name string) error  { return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) }

// rename moves name, replacing a file at its new place.
func (d dir) rename(name string, to dir, toName string) error {
	return unix.Renameat(d.fd, name, to.fd, toName)
}

// renameNew moves name to a place where nothing is: EEXIST otherwise.
func (d dir) renameNew(name string, to dir, toName string) error {
	err := renameNoReplace(d.fd, name, to.fd, toName)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	// NFS cannot rename so; a second name followed by the loss of the first is the same.
	if err := unix.Linkat(d.fd, name, to.fd, toName, 0); err != nil {
		return err
	}
	return d.remove(name)
}

// setTime sets the modification time of name, in ns.
func (d dir) setTime(name string, ns int64) error {
	ts := unix.NsecToTimespec(ns)
	return unix.UtimesNanoAt(d.fd, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// sync flushes the names in d. File systems that cannot flush a directory need not.
func (d dir) sync() error {
	f, err := d.self()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}

// fileState is the state of an open file.
func fileState(f *os.File) (state, error) {
	var st unix.Stat_t
	if err := control(f, func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		return state{}, err
	}
	return stateOf(&st), nil
}

func stateOf(st *unix.Stat_t) state {
	s := state{
		size:  st.Size,
		mtime: unix.TimespecToNsec(st.Mtim),
		ctime: unix.TimespecToNsec(st.Ctim),
		inode: st.Ino,
		links: uint64(st.Nlink),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		s.kind = kindFile
	case unix.S_IFDIR:
		s.kind = kindDir
	case unix.S_IFLNK:
		s.kind = kindLink
	default:
		s.kind = kindSpecial
	}
	return s
}

// openat is open(2) below a descriptor, again after a signal.
func openat(at int, name string, flag int, perm uint32) (int, error) {
	for {
		fd, err := unix.Openat(at, name, flag|unix.O_CLOEXEC, perm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
