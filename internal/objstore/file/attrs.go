package file

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// attrs is what an object has beside its bytes. Sum and layout speak of the
// bytes, so they hold only while the file has the size and modification time
// written with them: another program may have rewritten it since.
type attrs struct {
	header objstore.Header
	meta   map[string]string
	tags   map[string]string
	class  string
	crc64  objstore.Checksum
	layout layout // the parts it was uploaded in

	size, mtime int64
	elsewhere   bool // the rest is in a sidecar

	key  string // uploads: the key to be
	boot string // uploads: the boot of the system whose memory may hold the bytes
}

// newAttrs shares the maps of opt. Names of metadata have no case, and are kept
// in lower case.
func newAttrs(opt objstore.PutOptions) attrs {
	a := attrs{header: opt.Header, meta: opt.Meta, tags: opt.Tags, class: opt.Class}
	for name := range opt.Meta {
		if strings.ToLower(name) == name {
			continue
		}
		a.meta = make(map[string]string, len(opt.Meta))
		for name, value := range opt.Meta {
			a.meta[strings.ToLower(name)] = value
		}
		break
	}
	return a
}

// holds reports whether sum and layout speak of the bytes in state s.
func (a *attrs) holds(s state) bool { return a.size == s.size && a.mtime == s.mtime }

// isPlain reports whether the object is no more than its bytes.
func (a *attrs) isPlain() bool {
	return a.header == (objstore.Header{}) && len(a.meta) == 0 && len(a.tags) == 0 && a.class == "" && len(a.layout) == 0
}

// The encoding is a version byte, then fields: number, length (uvarint), bytes.
// A reader skips numbers it does not know. Numbers are never reused.
const attrsVersion = 1

const (
	fieldContentType byte = iota + 1
	fieldCacheControl
	fieldContentDisposition
	fieldContentEncoding
	fieldContentLanguage
	fieldExpires
	fieldMeta // name length (uvarint), name, value
	fieldTag  // as fieldMeta
	fieldClass
	fieldCRC64     // 8 bytes, little endian
	fieldBytes     // size, then modification time in ns, uvarint each: the bytes that sum and layout speak of
	fieldLayout    // pairs of uvarint: how many parts, of which size
	fieldElsewhere // empty
	fieldKey
	fieldBoot
)

var errAttrs = errors.New("the attribute user.lockstep, or the sidecar, is damaged or of a later version")

func (a *attrs) encode() []byte {
	p := append(make([]byte, 0, 64), attrsVersion)
	h := &a.header
	for i, v := range [...]string{h.ContentType, h.CacheControl, h.ContentDisposition, h.ContentEncoding, h.ContentLanguage, h.Expires} {
		if v != "" {
			p = appendField(p, fieldContentType+byte(i), v)
		}
	}
	p = appendPairs(p, fieldMeta, a.meta)
	p = appendPairs(p, fieldTag, a.tags)
	for _, f := range [...]struct {
		number byte
		value  string
	}{{fieldClass, a.class}, {fieldKey, a.key}, {fieldBoot, a.boot}} {
		if f.value != "" {
			p = appendField(p, f.number, f.value)
		}
	}
	if a.crc64.Set {
		p = append(p, fieldCRC64, 8)
		p = binary.LittleEndian.AppendUint64(p, a.crc64.Sum)
	}
	if a.crc64.Set || len(a.layout) > 0 {
		var buf [2 * binary.MaxVarintLen64]byte
		v := binary.AppendUvarint(buf[:0], uint64(a.size))
		v = binary.AppendUvarint(v, uint64(a.mtime))
		p = appendField(p, fieldBytes, v)
	}
	if len(a.layout) > 0 {
		p = appendField(p, fieldLayout, a.layout.encode())
	}
	if a.elsewhere {
		p = append(p, fieldElsewhere, 0)
	}
	return p
}

func appendField[T string | []byte](p []byte, number byte, value T) []byte {
	p = append(p, number)
	p = binary.AppendUvarint(p, uint64(len(value)))
	return append(p, value...)
}

func appendPairs(p []byte, number byte, pairs map[string]string) []byte {
	for name, value := range pairs {
		var head [binary.MaxVarintLen64]byte
		n := binary.PutUvarint(head[:], uint64(len(name)))
		p = append(p, number)
		p = binary.AppendUvarint(p, uint64(n+len(name)+len(value)))
		p = append(p, head[:n]...)
		p = append(p, name...)
		p = append(p, value...)
	}
	return p
}

// parseAttrs reads what encode wrote.
func parseAttrs(p []byte) (attrs, error) {
	var a attrs
	if len(p) == 0 || p[0] != attrsVersion {
		return a, errAttrs
	}
	for p = p[1:]; len(p) > 0; {
		number := p[0]
		value, rest, ok := cutSized(p[1:])
		if !ok || !a.set(number, value) {
			return attrs{}, errAttrs
		}
		p = rest
	}
	return a, nil
}

func (a *attrs) set(number byte, value []byte) bool {
	switch number {
	case fieldContentType:
		a.header.ContentType = string(value)
	case fieldCacheControl:
		a.header.CacheControl = string(value)
	case fieldContentDisposition:
		a.header.ContentDisposition = string(value)
	case fieldContentEncoding:
		a.header.ContentEncoding = string(value)
	case fieldContentLanguage:
		a.header.ContentLanguage = string(value)
	case fieldExpires:
		a.header.Expires = string(value)
	case fieldMeta:
		return setPair(&a.meta, value)
	case fieldTag:
		return setPair(&a.tags, value)
	case fieldClass:
		a.class = string(value)
	case fieldKey:
		a.key = string(value)
	case fieldBoot:
		a.boot = string(value)
	case fieldCRC64:
		if len(value) != 8 {
			return false
		}
		a.crc64 = objstore.Checksum{Sum: binary.LittleEndian.Uint64(value), Set: true}
	case fieldBytes:
		size, n := binary.Uvarint(value)
		if n <= 0 {
			return false
		}
		mtime, m := binary.Uvarint(value[n:])
		a.size, a.mtime = int64(size), int64(mtime)
		return m > 0 && n+m == len(value)
	case fieldLayout:
		var ok bool
		a.layout, ok = parseLayout(value)
		return ok
	case fieldElsewhere:
		a.elsewhere = true
	}
	return true
}

func setPair(pairs *map[string]string, p []byte) bool {
	name, value, ok := cutSized(p)
	if !ok {
		return false
	}
	if *pairs == nil {
		*pairs = make(map[string]string)
	}
	(*pairs)[string(name)] = string(value)
	return true
}

// cutSized cuts a length and that many bytes off p.
func cutSized(p []byte) (value, rest []byte, ok bool) {
	size, n := binary.Uvarint(p)
	if n <= 0 || size > uint64(len(p)-n) {
		return nil, nil, false
	}
	p = p[n:]
	return p[:size], p[size:], true
}
