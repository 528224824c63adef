package file

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Delete removes an object and the directories it leaves empty. What is no
// object stays.
func (b *Bucket) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	removed, err := b.remove(key, opt.IfMatch)
	if err != nil || !removed {
		return err
	}
	parent, _ := splitKey(key)
	return translate("delete", key, b.flush(b.prune(parent, ""), nil))
}

// DeleteMany removes objects, and flushes each directory once.
func (b *Bucket) DeleteMany(ctx context.Context, keys []string) ([]error, error) {
	if len(keys) > maxDeleteMany {
		return nil, invalid("delete many", "", "more than 1,000 keys")
	}
	perKey := make([]error, len(keys))
	parents := make(map[string]struct{})
	for i, key := range keys {
		if err := ctx.Err(); err != nil {
			return perKey, err
		}
		removed, err := b.remove(key, "")
		if errors.Is(err, objstore.ErrBucketNotFound) {
			return perKey, err
		}
		perKey[i] = err
		if removed {
			parent, _ := splitKey(key)
			parents[parent] = struct{}{}
		}
	}
	flush := make(map[string]struct{})
	// Deep directories first: a parent is empty once its children are gone.
	for _, parent := range slices.Backward(slices.Sorted(maps.Keys(parents))) {
		flush[b.prune(parent, "")] = struct{}{}
	}
	for path := range flush {
		if err := b.flush(path, nil); err != nil {
			return perKey, translate("delete many", "", err)
		}
	}
	return perKey, nil
}

// remove deletes the object key, if it is there and has the ETag match.
func (b *Bucket) remove(key, match string) (removed bool, err error) {
	if why := checkKey(key); key == "" {
		return false, keyError("delete", key, why)
	} else if why != "" {
		return false, b.alive("delete") // no such object can exist
	}
	defer b.lockKey(key).Unlock()
	parent, name := splitKey(key)
	at, err := b.root.walk(parent)
	if err == nil {
		defer at.close()
		var same bool
		if same, err = b.spelledPath(parent); same {
			removed, err = b.removeAt(key, at, name, match)
		}
	}
	if isAbsent(err) {
		return false, b.alive("delete")
	}
	return removed, translate("delete", key, err)
}

func (b *Bucket) removeAt(key string, at dir, name, match string) (bool, error) {
	entry, err := at.lstat(name)
	if err != nil {
		return false, err
	}
	if same, err := b.spelled(at, name); err != nil || !same {
		return false, err // one of another spelling is another object
	}
	s := entry
	if entry.kind == kindLink {
		if s, err = b.follow(key); err != nil {
			return false, err
		}
	}
	if s.kind != kindFile {
		return false, nil
	}
	if match != "" && match != b.etag.of(s) {
		return false, precondition("delete", key, "the object has another ETag")
	}
	if err := at.remove(name); err != nil {
		return false, err
	}
	return true, b.dropSidecar(key, s)
}

// prune removes the directory at path and its parents below top as far as they
// are empty, and returns the path of the first that stays. A write that is about
// to use one of them makes it again.
func (b *Bucket) prune(path, top string) string {
	for path != top && path != "" {
		parent, name := splitKey(path)
		at, err := b.root.walk(parent)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return path
		}
		if err == nil {
			err = at.rmdir(name)
			at.close()
			b.spelledLast.Store(nil) // the next one to make it may spell it otherwise
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return path
		}
		path = parent
	}
	return path
}
