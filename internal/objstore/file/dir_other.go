//go:build !linux && !darwin

package file

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// noBlock: nothing here waits on opening.
const noBlock = 0

// dir is a directory of the bucket, named by its path below an os.Root, which
// keeps every operation inside the bucket. Links on the way are refused by a
// look before each use; a link made in between leads elsewhere in the bucket at most.
type dir struct {
	root *os.Root
	path string // "." is the bucket itself
}

func openRoot(_ string, links *os.Root) (dir, error) { return dir{root: links, path: "."}, nil }

func (d dir) close() {}

func (d dir) in(name string) string { return path.Join(d.path, name) }

func (d dir) walk(rel string) (dir, error) {
	if rel == "" {
		return d, nil
	}
	for name := range strings.SplitSeq(rel, "/") {
		next, err := d.enter(name)
		if err != nil {
			return dir{}, err
		}
		d = next
	}
	return d, nil
}

func (d dir) enter(name string) (dir, error) {
	s, err := d.lstat(name)
	switch {
	case err != nil:
		return dir{}, err
	case s.kind == kindLink:
		return dir{}, syscall.ELOOP
	case s.kind != kindDir:
		return dir{}, syscall.ENOTDIR
	}
	return dir{root: d.root, path: d.in(name)}, nil
}

func (d dir) open(name string) (dir, error) { return d.enter(name) }

func (d dir) self() (*os.File, error) { return d.root.Open(d.path) }

func (d dir) file(name string, flag int) (*os.File, error) {
	if s, err := d.lstat(name); err == nil && s.kind == kindLink {
		return nil, syscall.ELOOP
	}
	return d.root.OpenFile(d.in(name), flag, 0o666)
}

func (d dir) lstat(name string) (state, error) {
	info, err := d.root.Lstat(d.in(name))
	if err != nil {
		return state{}, err
	}
	return stateOfInfo(info), nil
}

func (d dir) lstatPath(rel string) (state, error) { return d.lstat(rel) }

func (d dir) mkdir(name string) error { return d.root.Mkdir(d.in(name), 0o777) }

func (d dir) remove(name string) error { return d.root.Remove(d.in(name)) }

func (d dir) rmdir(name string) error { return d.root.Remove(d.in(name)) }

func (d dir) rename(name string, to dir, toName string) error {
	return d.root.Rename(d.in(name), to.in(toName))
}

// renameNew links where it can; elsewhere it looks before it renames.
func (d dir) renameNew(name string, to dir, toName string) error {
	if err := d.root.Link(d.in(name), to.in(toName)); err == nil {
		return d.remove(name)
	}
	if _, err := to.lstat(toName); err == nil {
		return fs.ErrExist
	}
	return d.rename(name, to, toName)
}

func (d dir) setTime(name string, ns int64) error {
	t := time.Unix(0, ns)
	return d.root.Chtimes(d.in(name), t, t)
}

// sync does nothing: a directory cannot be flushed here.
func (d dir) sync() error { return nil }

func fileState(f *os.File) (state, error) {
	info, err := f.Stat()
	if err != nil {
		return state{}, err
	}
	return stateOfInfo(info), nil
}

func traitsOf(dir) traits { return traits{} }

func (d dir) hasXattrs() bool { return false }

func getXattr(*os.File) ([]byte, error) { return nil, nil }

func setXattr(*os.File, []byte) error { return nil }
