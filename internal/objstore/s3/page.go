package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// maxPage bounds a page's bytes: a thousand keys of 1,024 bytes, each byte as an
// entity, come to a tenth of it.
const maxPage = 64 * mib

// pageReader holds what reading a page needs and the next page can use again.
type pageReader struct {
	raw   []byte
	text  pageText
	arena []byte
	cuts  []cut
}

// cut is where an object's key and ETag end in the arena.
type cut struct{ key, etag int }

var pageReaders = sync.Pool{New: func() any { return &pageReader{raw: make([]byte, 0, 384*kib)} }}

// listing is a page with its meaning.
type listing struct {
	objects   []objstore.Object
	truncated bool
	marker    string // where V1 goes on; "" when the store does not say
	token     string // where V2 goes on
}

// read takes an answer's body.
func (p *pageReader) read(resp *http.Response) error {
	defer resp.Body.Close()
	p.raw = p.raw[:0]
	if n := resp.ContentLength; n > maxPage {
		return fmt.Errorf("page of %d bytes", n)
	} else if n > int64(cap(p.raw)) {
		p.raw = make([]byte, 0, n+n/8)
	}
	for {
		if len(p.raw) == cap(p.raw) {
			if len(p.raw) > maxPage {
				return errors.New("page too large")
			}
			p.raw = append(p.raw, 0)[:len(p.raw)]
		}
		n, err := resp.Body.Read(p.raw[len(p.raw):cap(p.raw)])
		p.raw = p.raw[:len(p.raw)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// parse gives the page's bytes their meaning.
func (p *pageReader) parse() (l listing, err error) {
	p.text.reset(p.raw)
	if p.text.scan() {
		if l, err = p.listing(); err == nil {
			return l, nil
		}
	}
	p.text.reset(p.raw)
	if err := p.text.decode(); err != nil {
		return listing{}, err
	}
	return p.listing()
}

var errEntity = errors.New("undefined entity")

// listing makes objects of the page's texts. Their keys and ETags lie in one
// string.
func (p *pageReader) listing() (l listing, err error) {
	t := &p.text
	switch string(t.trimmed(t.truncated)) {
	case "true", "True", "TRUE", "1":
		l.truncated = true
	case "false", "False", "FALSE", "0":
	default:
		return l, errors.New("page does not say whether it is the last")
	}
	urlEncoded := string(t.trimmed(t.encoding)) == "url"
	p.arena, p.cuts = p.arena[:0], p.cuts[:0]
	for i := range t.entries {
		if err := p.gather(&t.entries[i], urlEncoded); err != nil {
			return l, err
		}
	}
	keys := len(p.arena)
	var ok bool
	if p.arena, ok = p.appendKey(t.marker, urlEncoded); !ok {
		return l, errEntity
	}
	marker := len(p.arena)
	if p.arena, ok = t.append(p.arena, t.token); !ok {
		return l, errEntity
	}
	shared := string(p.arena)
	l.marker, l.token = shared[keys:marker], shared[marker:]
	l.objects = make([]objstore.Object, len(t.entries))
	from, lastClass := 0, ""
	for i := range t.entries {
		o, e, c := &l.objects[i], &t.entries[i], p.cuts[i]
		o.Key, o.ETag = shared[from:c.key], unquote(shared[c.key:c.etag])
		from = c.etag
		if o.Size, err = t.number(e.size); err != nil {
			return l, fmt.Errorf("size of %q: %w", o.Key, err)
		}
		if o.Key == "" {
			return l, errors.New("object without a key")
		}
		o.ModTime = parseTime(t.trimmed(e.modified))
		lastClass = t.className(e.class, lastClass)
		o.Class = lastClass
	}
	return l, nil
}

// gather appends an entry's key and ETag to the arena.
func (p *pageReader) gather(e *entry, urlEncoded bool) error {
	var ok bool
	if p.arena, ok = p.appendKey(e.key, urlEncoded); !ok {
		return errEntity
	}
	key := len(p.arena)
	if p.arena, ok = p.text.append(p.arena, p.text.bare(e.etag)); !ok {
		return errEntity
	}
	p.cuts = append(p.cuts, cut{key, len(p.arena)})
	return nil
}

func (p *pageReader) appendKey(sp span, urlEncoded bool) ([]byte, bool) {
	from := len(p.arena)
	arena, ok := p.text.append(p.arena, sp)
	if !ok || !urlEncoded {
		return arena, ok
	}
	key := arena[from:]
	if bytes.IndexByte(key, '%') < 0 && bytes.IndexByte(key, '+') < 0 {
		return arena, true
	}
	key, ok = unescape(key)
	return arena[:from+len(key)], ok
}

// bare takes the quotes, as entities, off an ETag: this is how most stores write them.
func (t *pageText) bare(sp span) span {
	const quot = "&quot;"
	text := t.buf[sp.from:sp.to]
	if n := len(text) - len(quot); sp.coded && n >= len(quot) && string(text[:len(quot)]) == quot && string(text[n:]) == quot {
		inner := span{from: sp.from + int32(len(quot)), to: sp.to - int32(len(quot))}
		inner.coded = bytes.IndexByte(t.buf[inner.from:inner.to], '&') >= 0
		return inner
	}
	return sp
}

// trimmed returns a text without space at its ends, nil when it holds an
// undefined entity.
func (t *pageText) trimmed(sp span) []byte {
	text := t.buf[sp.from:sp.to]
	if sp.coded {
		var ok bool
		if text, ok = t.append(nil, sp); !ok {
			return nil
		}
	}
	return bytes.TrimSpace(text)
}

// number reads a count of bytes.
func (t *pageText) number(sp span) (n int64, err error) {
	text := t.trimmed(sp)
	if len(text) == 0 || len(text) > 18 {
		return 0, fmt.Errorf("%q is no number", text)
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is no number", text)
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}

// className returns the storage class of an entry, as the same string as the last
// one's where it is the same class.
func (t *pageText) className(sp span, last string) string {
	text := t.trimmed(sp)
	switch {
	case len(text) == 0, string(text) == "STANDARD":
		return ""
	case string(text) == last:
		return last
	}
	return string(text)
}
