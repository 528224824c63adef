package s3

import (
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

const metaPrefix = "x-amz-meta-"

// describe adds the fields for what is stored beside the bytes, and returns the
// names of what this store cannot hold.
func (r *request) describe(t *traits, opt *objstore.PutOptions) (dropped []string) {
	h := &opt.Header
	for _, f := range [...]field{
		{"content-type", h.ContentType},
		{"Cache-Control", h.CacheControl},
		{"Content-Disposition", h.ContentDisposition},
		{"Content-Encoding", h.ContentEncoding},
		{"Content-Language", h.ContentLanguage},
		{"Expires", h.Expires},
	} {
		switch {
		case f.value == "":
		case f.name == "Expires" && t.expiresDate && parseHTTPTime(f.value).IsZero():
			dropped = append(dropped, f.name)
		case fitsHeader(f.value):
			r.set(f.name, f.value)
		default:
			dropped = append(dropped, http.CanonicalHeaderKey(f.name))
		}
	}
	for name, value := range opt.Meta {
		lower := strings.ToLower(name)
		if _, twice := opt.Meta[lower]; !t.Meta || !isToken(lower) || lower != name && twice {
			dropped = append(dropped, "meta:"+name)
			continue
		}
		r.set(metaPrefix+lower, encodeMeta(value, t.rfc2047))
	}
	if opt.Class != "" {
		r.setFor(storageClass, "x-amz-storage-class", opt.Class)
	}
	return dropped
}

// encrypt asks for the object to be encrypted. No refusal takes it out again: what is
// to be encrypted is not stored otherwise.
func (r *request) encrypt(how string) {
	if how != "" {
		r.set("x-amz-server-side-encryption", how)
		r.encrypts = true
	}
}

// tag adds the tags to a write where the store takes them with it, and reports
// whether a request of its own is needed for them.
func (r *request) tag(t *traits, tags map[string]string) (later bool) {
	if len(tags) == 0 || !t.Tags {
		return false
	}
	if !t.tagsOnPut {
		return true
	}
	var q []byte
	for k, v := range tags {
		if q != nil {
			q = append(q, '&')
		}
		q = appendQuery(append(appendQuery(q, k), '='), v)
	}
	r.setFor(tagging, "x-amz-tagging", string(q))
	return false
}

// fitsHeader reports whether v survives as the value of a header: no controls, no
// space at its ends.
func fitsHeader(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' || c == 0x7f {
			return false
		}
	}
	return v == "" || v[0] != ' ' && v[len(v)-1] != ' '
}

// isToken reports whether name can be part of a header's name (RFC 9110, 5.6.2).
func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return name != ""
}

// encodeMeta returns the value of user metadata as it goes over the wire. S3
// itself knows ASCII and RFC 2047 encoded words ("Working with object metadata");
// other stores keep the bytes they get, and there UTF-8 is what other clients
// understand. Encoded words are used in both for what a header cannot hold, what a
// signature's canonical form may change, and what would be taken for one.
func encodeMeta(v string, rfc2047 bool) string {
	ascii := true
	for _, c := range v {
		if c >= utf8.RuneSelf {
			ascii = false
			if unicode.IsSpace(c) {
				return encodeWord(v)
			}
		}
	}
	switch {
	case !fitsHeader(v), strings.Contains(v, "=?"), !ascii && rfc2047:
		return encodeWord(v)
	}
	return v
}

// encodeWord is mime.BEncoding.Encode, which leaves plain ASCII alone, for any text.
func encodeWord(v string) string {
	const first, last = "=?utf-8?b?", "?="
	if w := mime.BEncoding.Encode("utf-8", v); w != v {
		return w
	}
	return first + base64Text(v) + last
}

// decodeMeta is the reverse of encodeMeta. Bytes that are no UTF-8 are Latin-1,
// the charset of old HTTP.
func decodeMeta(v string) string {
	if strings.Contains(v, "=?") {
		if d, err := wordDecoder.DecodeHeader(v); err == nil {
			return d
		}
	}
	if utf8.ValidString(v) {
		return v
	}
	runes := make([]rune, len(v))
	for i := range len(v) {
		runes[i] = rune(v[i])
	}
	return string(runes)
}

var wordDecoder mime.WordDecoder
