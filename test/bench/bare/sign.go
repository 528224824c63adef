package bare

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	region    = "us-east-1"
	unsigned  = "UNSIGNED-PAYLOAD"
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing
)

// signer makes AWS Signature Version 4 signatures with one pair of keys.
type signer struct {
	access, secret string

	mu  sync.Mutex
	day string // of key, YYYYMMDD
	key []byte // derived from secret, day, region, service
}

// sign adds the date, the payload hash and the signature to h. path is escaped.
func (s *signer) sign(h http.Header, host, path string, in call, now time.Time) {
	stamp := now.Format("20060102T150405Z")
	day := stamp[:8]
	hash := emptyHash
	if in.size > 0 {
		hash = unsigned
	}
	canonical := in.method + "\n" + path + "\n" + in.query +
		"\nhost:" + host + "\nx-amz-content-sha256:" + hash
	names := "host;x-amz-content-sha256;x-amz-date"
	if in.copySource != "" {
		canonical += "\nx-amz-copy-source:" + in.copySource
		names = "host;x-amz-content-sha256;x-amz-copy-source;x-amz-date"
		h["X-Amz-Copy-Source"] = []string{in.copySource}
	}
	canonical += "\nx-amz-date:" + stamp + "\n\n" + names + "\n" + hash
	digest := sha256.Sum256([]byte(canonical))
	scope := day + "/" + region + "/s3/aws4_request"
	signature := mac(s.signingKey(day), "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hex.EncodeToString(digest[:]))
	h["X-Amz-Content-Sha256"] = []string{hash}
	h["X-Amz-Date"] = []string{stamp}
	h["Authorization"] = []string{"AWS4-HMAC-SHA256 Credential=" + s.access + "/" + scope +
		", SignedHeaders=" + names + ", Signature=" + hex.EncodeToString(signature)}
}

func (s *signer) signingKey(day string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.day != day {
		key := mac([]byte("AWS4"+s.secret), day)
		key = mac(key, region)
		key = mac(key, "s3")
		s.key, s.day = mac(key, "aws4_request"), day
	}
	return s.key
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, text)
	return h.Sum(nil)
}

// escape percent-encodes s as Signature Version 4 asks; slash says whether "/" stays.
func escape(s string, slash bool) string {
	first := 0
	for first < len(s) && plain(s[first], slash) {
		first++
	}
	if first == len(s) {
		return s
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(s[:first])
	for i := first; i < len(s); i++ {
		if c := s[i]; plain(c, slash) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func plain(c byte, slash bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~' || slash && c == '/'
}
