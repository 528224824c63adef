package retry

import (
	"context"
	"iter"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Wrap returns b with requests about objects repeated under the policy. A listing
// goes on behind the last key it yielded. Open, Put, PutPart and Copy pass
// unchanged: only transfer, which owns the bytes and the conditions, can tell how
// to go on when one of those broke.
//
// A completion whose reply was lost may be repeated into its own result and then
// end in ErrPrecondition or ErrNotFound: the caller looks at the destination to tell.
func Wrap(b objstore.Bucket, p Policy) objstore.Bucket {
	return &bucket{Bucket: b, policy: p.withDefaults()}
}

type bucket struct {
	objstore.Bucket
	policy Policy
}

func (b *bucket) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		for attempt := 1; ; attempt++ {
			err := b.listOnce(ctx, &opt, &attempt, yield)
			if err == nil {
				return
			}
			if !objstore.Transient(err) || attempt >= b.policy.Attempts || !Sleep(ctx, b.policy.Wait(attempt, err)) {
				yield(objstore.Page{}, err)
				return
			}
		}
	}
}

// listOnce yields pages until the listing ends, the receiver has enough (nil) or
// an error comes up. Each page moves opt.After on and starts the attempts afresh.
func (b *bucket) listOnce(ctx context.Context, opt *objstore.ListOptions, attempt *int, yield func(objstore.Page, error) bool) error {
	for page, err := range b.Bucket.List(ctx, *opt) {
		if err != nil {
			return err
		}
		if n := len(page.Objects); n > 0 {
			opt.After, *attempt = page.Objects[n-1].Key, 1
		}
		if !yield(page, nil) {
			return nil
		}
	}
	return nil
}

func (b *bucket) Stat(ctx context.Context, key string) (info objstore.Info, err error) {
	err = b.policy.Do(ctx, func() error {
		info, err = b.Bucket.Stat(ctx, key)
		return err
	})
	return info, err
}

func (b *bucket) CreateMultipart(ctx context.Context, key string, opt objstore.PutOptions) (id string, err error) {
	err = b.policy.Do(ctx, func() error {
		id, err = b.Bucket.CreateMultipart(ctx, key, opt)
		return err
	})
	return id, err
}

func (b *bucket) ListParts(ctx context.Context, key, uploadID string) (parts []objstore.Part, err error) {
	err = b.policy.Do(ctx, func() error {
		parts, err = b.Bucket.ListParts(ctx, key, uploadID)
		return err
	})
	return parts, err
}

func (b *bucket) CompleteMultipart(ctx context.Context, key, uploadID string, parts []objstore.Part, opt objstore.CompleteOptions) (w objstore.Written, err error) {
	err = b.policy.Do(ctx, func() error {
		w, err = b.Bucket.CompleteMultipart(ctx, key, uploadID, parts, opt)
		return err
	})
	return w, err
}

func (b *bucket) AbortMultipart(ctx context.Context, key, uploadID string) error {
	return b.policy.Do(ctx, func() error { return b.Bucket.AbortMultipart(ctx, key, uploadID) })
}

func (b *bucket) CopyPart(ctx context.Context, key, uploadID string, number int, src objstore.CopySource) (p objstore.Part, err error) {
	err = b.policy.Do(ctx, func() error {
		p, err = b.Bucket.CopyPart(ctx, key, uploadID, number, src)
		return err
	})
	return p, err
}

func (b *bucket) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	return b.policy.Do(ctx, func() error { return b.Bucket.Delete(ctx, key, opt) })
}

// DeleteMany repeats the request for the keys alone whose own answers are transient.
func (b *bucket) DeleteMany(ctx context.Context, keys []string) (perKey []error, err error) {
	perKey = make([]error, len(keys))
	left, answered := make([]int, len(keys)), false // indices into keys
	for i := range left {
		left[i] = i
	}
	err = b.policy.Do(ctx, func() error {
		ask := keys
		if answered {
			ask = make([]string, len(left))
			for j, i := range left {
				ask[j] = keys[i]
			}
		}
		answers, err := b.Bucket.DeleteMany(ctx, ask)
		if err != nil {
			return err
		}
		answered = true
		again := left[:0]
		for j, i := range left {
			if perKey[i] = answers[j]; objstore.Transient(answers[j]) {
				again, err = append(again, i), answers[j]
			}
		}
		left = again
		return err
	})
	if answered {
		return perKey, nil // what is left has its own error
	}
	return perKey, err
}

func (b *bucket) Restore(ctx context.Context, key string, days int) error {
	return b.policy.Do(ctx, func() error { return b.Bucket.Restore(ctx, key, days) })
}

func (b *bucket) Tags(ctx context.Context, key string) (tags map[string]string, err error) {
	err = b.policy.Do(ctx, func() error {
		tags, err = b.Bucket.Tags(ctx, key)
		return err
	})
	return tags, err
}

func (b *bucket) SetTags(ctx context.Context, key string, tags map[string]string) error {
	return b.policy.Do(ctx, func() error { return b.Bucket.SetTags(ctx, key, tags) })
}

func (b *bucket) Probe(ctx context.Context) error {
	return b.policy.Do(ctx, func() error { return b.Bucket.Probe(ctx) })
}
