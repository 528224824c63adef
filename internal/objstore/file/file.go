// Package file is the driver for directories: a directory is a bucket, a
// regular file below it is an object whose key is the slash-separated path.
//
// What is an object. Regular files, and symbolic links that lead to a regular
// file inside the bucket by relative steps. Other links, links to directories,
// devices, sockets and fifos are no objects: they are not listed, not opened,
// not replaced and not deleted. Directories have no existence of their own:
// Put makes the parents it needs, Delete removes those it leaves empty.
//
// What a key cannot be. Anything a path cannot say: an empty segment, "." or
// "..", a segment over 255 bytes, a NUL, "a" beside "a/b", "a" beside "A" where the
// file system takes them for one name, a path through a symbolic link, a segment named
// Reserved. Writing such a key fails with
// objstore.ErrKey and changes nothing; reading one fails with an error that is
// both ErrNotFound and ErrKey.
//
// Durability. A write goes to a temporary file on the same file system, is
// flushed, and is renamed over the key; a reader sees the old object or the new
// one. The directory is flushed too, one flush for all the writers that wait for
// it: a key counts as synced once Put returns, and a power cut may undo a rename
// that was not flushed. Options.NoSync leaves both flushes out.
//
// Conditions. IfAbsent is atomic against every program (rename without
// replacing, or link). IfMatch is checked and obeyed under a lock per key that
// all buckets of this process share; another process can slip in between the
// check and the rename, which are microseconds apart.
//
// ETags are opaque: size, times and inode of the file. They change with the
// content, and also when metadata or tags are changed.
//
// Metadata, tags, storage class, part layout and CRC64 are kept in the extended
// attribute user.lockstep, or in a sidecar file below Reserved where the file
// system has none, or not enough room. Listings do not read it: Object.Class is
// empty there.
package file

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Reserved names the directory that holds temporary files, unfinished uploads
// and sidecars. It is hidden at every level, so that a bucket inside a bucket
// does not show its own.
const Reserved = ".lockstep"

// Options of a bucket. The zero value is a durable bucket on an existing directory.
type Options struct {
	// Create makes the directory, and its parents, when it does not exist.
	Create bool
	// NoSync leaves flushing to the operating system: a power cut may lose or
	// shorten objects written shortly before. A crash of the process alone loses
	// nothing. Files on network file systems are flushed all the same, for only
	// then do those say that a write has failed.
	NoSync bool
	// Sidecars keeps metadata in sidecar files even where there are extended attributes.
	Sidecars bool
	// SpillDir is where listings of huge directories keep sorted runs; "" is os.TempDir.
	// The files are unlinked as soon as they are made.
	SpillDir string
}

// Limits of a bucket.
const (
	maxKey        = 4095 // bytes of a path, PATH_MAX without its NUL
	maxSegment    = 255  // bytes of a name, NAME_MAX
	maxParts      = 10_000
	maxDeleteMany = 1_000
	pageSize      = 1_000
)

// Bucket is a directory used as a bucket.
type Bucket struct {
	path     string // resolved and absolute
	opt      Options
	root     dir      // for all but links
	links    *os.Root // follows links without leaving the directory
	identity os.FileInfo
	etag     etagger

	flushFiles bool        // before they are renamed
	exactTimes atomic.Bool // the file system keeps times to the nanosecond
	xattrs     bool        // the file system has extended attributes
	caseless   atomic.Bool // the file system takes names that differ in case for one
	// spelledLast is the path of the directory that was last seen to be spelled so.
	spelledLast atomic.Pointer[string]
	sidecars    atomic.Bool // there are, or may be, sidecar files
	reserve     reserve
	flushes     flusher
	sort        sortLimits

	mu      sync.Mutex
	sources map[string]*Bucket // other buckets copied from, by path
	retired []*Bucket          // earlier ones, whose directory is gone
}

var _ objstore.Bucket = (*Bucket)(nil)

// Open returns the directory at path as a bucket. It reads only; the reserved
// directory is made by the first write. ErrBucketNotFound when there is no such
// directory, ErrDenied when it may not be entered.
func Open(path string, opt Options) (*Bucket, error) {
	if opt.Create {
		if err := os.MkdirAll(path, 0o777); err != nil {
			return nil, translate("open bucket", "", err)
		}
	}
	resolved, err := filepath.Abs(path)
	if err == nil {
		resolved, err = filepath.EvalSymlinks(resolved)
	}
	if err != nil {
		return nil, bucketError("open bucket", err)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return nil, bucketError("open bucket", err)
	}
	if !info.IsDir() {
		return nil, &objstore.Error{Kind: objstore.ErrBucketNotFound, Op: "open bucket", Message: resolved + " is not a directory"}
	}
	links, err := os.OpenRoot(resolved)
	if err != nil {
		return nil, bucketError("open bucket", err)
	}
	root, err := openRoot(resolved, links)
	if err != nil {
		_ = links.Close()
		return nil, bucketError("open bucket", err)
	}
	weak := traitsOf(root)
	b := &Bucket{
		path: resolved, opt: opt, root: root, links: links, identity: info,
		etag: etagger{noInode: weak.madeUpInodes}, xattrs: !opt.Sidecars && root.hasXattrs(),
		flushFiles: !opt.NoSync || weak.lateErrors,
		sort:       defaultSortLimits,
	}
	_, err = root.lstatPath(Reserved + "/" + sidecarDir)
	b.sidecars.Store(!b.xattrs || err == nil)
	b.lookAtCase()
	return b, nil
}

// Close removes the reserved directory if nothing is left in it and releases
// the directory. No method may be running, or be called later.
func (b *Bucket) Close() error {
	b.reserve.close(b)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, src := range slices.AppendSeq(b.retired, maps.Values(b.sources)) {
		_ = src.Close()
	}
	b.sources, b.retired = nil, nil
	b.root.close()
	return b.links.Close()
}

// Identity says where the bucket is.
func (b *Bucket) Identity() objstore.Identity {
	return objstore.Identity{Service: "file", Bucket: b.path}
}

// Capabilities says what a directory can do.
func (b *Bucket) Capabilities() objstore.Capabilities {
	return objstore.Capabilities{
		Provider:         "file",
		Conditional:      objstore.ConditionalFull,
		ETag:             objstore.ETagOpaque,
		ChecksumPut:      true,
		ChecksumComplete: true,
		MaxKey:           maxKey,
		MaxParts:         maxParts,
		MaxCopy:          math.MaxInt64,
		DeleteMany:       maxDeleteMany,
		Tags:             true,
		Meta:             true,
		PartLayout:       true,
		NonUTF8Keys:      nonUTF8Keys,
	}
}

// Probe reports whether the directory is still there, still the same one, and
// may be listed.
func (b *Bucket) Probe(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.alive("probe"); err != nil {
		return err
	}
	f, err := b.root.self()
	if err != nil {
		return translate("probe", "", err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Readdirnames(1); err != nil && !isEOF(err) {
		return translate("probe", "", err)
	}
	return nil
}

// alive tells a missing object from a missing bucket: ErrBucketNotFound when
// the path leads nowhere, or to another directory than the one opened, as after
// an unmount.
func (b *Bucket) alive(op string) error {
	info, err := os.Stat(b.path)
	if err != nil {
		return bucketError(op, err)
	}
	if !os.SameFile(info, b.identity) {
		return &objstore.Error{
			Kind: objstore.ErrBucketNotFound, Op: op,
			Message: b.path + " is no longer the directory that was opened",
		}
	}
	return nil
}

// notFound is the error of a key that is not there, or of a bucket that is not.
func (b *Bucket) notFound(op, key string) error {
	if err := b.alive(op); err != nil {
		return err
	}
	return &objstore.Error{Kind: objstore.ErrNotFound, Op: op, Key: key}
}

// bucketError translates an error about the directory itself.
func bucketError(op string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return &objstore.Error{Kind: objstore.ErrBucketNotFound, Op: op, Err: err}
	}
	return translate(op, "", err)
}
