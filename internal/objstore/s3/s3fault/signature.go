package s3fault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The verifier is written from "Authenticating Requests: Using the Authorization
// Header (AWS Signature Version 4)", S3 API reference, and shares no code with the
// driver's signer.

func (s *Server) now() time.Time { return time.Now().Add(s.opt.ClockAhead) }

// authenticate returns nil for a request that is signed as it must be.
func (s *Server) authenticate(a *ask) *refusal {
	if s.opt.SkewForever {
		return &refusal{status: http.StatusForbidden, code: "RequestTimeTooSkewed"}
	}
	if s.opt.Anonymous {
		return nil
	}
	header := a.Header.Get("Authorization")
	if header == "" {
		return &refusal{status: http.StatusForbidden, code: "AccessDenied"}
	}
	malformed := &refusal{status: http.StatusBadRequest, code: "AuthorizationHeaderMalformed"}
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !ok {
		return malformed
	}
	given := make(map[string]string)
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		given[name] = value
	}
	scope := strings.Split(given["Credential"], "/")
	if len(scope) != 5 || scope[3] != "s3" || scope[4] != "aws4_request" {
		return malformed
	}
	access, day, region := scope[0], scope[1], scope[2]
	stamp := a.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", stamp)
	switch {
	case err != nil || !strings.HasPrefix(stamp, day):
		return malformed
	case access != s.opt.AccessKey:
		return &refusal{status: http.StatusForbidden, code: "InvalidAccessKeyId"}
	case a.Header.Get("X-Amz-Security-Token") != s.opt.SessionToken:
		return &refusal{status: http.StatusBadRequest, code: "InvalidToken"}
	case at.Sub(s.now()).Abs() > 15*time.Minute:
		return &refusal{status: http.StatusForbidden, code: "RequestTimeTooSkewed"}
	case region != s.opt.Region && s.opt.SilentRegion:
		return &refusal{http.StatusMovedPermanently, "PermanentRedirect", "The bucket is elsewhere", true}
	case region != s.opt.Region:
		return &refusal{http.StatusBadRequest, "AuthorizationHeaderMalformed", "the region is wrong", true}
	}
	names := strings.Split(given["SignedHeaders"], ";")
	if why := unsignedHeader(a.Request, names); why != "" {
		return &refusal{status: http.StatusForbidden, code: "AccessDenied", message: "unsigned header " + why}
	}
	payload := a.Header.Get("X-Amz-Content-Sha256")
	if sum := sha256.Sum256(a.body); payload != "UNSIGNED-PAYLOAD" && !strings.HasPrefix(payload, "STREAMING-UNSIGNED-") && payload != hex.EncodeToString(sum[:]) {
		return &refusal{status: http.StatusBadRequest, code: "XAmzContentSHA256Mismatch"}
	}
	sum := sha256.Sum256([]byte(canonicalRequest(a, names, payload)))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, strings.Join(scope[1:], "/"), hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + s.opt.SecretKey)
	for _, step := range []string{day, region, "s3", "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(step))
		key = mac.Sum(nil)
	}
	if hex.EncodeToString(key) != given["Signature"] {
		return &refusal{status: http.StatusForbidden, code: "SignatureDoesNotMatch"}
	}
	return nil
}

// unsignedHeader returns a header that should have been signed.
func unsignedHeader(r *http.Request, signed []string) string {
	must := []string{"host"}
	for name := range r.Header {
		name = strings.ToLower(name)
		if name == strings.ToLower(r.Header.Get("X-Amz-Trailer")) {
			continue // came behind the body
		}
		if strings.HasPrefix(name, "x-amz-") || name == "content-type" || name == "content-md5" {
			must = append(must, name)
		}
	}
	for _, name := range must {
		if !slices.Contains(signed, name) {
			return name
		}
	}
	return ""
}

func canonicalRequest(a *ask, signed []string, payload string) string {
	path, rawQuery, _ := strings.Cut(a.RequestURI, "?")
	decoded, _ := url.PathUnescape(path)
	var query []string
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, _ = url.QueryUnescape(name)
		value, _ = url.QueryUnescape(value)
		query = append(query, uriEncode(name, false)+"="+uriEncode(value, false))
	}
	slices.Sort(query)
	var headers strings.Builder
	for _, name := range signed {
		value := a.Host
		if name != "host" {
			value = strings.Join(a.Header.Values(name), ",")
		}
		headers.WriteString(name + ":" + strings.Join(strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' }), " ") + "\n")
	}
	return strings.Join([]string{
		a.Method, uriEncode(decoded, true), strings.Join(query, "&"), headers.String(), strings.Join(signed, ";"), payload,
	}, "\n")
}

// uriEncode is UriEncode of the specification.
func uriEncode(s string, slash bool) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '-', c == '~', c == '.', slash && c == '/':
			b.WriteByte(c)
		default:
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}
