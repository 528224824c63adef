package objstore

import (
	"context"
	"io"
	"iter"
	"strings"
)

// Sub returns the part of b whose keys begin with prefix, as a bucket of its
// own: keys lose the prefix, which is a plain byte prefix ("p/" for a folder).
// An object whose key is the prefix itself is no part of it.
func Sub(b Bucket, prefix string) Bucket {
	if prefix == "" {
		return b
	}
	return &sub{Bucket: b, prefix: prefix}
}

type sub struct {
	Bucket
	prefix string
}

// full returns the whole key. The empty key would be the prefix itself.
func (s *sub) full(op, key string) (string, error) {
	if key == "" {
		return "", &Error{Kind: ErrKey, Op: op, Message: "empty key"}
	}
	return s.prefix + key, nil
}

func (s *sub) List(ctx context.Context, opt ListOptions) iter.Seq2[Page, error] {
	opt.Prefix = s.prefix + opt.Prefix
	if opt.After != "" {
		opt.After = s.prefix + opt.After
	}
	if opt.Until != "" {
		opt.Until = s.prefix + opt.Until
	}
	if unwanted := opt.Unwanted; unwanted != nil {
		opt.Unwanted = func(prefix string) bool {
			below, ok := strings.CutPrefix(prefix, s.prefix)
			return ok && below != "" && unwanted(below)
		}
	}
	return func(yield func(Page, error) bool) {
		for page, err := range s.Bucket.List(ctx, opt) {
			if len(page.Objects) > 0 && len(page.Objects[0].Key) == len(s.prefix) {
				page.Objects = page.Objects[1:]
			}
			for i := range page.Objects {
				page.Objects[i].Key = page.Objects[i].Key[len(s.prefix):]
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

func (s *sub) Stat(ctx context.Context, key string) (Info, error) {
	full, err := s.full("stat", key)
	if err != nil {
		return Info{}, err
	}
	info, err := s.Bucket.Stat(ctx, full)
	info.Key = key
	return info, err
}

func (s *sub) Open(ctx context.Context, key string, opt OpenOptions) (*Content, error) {
	full, err := s.full("open", key)
	if err != nil {
		return nil, err
	}
	c, err := s.Bucket.Open(ctx, full, opt)
	if c != nil {
		c.Key = key
	}
	return c, err
}

func (s *sub) Put(ctx context.Context, key string, body io.Reader, size int64, opt PutOptions) (Written, error) {
	full, err := s.full("put", key)
	if err != nil {
		return Written{}, err
	}
	return s.Bucket.Put(ctx, full, body, size, opt)
}

func (s *sub) CreateMultipart(ctx context.Context, key string, opt PutOptions) (string, error) {
	full, err := s.full("create multipart", key)
	if err != nil {
		return "", err
	}
	return s.Bucket.CreateMultipart(ctx, full, opt)
}

func (s *sub) PutPart(ctx context.Context, key, uploadID string, number int, body io.Reader, size int64, opt PartOptions) (Part, error) {
	full, err := s.full("put part", key)
	if err != nil {
		return Part{}, err
	}
	return s.Bucket.PutPart(ctx, full, uploadID, number, body, size, opt)
}

func (s *sub) ListParts(ctx context.Context, key, uploadID string) ([]Part, error) {
	full, err := s.full("list parts", key)
	if err != nil {
		return nil, err
	}
	return s.Bucket.ListParts(ctx, full, uploadID)
}

func (s *sub) CompleteMultipart(ctx context.Context, key, uploadID string, parts []Part, opt CompleteOptions) (Written, error) {
	full, err := s.full("complete multipart", key)
	if err != nil {
		return Written{}, err
	}
	return s.Bucket.CompleteMultipart(ctx, full, uploadID, parts, opt)
}

func (s *sub) AbortMultipart(ctx context.Context, key, uploadID string) error {
	full, err := s.full("abort multipart", key)
	if err != nil {
		return err
	}
	return s.Bucket.AbortMultipart(ctx, full, uploadID)
}

func (s *sub) Copy(ctx context.Context, key string, src CopySource, opt PutOptions) (Written, error) {
	full, err := s.full("copy", key)
	if err != nil {
		return Written{}, err
	}
	return s.Bucket.Copy(ctx, full, src, opt)
}

func (s *sub) CopyPart(ctx context.Context, key, uploadID string, number int, src CopySource) (Part, error) {
	full, err := s.full("copy part", key)
	if err != nil {
		return Part{}, err
	}
	return s.Bucket.CopyPart(ctx, full, uploadID, number, src)
}

func (s *sub) Delete(ctx context.Context, key string, opt DeleteOptions) error {
	full, err := s.full("delete", key)
	if err != nil {
		return err
	}
	return s.Bucket.Delete(ctx, full, opt)
}

func (s *sub) DeleteMany(ctx context.Context, keys []string) ([]error, error) {
	full := make([]string, len(keys))
	for i, k := range keys {
		var err error
		if full[i], err = s.full("delete many", k); err != nil {
			return nil, err
		}
	}
	return s.Bucket.DeleteMany(ctx, full)
}

func (s *sub) Restore(ctx context.Context, key string, days int) error {
	full, err := s.full("restore", key)
	if err != nil {
		return err
	}
	return s.Bucket.Restore(ctx, full, days)
}

func (s *sub) Tags(ctx context.Context, key string) (map[string]string, error) {
	full, err := s.full("tags", key)
	if err != nil {
		return nil, err
	}
	return s.Bucket.Tags(ctx, full)
}

func (s *sub) SetTags(ctx context.Context, key string, tags map[string]string) error {
	full, err := s.full("set tags", key)
	if err != nil {
		return err
	}
	return s.Bucket.SetTags(ctx, full, tags)
}

// Capabilities leave room for the prefix.
func (s *sub) Capabilities() Capabilities {
	c := s.Bucket.Capabilities()
	if c.MaxKey > 0 {
		c.MaxKey = max(c.MaxKey-len(s.prefix), 1)
	}
	return c
}

func (s *sub) Identity() Identity {
	id := s.Bucket.Identity()
	id.Prefix += s.prefix
	return id
}
