package file

import (
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// page collects the objects of a page. Their keys and ETags share one string.
type page struct {
	size    int
	objects []objstore.Object
	text    *strings.Builder
	grow    int // bytes the last page took
}

func newPage(size int) page {
	if size <= 0 || size > pageSize {
		size = pageSize
	}
	return page{size: size, text: new(strings.Builder)}
}

// key returns prefix+name in the memory of the page.
func (p *page) key(prefix string, name []byte) string {
	if p.text.Cap() == 0 {
		p.text.Grow(max(p.grow, 256))
	}
	begin := p.text.Len()
	p.text.WriteString(prefix)
	p.text.Write(name)
	return p.text.String()[begin:]
}

// add takes an object; true when the page is full.
func (p *page) add(key string, s state, tagger etagger) bool {
	var buf [72]byte
	begin := p.text.Len()
	p.text.Write(tagger.append(buf[:0], s))
	if p.objects == nil {
		p.objects = make([]objstore.Object, 0, min(p.size, max(cap(p.objects), 16)))
	}
	p.objects = append(p.objects, objstore.Object{
		Key: key, Size: s.size, ModTime: s.modTime(), ETag: p.text.String()[begin:],
	})
	return len(p.objects) == p.size
}

// take hands the page over and begins another.
func (p *page) take() []objstore.Object {
	objects := p.objects
	p.grow = p.text.Cap()
	p.objects, p.text = make([]objstore.Object, 0, len(objects)), new(strings.Builder)
	return objects
}
