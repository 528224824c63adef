package oms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/secret"
)

// algorithm is the one kind of signature that is taken: Huawei Cloud's AK/SK signing,
// "SDK-HMAC-SHA256". It has no key derivation.
const algorithm = "SDK-HMAC-SHA256"

// Limits of an Authorization header; clients sign three to eight headers.
const (
	maxAuthorization = 8 << 10
	maxSignedHeaders = 64
	maxSkew          = 15 * time.Minute
	stampFormat      = "20060102T150405Z"
)

// authorization is a parsed Authorization header.
type authorization struct {
	access    string
	signed    string // SignedHeaders as received
	signature []byte
}

// parseAuthorization reads "SDK-HMAC-SHA256 Access=…, SignedHeaders=a;b, Signature=hex".
func parseAuthorization(header string) (a authorization, ok bool) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok || len(header) > maxAuthorization {
		return a, false
	}
	access, rest, ok1 := strings.Cut(rest, ",")
	signed, signature, ok2 := strings.Cut(rest, ",")
	a.access, ok = strings.CutPrefix(access, "Access=")
	if !ok || !ok1 || !ok2 || a.access == "" || len(a.access) > 128 {
		return a, false
	}
	if a.signed, ok = strings.CutPrefix(strings.TrimPrefix(signed, " "), "SignedHeaders="); !ok || a.signed == "" {
		return a, false
	}
	text, ok := strings.CutPrefix(strings.TrimPrefix(signature, " "), "Signature=")
	if !ok || len(text) != 2*sha256.Size || strings.ToLower(text) != text {
		return a, false
	}
	var err error
	a.signature, err = hex.DecodeString(text)
	return a, err == nil
}

// signedRequest is what a signature covers.
type signedRequest struct {
	method  string
	path    string // decoded
	query   string // raw
	host    string
	headers http.Header
	body    []byte
	// anyBody lets a client leave the body out of what it signs.
	anyBody bool
}

// toSign is the string that was signed, without the secret. why says in which way the
// request cannot have been signed; it is empty when it may have been.
func toSign(r signedRequest, signed string, now time.Time) (text []byte, why string) {
	stamp := r.headers.Get("X-Sdk-Date")
	names := strings.Split(signed, ";")
	switch {
	case len(names) > maxSignedHeaders:
		return nil, "too many headers are signed"
	case !slices.Contains(names, "x-sdk-date"):
		return nil, "x-sdk-date is not among the signed headers"
	}
	at, err := time.Parse(stampFormat, stamp)
	if err != nil || len(r.headers.Values("X-Sdk-Date")) != 1 {
		return nil, "X-Sdk-Date is not one time like 20260102T150405Z"
	}
	if d := now.Sub(at); d > maxSkew || d < -maxSkew {
		return nil, "verify aksk signature fail: X-Sdk-Date differs by more than 15 minutes from the time here"
	}
	sum := sha256.Sum256(r.body)
	hash := hex.EncodeToString(sum[:])
	if r.anyBody && bodyLeftOut(r.headers, names) {
		hash = unsignedPayload
	} else if why := contentHash(r.headers, names, hash); why != "" {
		return nil, why
	}
	canonical, why := canonicalRequest(r, names, signed, hash)
	if why != "" {
		return nil, why
	}
	whole := sha256.Sum256(canonical)
	text = append(text, algorithm+"\n"...)
	text = append(append(text, stamp...), '\n')
	return hex.AppendEncode(text, whole[:]), ""
}

// unsignedPayload stands for the hash of a body that is not signed.
const unsignedPayload = "UNSIGNED-PAYLOAD"

// bodyLeftOut says whether a client has signed that it does not sign the body.
func bodyLeftOut(h http.Header, signed []string) bool {
	values := h["X-Sdk-Content-Sha256"]
	return len(values) == 1 && values[0] == unsignedPayload && slices.Contains(signed, "x-sdk-content-sha256")
}

// contentHash checks the header that may stand for the body's hash: it counts only when
// it is signed, else somebody between could change the body and keep the old hash.
func contentHash(h http.Header, signed []string, hash string) (why string) {
	values, here := h["X-Sdk-Content-Sha256"]
	if !here {
		return ""
	}
	if !slices.Contains(signed, "x-sdk-content-sha256") {
		return "X-Sdk-Content-Sha256 is sent and not signed"
	}
	if len(values) != 1 || values[0] != hash {
		return "X-Sdk-Content-Sha256 is not the hash of the body"
	}
	return ""
}

// canonicalRequest is the request in the one form that both sides hash.
func canonicalRequest(r signedRequest, names []string, signed, hash string) (text []byte, why string) {
	text = make([]byte, 0, 1024)
	text = append(append(text, strings.ToUpper(r.method)...), '\n')
	text = append(appendURI(text, r.path), '\n')
	text, ok := appendQuery(text, r.query)
	if !ok {
		return nil, "the query cannot be decoded"
	}
	text = append(text, '\n')
	for _, name := range names {
		if text, ok = appendHeader(text, r, name); !ok {
			return nil, "a signed header is not there, or named in capitals"
		}
	}
	text = append(text, '\n')
	text = append(append(text, signed...), '\n')
	return append(text, hash...), ""
}

// appendURI appends the decoded path with its segments encoded and a slash at the end.
func appendURI(dst []byte, path string) []byte {
	for i := range len(path) {
		if path[i] == '/' {
			dst = append(dst, '/')
		} else {
			dst = appendEncoded(dst, path[i])
		}
	}
	if !strings.HasSuffix(path, "/") {
		dst = append(dst, '/')
	}
	return dst
}

// appendQuery appends the pairs of a raw query, decoded, sorted and encoded anew. A name
// without "=" gets one.
func appendQuery(dst []byte, raw string) ([]byte, bool) {
	if raw == "" {
		return dst, true
	}
	type pair struct{ name, value string }
	var pairs []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return dst, false
		}
		pairs = append(pairs, pair{name, value})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, '&')
		}
		for j := range len(p.name) {
			dst = appendEncoded(dst, p.name[j])
		}
		dst = append(dst, '=')
		for j := range len(p.value) {
			dst = appendEncoded(dst, p.value[j])
		}
	}
	return dst, true
}

const hexDigits = "0123456789ABCDEF"

func appendEncoded(dst []byte, c byte) []byte {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
		return append(dst, c)
	}
	return append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
}

// appendHeader appends a line for each value of a signed header.
func appendHeader(dst []byte, r signedRequest, name string) ([]byte, bool) {
	if name == "host" {
		return append(append(append(dst, "host:"...), strings.TrimSpace(r.host)...), '\n'), true
	}
	if name == "" || strings.ToLower(name) != name {
		return dst, false
	}
	values := r.headers[textproto.CanonicalMIMEHeaderKey(name)]
	if len(values) == 0 {
		return dst, false
	}
	if len(values) > 1 {
		values = slices.Sorted(slices.Values(values))
	}
	for _, v := range values {
		dst = append(append(dst, name...), ':')
		dst = append(append(dst, strings.TrimSpace(v)...), '\n')
	}
	return dst, true
}

// verifies says whether a signature was made with a secret.
func verifies(text, signature []byte, s secret.String) bool {
	mac := hmac.New(sha256.New, []byte(s.Reveal()))
	mac.Write(text)
	return hmac.Equal(mac.Sum(nil), signature)
}
