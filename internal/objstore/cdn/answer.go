package cdn

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// wanted is a range of one state of an object.
type wanted struct {
	key            string
	info           objstore.Info // as the bucket describes it
	offset, length int64
}

func (w *wanted) whole() bool { return w.offset == 0 && w.length == w.info.Size }

// skipLimit is how many bytes are read past when a domain answers a range with the whole
// object.
const skipLimit = 8 << 20

// judge checks that the answer is what was asked for, and readies the body.
//
//	asked    answer            becomes
//	all      200               the whole object
//	all      206               ErrUnavailable
//	range    206, that range   the range
//	range    206, another      ErrUnavailable
//	range    200               the range, cut out of the whole object when it begins
//	                           near the start; else ErrUnsupported
//	any      another object    ErrPrecondition
func (c *Client) judge(want wanted, resp *http.Response, b *body) error {
	wrong := func(kind error, message string) error { return c.wrong(want.key, kind, resp.StatusCode, message) }
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") && !strings.EqualFold(coding, want.info.Header.ContentEncoding) {
		return wrong(objstore.ErrInvalid, "the domain compresses objects by itself")
	}
	if difference := differs(&want.info, resp.Header); difference != "" {
		return wrong(objstore.ErrPrecondition, difference)
	}
	if resp.StatusCode == http.StatusPartialContent {
		return c.judgeRange(want, resp)
	}
	if n := resp.ContentLength; n >= 0 && n != want.info.Size {
		return wrong(objstore.ErrPrecondition, "the object there is of another size")
	}
	if want.offset > skipLimit {
		return wrong(objstore.ErrUnsupported, "the domain answers ranges with the whole object, and large objects are read in ranges")
	}
	// Without a length only the end tells that nothing follows.
	b.toEnd = resp.ContentLength < 0 && want.offset+want.length == want.info.Size
	return b.skip(want.offset)
}

func (c *Client) judgeRange(want wanted, resp *http.Response) error {
	r, ok := parseContentRange(resp.Header.Get("Content-Range"))
	n := resp.ContentLength
	switch {
	case ok && r.total >= 0 && r.total != want.info.Size:
		return c.wrong(want.key, objstore.ErrPrecondition, resp.StatusCode, "the object there is of another size")
	case !ok, want.whole(), r.first != want.offset, r.last != want.offset+want.length-1, n >= 0 && n != want.length:
		return c.wrong(want.key, objstore.ErrUnavailable, resp.StatusCode, "the answer has another range than asked for")
	}
	return nil
}

// contentRange is bytes [first, last] of total; -1: not said.
type contentRange struct{ first, last, total int64 }

// parseContentRange reads "bytes 0-99/1234" and "bytes 0-99/*" (RFC 9110, 14.4).
func parseContentRange(s string) (r contentRange, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, total, ok2 := strings.Cut(s, "/")
	from, to, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return contentRange{}, false
	}
	first, ok := digits(from)
	last, ok2 := digits(to)
	size, ok3 := int64(-1), true
	if total != "*" {
		size, ok3 = digits(total)
	}
	if !ok || !ok2 || !ok3 || first > last || size >= 0 && last >= size {
		return contentRange{}, false
	}
	return contentRange{first, last, size}, true
}

// digits reads a number without a sign.
func digits(s string) (int64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// etag is an ETag without quotes. A weak one says that two states mean the same, not that
// their bytes are equal.
type etag struct {
	value string
	weak  bool
}

// parseETag reads "x", W/"x" and, as some servers write it, x. What is none is empty.
func parseETag(s string) (t etag) {
	s = strings.TrimSpace(s)
	s, t.weak = strings.CutPrefix(s, "W/")
	if n := len(s); n >= 2 && s[0] == '"' && s[n-1] == '"' {
		s = s[1 : n-1]
	}
	if s == "" || strings.ContainsAny(s, "\"\x00\r\n") {
		return etag{}
	}
	t.value = s
	return t
}

// comparable says whether two ETags can be of one maker, so that different ones are of
// different states: both are MD5s, or neither is and they are equally long.
//
//	bucket      domain       comparable
//	MD5, MD5-N  MD5, MD5-N   yes
//	0x8D4…      0x8D5…       yes (Azure)
//	MD5         5f3e-61a…    no: the domain makes its own
//	any         none         no
func comparableETags(a, b string) bool {
	if a == "" || b == "" || md5Like(a) != md5Like(b) {
		return false
	}
	return md5Like(a) || len(a) == len(b)
}

// md5Like says whether an ETag is 32 hexadecimal digits, with or without a number of parts.
func md5Like(s string) bool {
	head, parts, inParts := strings.Cut(s, "-")
	if len(head) != 32 || inParts && (parts == "" || strings.Trim(parts, "0123456789") != "") {
		return false
	}
	return strings.Trim(head, "0123456789abcdefABCDEF") == ""
}

func equalETags(a, b string) bool {
	if md5Like(a) {
		return strings.EqualFold(a, b)
	}
	return a == b
}

// differs says how an answer shows that it is not of the object that the bucket
// describes; empty: nothing shows it.
func differs(info *objstore.Info, h http.Header) string {
	if there := parseETag(h.Get("ETag")); comparableETags(info.ETag, there.value) {
		if !equalETags(info.ETag, there.value) {
			return "the object there has another ETag"
		}
		if !there.weak {
			return ""
		}
	}
	at, err := http.ParseTime(h.Get("Last-Modified"))
	if err == nil && !info.ModTime.IsZero() && at.Before(info.ModTime.Truncate(time.Second)) {
		return "the object there is older"
	}
	return ""
}

// validatorOf is all that an answer says of the state it is of.
func validatorOf(h http.Header) string { return h.Get("ETag") + "\n" + h.Get("Last-Modified") }

// body delivers exactly left bytes.
type body struct {
	src    io.ReadCloser
	client *Client
	key    string
	left   int64
	toEnd  bool // src must end with them
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 && !b.toEnd {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n := 0
	if b.left > 0 {
		var err error
		n, err = b.src.Read(p)
		b.left -= int64(n)
		if err != nil && (err != io.EOF || b.left > 0) {
			return n, b.client.torn(b.key, err)
		}
	}
	if b.left > 0 || !b.toEnd {
		return n, nil
	}
	// The last bytes are handed out only when the end is known to follow: who reads a
	// known number of bytes does not look for it.
	switch _, err := io.ReadFull(b.src, make([]byte, 1)); {
	case err == nil:
		b.left += int64(n)
		return 0, b.client.wrong(b.key, objstore.ErrPrecondition, 0, "the object there is longer")
	case err != io.EOF:
		b.left += int64(n)
		return 0, b.client.torn(b.key, err)
	}
	b.toEnd = false
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// skip reads past the first n bytes of src.
func (b *body) skip(n int64) error {
	if n == 0 {
		return nil
	}
	if _, err := io.CopyN(io.Discard, b.src, n); err != nil {
		return b.client.torn(b.key, err)
	}
	return nil
}

func (b *body) Close() error { return b.src.Close() }
