package s3

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

type tagDocument struct {
	XMLName struct{} `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Tagging"`
	TagSet  struct {
		Tag []struct{ Key, Value string }
	}
}

// Tags implements objstore.Bucket.
func (b *Bucket) Tags(ctx context.Context, key string) (map[string]string, error) {
	r, err := b.tagRequest("tags", http.MethodGet, key)
	if err != nil {
		return nil, err
	}
	// Any namespace will do here, so this is not tagDocument.
	var doc struct {
		TagSet struct {
			Tag []struct{ Key, Value string }
		}
	}
	tags := make(map[string]string)
	if _, err = b.document(ctx, r, &doc); err != nil {
		var e *objstore.Error
		if errors.As(err, &e) && e.Code == "NoSuchTagSet" {
			return tags, nil
		}
		return nil, err
	}
	for _, t := range doc.TagSet.Tag {
		tags[t.Key] = t.Value
	}
	return tags, nil
}

// SetTags implements objstore.Bucket.
func (b *Bucket) SetTags(ctx context.Context, key string, tags map[string]string) error {
	r, err := b.tagRequest("set-tags", http.MethodPut, key)
	if err != nil {
		return err
	}
	var doc tagDocument
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		doc.TagSet.Tag = append(doc.TagSet.Tag, struct{ Key, Value string }{k, tags[k]})
	}
	if err := r.setXML(&doc); err != nil {
		return err
	}
	_, err = b.do(ctx, r)
	return err
}

func (b *Bucket) tagRequest(op, method, key string) (*request, error) {
	if err := b.traits.Load().findKey(op, key); err != nil {
		return nil, err
	}
	if !b.traits.Load().Tags {
		return nil, &objstore.Error{Kind: objstore.ErrUnsupported, Op: op, Key: key, Message: "no tags"}
	}
	r := newRequest(op, method, key)
	r.query = "tagging="
	return r, nil
}
