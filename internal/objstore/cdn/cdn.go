// Package cdn reads the bytes of a bucket's objects from a domain that serves them, as a
// content delivery network does: a Bucket in, a Bucket out. Listing, headers, metadata,
// tags and checksums stay those of the bucket, and say what the domain must serve; a
// domain that serves another state of an object is refused, never believed. It leaves to
// others which domains may be asked: it follows no redirect, so that it asks no other.
package cdn

import (
	"context"
	"errors"
	"sync"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Options say how a bucket is wrapped.
type Options struct {
	// Gate bounds requests to the domain, as limit.Endpoint.Open does; nil: no bounds.
	Gate func(ctx context.Context, open func() (*objstore.Content, error)) (*objstore.Content, error)
	// CountTags asks the bucket for an object's tags where it does not say with the
	// headers how many there are. Leave it out when tags are not carried over.
	CountTags bool
}

// Wrap returns b with Open reading from the domain.
//
// Each Open asks the bucket what the object is, then the domain for the bytes. What the
// domain answers must be that object, by all that both say:
//
//	total length    must be equal
//	ETag            must be equal, where both are made alike (see comparable)
//	Last-Modified   must not be before the bucket's, where no ETag decides
//	compression     must be the object's own
//
// and ranges of one state of the object must come with one ETag and one Last-Modified. A
// difference is ErrPrecondition, as for an object that changed while it was read: a cache
// may be behind, and the next try may find it up to date.
func (c *Client) Wrap(b objstore.Bucket, opt Options) objstore.Bucket {
	if opt.Gate == nil {
		opt.Gate = func(_ context.Context, open func() (*objstore.Content, error)) (*objstore.Content, error) {
			return open()
		}
	}
	return &bucket{Bucket: b, client: c, opt: opt, states: map[state]string{}}
}

type bucket struct {
	objstore.Bucket
	client *Client
	opt    Options

	mu     sync.Mutex
	states map[state]string // validators of the domain
}

// state is one state of an object at the bucket.
type state struct{ key, etag string }

// maxMoves bounds how often Open begins again because the object has changed meanwhile,
// and sureOf how often it asks a domain that has another state than a bucket that did not
// change: an object may have changed there and back.
const maxMoves, sureOf = 10, 3

// Open implements objstore.Bucket.
func (b *bucket) Open(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
	switch {
	case opt.Offset < 0 || opt.Length < 0 || opt.Part < 0, opt.Part > 0 && (opt.Offset != 0 || opt.Length != 0):
		return nil, refuse(key, objstore.ErrInvalid, "impossible range")
	case opt.Part > 0:
		return nil, refuse(key, objstore.ErrUnsupported, "a domain does not know parts")
	}
	info, err := b.Stat(ctx, key)
	for moves := 0; err == nil; moves++ {
		content, oerr := b.open(ctx, info, opt)
		if opt.IfMatch != "" || moves >= maxMoves || !errors.Is(oerr, objstore.ErrPrecondition) {
			return content, oerr
		}
		// Any state will do: when the bucket has another one by now, that one.
		var now objstore.Info
		if now, err = b.Stat(ctx, key); err == nil && now.ETag == info.ETag && moves+1 >= sureOf {
			return nil, oerr
		}
		info = now
	}
	return nil, err
}

func refuse(key string, kind error, message string) error {
	return &objstore.Error{Kind: kind, Op: "open", Key: key, Message: message}
}

// open opens one state of an object.
func (b *bucket) open(ctx context.Context, info objstore.Info, opt objstore.OpenOptions) (*objstore.Content, error) {
	switch {
	case opt.IfMatch != "" && info.ETag != opt.IfMatch:
		return nil, refuse(info.Key, objstore.ErrPrecondition, "the object is another")
	case opt.Offset > info.Size || opt.Offset == info.Size && info.Size > 0:
		return nil, refuse(info.Key, objstore.ErrInvalid, "range begins behind the end")
	}
	if err := b.countTags(ctx, &info, opt.Offset); err != nil {
		return nil, err
	}
	want := wanted{key: info.Key, info: info, offset: opt.Offset, length: info.Size - opt.Offset}
	if opt.Length > 0 {
		want.length = min(want.length, opt.Length)
	}
	return b.opt.Gate(ctx, func() (*objstore.Content, error) { return b.read(ctx, want) })
}

// read gets bytes from the domain, and sees to it that ranges of one state of an object
// are of one state of the domain's.
func (b *bucket) read(ctx context.Context, want wanted) (*objstore.Content, error) {
	content, validator, err := b.client.get(ctx, want)
	if err != nil || want.whole() {
		return content, err
	}
	if !b.same(state{want.key, want.info.ETag}, validator) {
		content.Body.Close()
		return nil, b.client.wrong(want.key, objstore.ErrPrecondition, 0, "parts of the object come in different states")
	}
	return content, nil
}

// maxStates bounds what is remembered of objects that are read in parts; above it all is
// forgotten, and each object is pinned again from its next part on.
const maxStates = 4096

// same says whether a range comes with the validator that others of the same state came
// with. When it does not, the next one decides anew.
func (b *bucket) same(s state, validator string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.states[s]; ok && known != validator {
		delete(b.states, s)
		return false
	}
	if len(b.states) >= maxStates {
		clear(b.states)
	}
	b.states[s] = validator
	return true
}

// countTags fills in how many tags there are, once for each object. When the bucket will
// not say, whoever carries tags over shall meet the refusal: it is one tag or more.
func (b *bucket) countTags(ctx context.Context, info *objstore.Info, offset int64) error {
	if !b.opt.CountTags || info.TagCount >= 0 || offset > 0 || !b.Capabilities().Tags {
		return nil
	}
	tags, err := b.Tags(ctx, info.Key)
	switch {
	case errors.Is(err, objstore.ErrDenied), errors.Is(err, objstore.ErrUnsupported):
		info.TagCount = 1
		return nil
	case err != nil:
		return err
	}
	info.TagCount = len(tags)
	return nil
}

// Capabilities are the bucket's, but for the layout of parts, which a domain does not
// tell.
func (b *bucket) Capabilities() objstore.Capabilities {
	c := b.Bucket.Capabilities()
	c.PartLayout = false
	return c
}

// Identity says that this is no service that copies by itself: the bytes must come from
// the domain.
func (b *bucket) Identity() objstore.Identity {
	id := b.Bucket.Identity()
	id.Service = "cdn:" + b.client.base.String() + " of " + id.Service
	return id
}
