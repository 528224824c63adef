package s3

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Delete implements objstore.Bucket.
func (b *Bucket) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	if err := b.traits.Load().findKey("delete", key); err != nil {
		return err
	}
	r := newRequest("delete", http.MethodDelete, key)
	if opt.IfMatch != "" && b.traits.Load().condDelete {
		r.setFor(conditions, "If-Match", quote(opt.IfMatch))
	}
	_, err := b.do(ctx, r)
	switch {
	case objstore.Unconfirmed(err):
		return b.Probe(ctx) // no such key, or no such bucket
	case errors.Is(err, objstore.ErrNotFound):
		return nil
	}
	return err
}

// DeleteMany implements objstore.Bucket. Keys that a document cannot carry are
// deleted one by one, and so are all at a store that knows no such request.
func (b *Bucket) DeleteMany(ctx context.Context, keys []string) ([]error, error) {
	if limit := b.traits.Load().DeleteMany; limit == 0 || len(keys) > limit {
		return nil, &objstore.Error{Kind: objstore.ErrUnsupported, Op: "delete-many", Message: "at most " + strconv.Itoa(limit) + " keys at once"}
	}
	if b.traits.Load().noDeleteMany {
		return b.deleteEach(ctx, keys), nil
	}
	type object struct{ Key string }
	var doc struct {
		XMLName struct{} `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Delete"`
		Quiet   bool
		Object  []object
	}
	doc.Quiet = true
	perKey := make([]error, len(keys))
	for i, key := range keys {
		if key == "" || !fitsXML(key) {
			perKey[i] = b.Delete(ctx, key, objstore.DeleteOptions{})
			continue
		}
		doc.Object = append(doc.Object, object{key})
	}
	if len(doc.Object) == 0 {
		return perKey, nil
	}
	r := newRequest("delete-many", http.MethodPost, "")
	r.query = "delete="
	if err := r.setXML(&doc); err != nil {
		return nil, err
	}
	var answer struct {
		Error []struct{ Key, Code, Message string }
	}
	_, err := b.document(ctx, r, &answer)
	if errors.Is(err, objstore.ErrUnsupported) {
		b.unlearn(r.op, "DeleteObjects", func(t *traits) { t.noDeleteMany = true })
		return b.deleteEach(ctx, keys), nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range answer.Error {
		kind := translate(http.StatusBadRequest, e.Code)
		if errors.Is(kind, objstore.ErrNotFound) {
			continue
		}
		known := false
		for i, key := range keys {
			if key == e.Key {
				known = true
				perKey[i] = &objstore.Error{Kind: kind, Op: "delete", Key: key, Code: e.Code, Message: b.redact(e.Message)}
			}
		}
		if !known {
			return nil, &objstore.Error{Kind: kind, Op: r.op, Code: e.Code, Message: "answer names a key that was not asked for"}
		}
	}
	return perKey, nil
}

// deleteEach deletes keys one by one, some at a time.
func (b *Bucket) deleteEach(ctx context.Context, keys []string) []error {
	perKey := make([]error, len(keys))
	var g errgroup.Group
	g.SetLimit(16)
	for i, key := range keys {
		g.Go(func() error {
			perKey[i] = b.Delete(ctx, key, objstore.DeleteOptions{})
			return nil
		})
	}
	_ = g.Wait()
	return perKey
}
