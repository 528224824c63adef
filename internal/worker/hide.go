package worker

import (
	"context"
	"io"
	"iter"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// hiding is a whole bucket without the lists of our tasks: nobody sees, copies or
// deletes them through it.
type hiding struct {
	objstore.Bucket
	ours func(task.ID) bool
}

func (h *hiding) hides(key string) bool {
	id, ok := history.ListOwner(key)
	return ok && h.ours(id)
}

// List leaves lists out of the pages. Nearly all pages cannot hold any, and pass.
func (h *hiding) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		for page, err := range h.Bucket.List(ctx, opt) {
			if n := len(page.Objects); n > 0 && history.MayHoldLists(page.Objects[0].Key, page.Objects[n-1].Key) {
				page.Objects = h.visible(page.Objects)
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

func (h *hiding) visible(all []objstore.Object) []objstore.Object {
	kept := all[:0]
	for _, o := range all {
		if !h.hides(o.Key) {
			kept = append(kept, o)
		}
	}
	return kept
}

// check refuses what would touch a list: kind is how.
func (h *hiding) check(op, key string, kind error) error {
	if !h.hides(key) {
		return nil
	}
	return &objstore.Error{Kind: kind, Op: op, Key: key, Message: "the key belongs to the lists of a task"}
}

func (h *hiding) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if err := h.check("stat", key, objstore.ErrNotFound); err != nil {
		return objstore.Info{}, err
	}
	return h.Bucket.Stat(ctx, key)
}

func (h *hiding) Open(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
	if err := h.check("open", key, objstore.ErrNotFound); err != nil {
		return nil, err
	}
	return h.Bucket.Open(ctx, key, opt)
}

func (h *hiding) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	if err := h.check("put", key, objstore.ErrKey); err != nil {
		return objstore.Written{}, err
	}
	return h.Bucket.Put(ctx, key, body, size, opt)
}

func (h *hiding) CreateMultipart(ctx context.Context, key string, opt objstore.PutOptions) (string, error) {
	if err := h.check("create multipart", key, objstore.ErrKey); err != nil {
		return "", err
	}
	return h.Bucket.CreateMultipart(ctx, key, opt)
}

func (h *hiding) Copy(ctx context.Context, key string, src objstore.CopySource, opt objstore.PutOptions) (objstore.Written, error) {
	if err := h.check("copy", key, objstore.ErrKey); err != nil {
		return objstore.Written{}, err
	}
	return h.Bucket.Copy(ctx, key, src, opt)
}

func (h *hiding) Restore(ctx context.Context, key string, days int) error {
	if err := h.check("restore", key, objstore.ErrNotFound); err != nil {
		return err
	}
	return h.Bucket.Restore(ctx, key, days)
}

func (h *hiding) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	if err := h.check("delete", key, objstore.ErrKey); err != nil {
		return err
	}
	return h.Bucket.Delete(ctx, key, opt)
}

func (h *hiding) DeleteMany(ctx context.Context, keys []string) ([]error, error) {
	for _, key := range keys {
		if err := h.check("delete many", key, objstore.ErrKey); err != nil {
			return nil, err
		}
	}
	return h.Bucket.DeleteMany(ctx, keys)
}
