package s3

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The scanner reads a page of a listing in one pass over its bytes. It knows the
// XML that stores write: elements, attributes, namespaces, entities. Whatever
// else a document may hold (comments, CDATA, a DOCTYPE, carriage returns, another
// encoding) makes it give up, and encoding/xml reads the same bytes.

// span is a piece of text in a page's bytes.
type span struct {
	from, to int32
	coded    bool // it holds entities
}

// entry is one Contents element.
type entry struct {
	key, modified, etag, size, class span
}

// pageText is what a page says, as text. Its memory is used again.
type pageText struct {
	buf       []byte
	entries   []entry
	truncated span
	marker    span // NextMarker
	token     span // NextContinuationToken
	encoding  span // EncodingType
}

func (t *pageText) reset(buf []byte) {
	*t = pageText{buf: buf, entries: t.entries[:0]}
}

// scanner walks over buf. It fails by going to fail, and never comes back.
type scanner struct {
	buf []byte
	pos int
	bad bool
}

// tag is the name of a start tag, as written and without its prefix.
type tag struct {
	whole, local []byte
	empty        bool // <a/>
}

// scan reads a page and reports whether it understood all of it.
func (t *pageText) scan() bool {
	if len(t.buf) > 1<<30 || bytes.IndexByte(t.buf, '\r') >= 0 {
		return false
	}
	s := scanner{buf: t.buf}
	s.prolog()
	root := s.start()
	if s.bad || string(root.local) != "ListBucketResult" {
		return false
	}
	if root.empty {
		return true
	}
	for s.child(root) {
		child := s.start()
		switch string(child.local) {
		case "Contents":
			t.entries = append(t.entries, entry{})
			s.contents(child, &t.entries[len(t.entries)-1])
		case "IsTruncated":
			t.truncated = s.text(child)
		case "NextMarker":
			t.marker = s.text(child)
		case "NextContinuationToken":
			t.token = s.text(child)
		case "EncodingType":
			t.encoding = s.text(child)
		default:
			s.skip(child, 0)
		}
	}
	return !s.bad
}

func (s *scanner) contents(parent tag, e *entry) {
	if parent.empty {
		return
	}
	for s.child(parent) {
		child := s.start()
		switch string(child.local) {
		case "Key":
			e.key = s.text(child)
		case "LastModified":
			e.modified = s.text(child)
		case "ETag":
			e.etag = s.text(child)
		case "Size":
			e.size = s.text(child)
		case "StorageClass":
			e.class = s.text(child)
		default:
			s.skip(child, 0)
		}
	}
}

func (s *scanner) fail() {
	s.bad, s.pos = true, len(s.buf)
}

// prolog passes an XML declaration of UTF-8.
func (s *scanner) prolog() {
	s.space()
	if !bytes.HasPrefix(s.buf[s.pos:], []byte("<?")) {
		return
	}
	end := bytes.Index(s.buf[s.pos:], []byte("?>"))
	if end < 0 {
		s.fail()
		return
	}
	decl := strings.ReplaceAll(strings.ToLower(string(s.buf[s.pos:s.pos+end])), "'", `"`)
	if !strings.HasPrefix(decl, `<?xml version="1.0"`) || strings.Contains(decl, "encoding") && !strings.Contains(decl, `encoding="utf-8"`) {
		s.fail()
		return
	}
	s.pos += end + 2
	s.space()
}

func (s *scanner) space() {
	for s.pos < len(s.buf) {
		switch s.buf[s.pos] {
		case ' ', '\n', '\t':
			s.pos++
		default:
			return
		}
	}
}

// child goes to the next start tag inside parent and reports true, or past
// parent's end tag.
func (s *scanner) child(parent tag) bool {
	s.space()
	if s.pos+1 >= len(s.buf) || s.buf[s.pos] != '<' {
		s.fail()
		return false
	}
	if s.buf[s.pos+1] != '/' {
		return true
	}
	s.end(parent)
	return false
}

// start reads a start tag.
func (s *scanner) start() (t tag) {
	if s.pos >= len(s.buf) || s.buf[s.pos] != '<' {
		s.fail()
		return t
	}
	from := s.pos + 1
	colon := -1
	i := from
	for ; i < len(s.buf); i++ {
		c := s.buf[i]
		if nameByte[c] {
			continue
		}
		if c == ':' && colon < 0 && i > from {
			colon = i
			continue
		}
		break
	}
	t.whole = s.buf[from:i]
	t.local = t.whole
	if colon >= 0 {
		t.local = s.buf[colon+1 : i]
	}
	if len(t.local) == 0 || t.local[0] >= '0' && t.local[0] <= '9' || t.whole[0] >= '0' && t.whole[0] <= '9' || t.whole[0] == '-' || t.whole[0] == '.' || t.local[0] == '-' || t.local[0] == '.' {
		s.fail() // also <! and <?
		return t
	}
	s.pos = i
	t.empty = s.attributes()
	return t
}

// nameByte are the bytes of names that stores use; others are left to encoding/xml.
var nameByte = func() (t [256]bool) {
	for c := range 256 {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
	}
	return t
}()

// attributes passes the rest of a start tag and reports whether it was empty.
func (s *scanner) attributes() (empty bool) {
	for {
		before := s.pos
		s.space()
		if s.pos >= len(s.buf) {
			s.fail()
			return false
		}
		switch c := s.buf[s.pos]; {
		case c == '>':
			s.pos++
			return false
		case c == '/':
			if s.pos+1 >= len(s.buf) || s.buf[s.pos+1] != '>' {
				s.fail()
				return false
			}
			s.pos += 2
			return true
		case before == s.pos || !s.attribute():
			s.fail()
			return false
		}
	}
}

// attribute passes name="value".
func (s *scanner) attribute() bool {
	i := s.pos
	for i < len(s.buf) && (nameByte[s.buf[i]] || s.buf[i] == ':') {
		i++
	}
	if i == s.pos || i+1 >= len(s.buf) || s.buf[i] != '=' || s.buf[i+1] != '"' && s.buf[i+1] != '\'' {
		return false
	}
	end := bytes.IndexByte(s.buf[i+2:], s.buf[i+1])
	if end < 0 {
		return false
	}
	s.pos = i + 2 + end + 1
	return true
}

// end reads the end tag of t.
func (s *scanner) end(t tag) {
	rest := s.buf[s.pos:]
	n := 2 + len(t.whole)
	if len(rest) <= n || rest[0] != '<' || rest[1] != '/' || string(rest[2:n]) != string(t.whole) {
		s.fail()
		return
	}
	s.pos += n
	s.space()
	if s.pos >= len(s.buf) || s.buf[s.pos] != '>' {
		s.fail()
		return
	}
	s.pos++
}

// text reads the text of an element that holds nothing else, and its end tag.
func (s *scanner) text(t tag) (text span) {
	if t.empty {
		return text
	}
	n := bytes.IndexByte(s.buf[s.pos:], '<')
	if n < 0 {
		s.fail()
		return text
	}
	text.from, text.to = int32(s.pos), int32(s.pos+n)
	text.coded = bytes.IndexByte(s.buf[s.pos:s.pos+n], '&') >= 0
	s.pos += n
	s.end(t)
	return text
}

// skip passes an element with all it holds.
func (s *scanner) skip(t tag, depth int) {
	if t.empty || s.bad {
		return
	}
	if depth > 16 {
		s.fail()
		return
	}
	for {
		n := bytes.IndexByte(s.buf[s.pos:], '<')
		if n < 0 || s.pos+n+1 >= len(s.buf) {
			s.fail()
			return
		}
		s.pos += n
		if s.buf[s.pos+1] == '/' {
			s.end(t)
			return
		}
		child := s.start()
		s.skip(child, depth+1)
		if s.bad {
			return
		}
	}
}

// append appends the text of a span to dst, with entities resolved. It reports
// false for one that XML does not define.
func (t *pageText) append(dst []byte, sp span) ([]byte, bool) {
	text := t.buf[sp.from:sp.to]
	if !sp.coded {
		return append(dst, text...), true
	}
	for {
		amp := bytes.IndexByte(text, '&')
		if amp < 0 {
			return append(dst, text...), true
		}
		dst = append(dst, text[:amp]...)
		semi := bytes.IndexByte(text[amp:], ';')
		if semi < 0 {
			return dst, false
		}
		var ok bool
		if dst, ok = appendEntity(dst, text[amp+1:amp+semi]); !ok {
			return dst, false
		}
		text = text[amp+semi+1:]
	}
}

func appendEntity(dst, name []byte) ([]byte, bool) {
	switch string(name) {
	case "quot":
		return append(dst, '"'), true
	case "amp":
		return append(dst, '&'), true
	case "lt":
		return append(dst, '<'), true
	case "gt":
		return append(dst, '>'), true
	case "apos":
		return append(dst, '\''), true
	}
	if len(name) < 2 || len(name) > 10 || name[0] != '#' {
		return dst, false
	}
	digits, base := name[1:], 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || n > utf8.MaxRune {
		return dst, false
	}
	return utf8.AppendRune(dst, rune(n)), true
}
