package s3

import (
	"context"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// List implements objstore.Bucket.
func (b *Bucket) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		c := cursor{opt: opt, last: opt.After}
		for !c.done {
			page, err := b.nextPage(ctx, &c)
			if err != nil {
				yield(objstore.Page{}, err)
				return
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// cursor is how far a listing came.
type cursor struct {
	opt   objstore.ListOptions
	last  string // the greatest key so far; After at first
	token string // of V2
	done  bool
	// switched: the page was asked for in the way of V2 and answered in that of V1,
	// so it may not begin at the cursor.
	switched bool
}

// nextPage reads one page and moves the cursor behind it.
func (b *Bucket) nextPage(ctx context.Context, c *cursor) (objstore.Page, error) {
	t := b.traits.Load()
	r := newRequest("list", http.MethodGet, "")
	r.query = c.query(t)
	begun := b.svc.cfg.Clock()
	resp, err := b.send(ctx, r)
	if err != nil {
		return objstore.Page{}, err
	}
	wait := b.svc.cfg.Clock().Sub(begun)
	at, _ := http.ParseTime(resp.Header.Get("Date")) // zero without one
	p := pageReaders.Get().(*pageReader)
	defer pageReaders.Put(p)
	l, err := listing{}, p.read(resp)
	if err == nil {
		l, err = p.parse()
	}
	if err != nil {
		// Cut short, or no listing at all: the next try may get a whole one.
		return objstore.Page{}, &objstore.Error{
			Kind: objstore.ErrUnavailable, Op: "list", Status: resp.StatusCode, Message: "page cannot be read", Err: err,
		}
	}
	v1 := t.listV1
	if !v1 && l.truncated && l.token == "" {
		// The store knows V1 alone and took the question for that.
		b.unlearn(r.op, "ListObjectsV2", func(t *traits) { t.listV1 = true })
		v1, c.switched = true, true
	}
	objects, err := c.take(&l, v1)
	if err != nil {
		return objstore.Page{}, err
	}
	return objstore.Page{Objects: objects, Wait: wait, At: at}, nil
}

// query asks for the page at the cursor; names are in the order of their signing.
func (c *cursor) query(t *traits) string {
	q := make([]byte, 0, 256)
	add := func(name, value string) {
		if len(q) > 0 {
			q = append(q, '&')
		}
		q = append(append(q, name...), '=')
		q = appendQuery(q, value)
	}
	if c.token != "" {
		add("continuation-token", c.token)
	}
	if t.urlEncoding {
		add("encoding-type", "url")
	}
	if !t.listV1 {
		add("list-type", "2")
	} else if c.last != "" {
		add("marker", c.last)
	}
	if c.opt.PageSize > 0 {
		add("max-keys", strconv.Itoa(c.opt.PageSize))
	}
	add("prefix", c.opt.Prefix)
	if !t.listV1 && c.token == "" && c.last != "" {
		add("start-after", c.last)
	}
	return string(q)
}

// take moves the cursor behind a page and returns the objects of it that belong
// to the listing. A store that knows no start-after repeats what came before
// After: those objects are passed over.
func (c *cursor) take(l *listing, v1 bool) ([]objstore.Object, error) {
	begin := c.last
	objects, err := c.ascending(l.objects)
	switch {
	case err != nil:
		return nil, err
	case !l.truncated:
		c.done = true
	case !c.done:
		err = c.advance(l, v1, begin)
	}
	return objects, err
}

// ascending cuts a page to the bounds of the listing and checks its order.
func (c *cursor) ascending(objects []objstore.Object) ([]objstore.Object, error) {
	before := 0
	for i := range objects {
		key := objects[i].Key
		if key <= c.last {
			// At the beginning of a page stores may repeat: what is not behind After, or
			// the marker itself.
			repeated := key == c.last || c.last == c.opt.After
			if i > before || !repeated {
				return nil, unsorted(key, c.last)
			}
			if i > 0 && key <= objects[i-1].Key {
				return nil, unsorted(key, objects[i-1].Key)
			}
			before++
			continue
		}
		if !strings.HasPrefix(key, c.opt.Prefix) {
			return nil, &objstore.Error{Kind: objstore.ErrInvalid, Op: "list", Key: key, Message: "listing leaves its prefix"}
		}
		if c.opt.Until != "" && key > c.opt.Until {
			c.done = true
			return objects[before:i], nil
		}
		c.last = key
	}
	c.done = c.opt.Until != "" && c.last >= c.opt.Until
	return objects[before:], nil
}

func unsorted(key, last string) error {
	return &objstore.Error{Kind: objstore.ErrUnsorted, Op: "list", Key: key, Message: "comes after " + strconv.Quote(last)}
}

// advance says where the page after one that began at begin starts.
func (c *cursor) advance(l *listing, v1 bool, begin string) error {
	if !v1 {
		if l.token != "" && l.token != c.token {
			c.token = l.token
			return nil
		}
	} else {
		// Without a delimiter stores may leave NextMarker out: then it is the last key.
		if l.marker > c.last {
			c.last = l.marker
		}
		if c.last > begin || c.switched && c.last != "" {
			c.switched = false
			return nil
		}
	}
	return &objstore.Error{Kind: objstore.ErrInvalid, Op: "list", Message: "listing does not move on"}
}
