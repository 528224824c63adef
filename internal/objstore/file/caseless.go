package file

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"unicode"
)

// Some file systems take names that differ in case, or in the form of their accents, for
// one: APFS, exFAT, NTFS, SMB. There a key must not be written over an object of another
// spelling, nor into its directory, nor be deleted in its place. Only a look at all the
// names of a directory tells how the one that is there is spelled, so it is taken where the
// file system is known to do so, and by writes and deletes alone: keys that are read come
// from listings.

// otherCase returns name with the case of its letters turned, or name when it has none.
func otherCase(name string) string {
	return strings.Map(func(c rune) rune {
		if up := unicode.ToUpper(c); up != c {
			return up
		}
		return unicode.ToLower(c)
	}, name)
}

// ignoresCase reports whether name, which is in d, is found by another spelling too. Two names
// of one file look the same; taking them for one costs time and does no harm.
func (d dir) ignoresCase(name string) bool {
	other := otherCase(name)
	if other == name {
		return false
	}
	a, err := d.lstat(name)
	b, otherErr := d.lstat(other)
	return err == nil && otherErr == nil && a.kind == b.kind && a.size == b.size && a.mtime == b.mtime
}

// lookAtCase finds out how the file system is from what the bucket holds. An empty one is
// looked at once it has the reserved directory.
func (b *Bucket) lookAtCase() {
	f, err := b.root.self()
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	names, _ := f.Readdirnames(64)
	if slices.ContainsFunc(names, b.root.ignoresCase) {
		b.caseless.Store(true)
	}
}

// spelled reports whether what name leads to in d has that very name.
func (b *Bucket) spelled(d dir, name string) (bool, error) {
	if !b.caseless.Load() {
		return true, nil
	}
	f, err := d.self()
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	for {
		names, err := f.Readdirnames(1024)
		if slices.Contains(names, name) {
			return true, nil
		}
		if isEOF(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// spelledPath is spelled for every segment of a slash path, as far as the path exists.
func (b *Bucket) spelledPath(path string) (bool, error) {
	if path == "" || !b.caseless.Load() {
		return true, nil
	}
	if known := b.spelledLast.Load(); known != nil && *known == path {
		return true, nil
	}
	for end := 0; end < len(path); {
		if next := strings.IndexByte(path[end+1:], '/'); next >= 0 {
			end += 1 + next
		} else {
			end = len(path)
		}
		parent, name := splitKey(path[:end])
		at, err := b.root.walk(parent)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		_, err = at.lstat(name)
		same := errors.Is(err, fs.ErrNotExist)
		if err == nil {
			same, err = b.spelled(at, name)
		}
		at.close()
		if !same {
			return false, err
		}
	}
	b.spelledLast.Store(&path)
	return true, nil
}

// checkSpelling is ErrKey for a key in a directory that is spelled otherwise.
func (b *Bucket) checkSpelling(op, key, parent string) error {
	same, err := b.spelledPath(parent)
	if err == nil && !same {
		err = keyError(op, key, "a directory of the key is there in another spelling, which this file system takes for the same")
	}
	return err
}
