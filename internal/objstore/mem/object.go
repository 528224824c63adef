package mem

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// object is one state of an object. It never changes once it is in an index, so
// a reader needs no lock.
type object struct {
	parts   [][]byte // one per part as uploaded; one for a plain put
	size    int64
	multi   bool // uploaded in parts
	etag    string
	modTime time.Time
	crc     objstore.Checksum
	attrs   *attributes // nil when everything is default
	tags    map[string]string
}

// attributes is what is kept beside the bytes.
type attributes struct {
	header objstore.Header
	meta   map[string]string
	class  string
}

// attach keeps of opt what the store can hold and names the rest.
func (o *object) attach(opt *objstore.PutOptions, c objstore.Capabilities) (dropped []string) {
	var meta map[string]string
	for name, value := range opt.Meta {
		if !c.Meta {
			dropped = append(dropped, "meta:"+name)
			continue
		}
		if meta == nil {
			meta = make(map[string]string, len(opt.Meta))
		}
		meta[strings.ToLower(name)] = value
	}
	class := opt.Class
	if class == "STANDARD" {
		class = ""
	}
	if opt.Header != (objstore.Header{}) || class != "" || meta != nil {
		o.attrs = &attributes{header: opt.Header, meta: meta, class: class}
	}
	switch {
	case len(opt.Tags) == 0:
	case c.Tags:
		o.tags = maps.Clone(opt.Tags)
	default:
		dropped = append(dropped, "tags")
	}
	return dropped
}

func (o *object) listed(key string) objstore.Object {
	l := objstore.Object{Key: key, Size: o.size, ModTime: o.modTime, ETag: o.etag}
	if o.attrs != nil {
		l.Class = o.attrs.class
	}
	return l
}

func (o *object) info(key string, c objstore.Capabilities) objstore.Info {
	info := objstore.Info{Object: o.listed(key), TagCount: len(o.tags), CRC64: o.crc}
	if o.attrs != nil {
		info.Header, info.Meta = o.attrs.header, maps.Clone(o.attrs.meta)
	}
	if !c.Tags {
		info.TagCount = -1
	}
	if o.multi {
		info.Parts = len(o.parts)
	}
	return info
}

// written is what the store answers to the write that made o.
func (o *object) written(dropped []string) objstore.Written {
	return objstore.Written{ETag: o.etag, CRC64: o.crc, Dropped: dropped}
}

// slice returns bytes [offset, offset+length) of o, still in parts.
func (o *object) slice(offset, length int64) [][]byte {
	var out [][]byte
	for _, p := range o.parts {
		if n := int64(len(p)); offset >= n {
			offset -= n
			continue
		}
		p = p[offset:]
		offset = 0
		if int64(len(p)) > length {
			p = p[:length]
		}
		if len(p) == 0 {
			break
		}
		out = append(out, p)
		length -= int64(len(p))
	}
	return out
}

// body reads the slices of an object one after the other.
type body struct {
	rest   [][]byte
	closed bool
}

func (b *body) Read(p []byte) (int, error) {
	if b.closed {
		return 0, io.ErrClosedPipe
	}
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest[0])
	if b.rest[0] = b.rest[0][n:]; len(b.rest[0]) == 0 {
		b.rest = b.rest[1:]
	}
	return n, nil
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

// md5ETag is the ETag of bytes stored by one put or as one part.
func md5ETag(p []byte) string {
	sum := md5.Sum(p)
	return hex.EncodeToString(sum[:])
}

// multipartETag is the MD5 of the parts' MD5s, a dash and their number, as S3 makes it.
func multipartETag(parts []*part) string {
	h := md5.New()
	for _, p := range parts {
		sum, _ := hex.DecodeString(p.ETag)
		h.Write(sum)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}
