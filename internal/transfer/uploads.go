package transfer

import (
	"context"
	"errors"
	"slices"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Uploads remembers unfinished uploads that are ours. Its owner decides where: a
// state file, a database.
type Uploads interface {
	// Find returns the remembered upload to a destination key; ok is false when there is none.
	Find(to Target) (u Upload, ok bool)
	// Begin remembers a new upload before its first part.
	Begin(u Upload) error
	// Part remembers a stored part.
	Part(to Target, p objstore.Part) error
	// End forgets the upload: completed or aborted.
	End(to Target) error
}

// Target names a destination object across runs.
type Target struct {
	Service, Bucket string
	Key             string // whole, prefix included
}

// Upload is an unfinished upload and the state of the source it is made from.
type Upload struct {
	To       Target
	ID       string
	SrcETag  string
	Size     int64 // of the object
	PartSize int64
	Encrypt  string                // as it was begun with
	Parts    map[int]objstore.Part // stored so far, by number
}

func (u *upload) target() Target {
	id := u.cfg.Dst.Identity()
	return Target{id.Service, id.Bucket, id.Prefix + u.a.key}
}

// resume takes up the remembered upload when it was made from this very state of
// the source, is encrypted as it should be, and the store still has it; one that does not fit is aborted.
// While the store cannot be asked, the upload stays remembered: a later try, or run, asks.
func (u *upload) resume(ctx context.Context) (bool, error) {
	if u.cfg.Uploads == nil {
		return false, nil
	}
	old, ok := u.cfg.Uploads.Find(u.target())
	if !ok {
		return false, nil
	}
	if old.SrcETag == "" || old.SrcETag != u.a.src.ETag || old.Size != u.a.src.Size || old.PartSize != u.cut.size || old.Encrypt != u.cfg.Encrypt {
		u.abort(ctx, u.a.key, old.ID)
		_ = u.cfg.Uploads.End(u.target())
		return false, nil
	}
	stored, err := u.cfg.Dst.ListParts(ctx, u.a.key, old.ID)
	switch {
	case err == nil:
	case ctx.Err() != nil, objstore.Transient(err):
		return false, atDestination(err)
	default:
		u.abort(ctx, u.a.key, old.ID) // its parts may not be listed; or it is gone, which is no error
		_ = u.cfg.Uploads.End(u.target())
		return false, nil
	}
	u.id, u.known, u.taken = old.ID, true, true
	for _, p := range stored {
		mine, ok := old.Parts[p.Number]
		if !ok || p.Number > len(u.parts) || mine.ETag != p.ETag || mine.Size != p.Size {
			continue // stored, but the reply was lost: moved again
		}
		u.parts[p.Number-1] = mine
	}
	return true, nil
}

func (u *upload) remember() error {
	if u.cfg.Uploads == nil {
		return nil
	}
	u.known = true
	return u.cfg.Uploads.Begin(Upload{To: u.target(), ID: u.id, SrcETag: u.a.src.ETag, Size: u.a.src.Size, PartSize: u.cut.size, Encrypt: u.cfg.Encrypt})
}

func (u *upload) rememberPart(p objstore.Part) error {
	if !u.known {
		return nil
	}
	return u.cfg.Uploads.Part(u.target(), p)
}

func (u *upload) forget() {
	if u.known {
		_ = u.cfg.Uploads.End(u.target())
	}
}

// tag sets the tags of an object whose upload was taken up. Where they go with no request of
// an upload, only the driver that began it knows of them.
func (u *upload) tag(ctx context.Context, tags map[string]string, w *objstore.Written) error {
	if !u.taken || len(tags) == 0 || slices.Contains(w.Dropped, "tags") {
		return nil
	}
	err := u.cfg.Retry.Do(ctx, func() error { return u.cfg.Dst.SetTags(ctx, u.a.key, tags) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, objstore.ErrUnsupported), errors.Is(err, objstore.ErrDenied), errors.Is(err, objstore.ErrInvalid):
		w.Dropped = append(w.Dropped, "tags")
		return nil
	}
	return atDestination(err)
}
