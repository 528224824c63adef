package transfer

import (
	"context"
	"errors"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// putOptions carries over what the object has beside its bytes, and pins the
// destination to the state the decision was made on, where the store can.
// dropped names what is lost before the destination is even asked.
func (c *Copier) putOptions(ctx context.Context, a *attempt, src *objstore.Info) (opt objstore.PutOptions, dropped []string, err error) {
	opt = objstore.PutOptions{Header: src.Header, Meta: src.Meta, Class: c.class(src.Class), Encrypt: c.cfg.Encrypt}
	c.condition(a, &opt.IfAbsent, &opt.IfMatch)
	if c.cfg.Plain {
		opt.Header = objstore.Header{ContentType: src.Header.ContentType, ContentEncoding: src.Header.ContentEncoding}
		opt.Meta = nil
		return opt, nil, nil
	}
	if src.TagCount > 0 {
		opt.Tags, dropped, err = c.tags(ctx, a.key)
	}
	return opt, dropped, err
}

// class is the storage class to write an object with, given that of the source.
func (c *Copier) class(src string) string {
	if c.cfg.Class == task.KeepClass {
		return src
	}
	return c.cfg.Class
}

// condition sets the condition of a write.
func (c *Copier) condition(a *attempt, ifAbsent *bool, ifMatch *string) {
	switch kind := c.cfg.Dst.Capabilities().Conditional; {
	case kind == objstore.ConditionalNone:
	case a.dstAbsent:
		*ifAbsent = true
	case kind == objstore.ConditionalFull:
		*ifMatch = a.dst.ETag
	}
}

// tags reads an object's tags; tags that cannot be read or kept are dropped, not
// a reason to leave the object behind.
func (c *Copier) tags(ctx context.Context, key string) (tags map[string]string, dropped []string, err error) {
	if !c.cfg.Dst.Capabilities().Tags {
		return nil, []string{"tags"}, nil
	}
	tags, err = c.cfg.Src.Tags(ctx, key)
	if errors.Is(err, objstore.ErrDenied) || errors.Is(err, objstore.ErrUnsupported) {
		return nil, []string{"tags"}, nil
	}
	if err != nil {
		return nil, nil, atSource(err)
	}
	return tags, nil, nil
}
