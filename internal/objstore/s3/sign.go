package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Signing follows "Authenticating Requests: Using the Authorization Header (AWS
// Signature Version 4)" of the S3 API reference.

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	emptyPayload    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	algorithm       = "AWS4-HMAC-SHA256"
)

// field is a header of a request. The name is written as it is sent: in lower
// case where the field may have to be signed.
type field struct{ name, value string }

// signed reports whether a field is part of the signature: host and x-amz-*
// must be, and content-type and content-md5 where they are sent.
func signed(name string) bool {
	return strings.HasPrefix(name, "x-amz-") || name == "host" || name == "content-type" || name == "content-md5"
}

// moment is everything about a signature that stays the same within a second.
type moment struct {
	unix  int64
	keys  *keys
	stamp string // 20060102T150405Z
	scope string // 20060102/region/s3/aws4_request
	// hmac is keyed with the day's signing key.
	hmac padded
	// credential begins the Authorization header, up to the names of the fields.
	credential string
}

// at returns the moment of now, from the last one as far as that goes.
func (p *place) at(now time.Time, k *keys) *moment {
	last := p.moment.Load()
	unix := now.Unix()
	if last != nil && last.unix == unix && last.keys == k {
		return last
	}
	m := &moment{unix: unix, keys: k, stamp: string(appendStamp(make([]byte, 0, 16), now.UTC()))}
	if last != nil && last.keys == k && last.stamp[:8] == m.stamp[:8] {
		m.scope, m.hmac, m.credential = last.scope, last.hmac, last.credential
	} else {
		m.scope = m.stamp[:8] + "/" + p.region + "/s3/aws4_request"
		m.hmac = pad(signingKey(k.secret, m.stamp[:8], p.region))
		m.credential = algorithm + " Credential=" + k.access + "/" + m.scope + ",SignedHeaders="
	}
	p.moment.Store(m)
	return m
}

// appendStamp appends an ISO 8601 basic time.
func appendStamp(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	two := func(n int) { dst = append(dst, byte('0'+n/10), byte('0'+n%10)) }
	two(year / 100 % 100)
	two(year % 100)
	two(int(month))
	two(day)
	dst = append(dst, 'T')
	two(hour)
	two(minute)
	two(second)
	return append(dst, 'Z')
}

// signingKey derives the key of a day, a region and the service s3.
func signingKey(secret, day, region string) []byte {
	mac := func(key []byte, s string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(s))
		return h.Sum(nil)
	}
	k := mac([]byte("AWS4"+secret), day)
	k = mac(k, region)
	k = mac(k, "s3")
	return mac(k, "aws4_request")
}

// padded is an HMAC-SHA256 key (RFC 2104) of at most 64 bytes, padded and xored
// once: crypto/hmac would allocate its states anew for each request.
type padded struct{ inner, outer [sha256.BlockSize]byte }

func pad(key []byte) (p padded) {
	copy(p.inner[:], key)
	copy(p.outer[:], key)
	for i := range p.inner {
		p.inner[i] ^= 0x36
		p.outer[i] ^= 0x5c
	}
	return p
}

// authorization appends the Authorization header of a request to dst, which is
// used as scratch space behind what it holds. target is path and query as sent,
// with the path ending at cut. fields are sorted by name; the unsigned ones among
// them are passed over. payload is the value of x-amz-content-sha256.
func (m *moment) authorization(dst []byte, method, target string, cut int, fields []field, payload string) []byte {
	start := len(dst)
	dst = append(dst, method...)
	dst = append(dst, '\n')
	dst = append(dst, target[:cut]...)
	dst = append(dst, '\n')
	if cut < len(target) {
		dst = append(dst, target[cut+1:]...)
	}
	dst = append(dst, '\n')
	for i := range fields {
		if f := &fields[i]; signed(f.name) {
			dst = append(dst, f.name...)
			dst = append(dst, ':')
			dst = appendTrimmed(dst, f.value)
			dst = append(dst, '\n')
		}
	}
	dst = append(dst, '\n')
	dst = appendNames(dst, fields)
	dst = append(dst, '\n')
	dst = append(dst, payload...)
	canonical := sha256.Sum256(dst[start:])

	dst = append(dst[:start], m.hmac.inner[:]...)
	dst = append(dst, algorithm+"\n"...)
	dst = append(dst, m.stamp...)
	dst = append(dst, '\n')
	dst = append(dst, m.scope...)
	dst = append(dst, '\n')
	dst = hex.AppendEncode(dst, canonical[:])
	inner := sha256.Sum256(dst[start:])
	dst = append(dst[:start], m.hmac.outer[:]...)
	dst = append(dst, inner[:]...)
	signature := sha256.Sum256(dst[start:])

	dst = append(dst[:start], m.credential...)
	dst = appendNames(dst, fields)
	dst = append(dst, ",Signature="...)
	return hex.AppendEncode(dst, signature[:])
}

func appendNames(dst []byte, fields []field) []byte {
	for i := range fields {
		if f := &fields[i]; signed(f.name) {
			dst = append(dst, f.name...)
			dst = append(dst, ';')
		}
	}
	return dst[:len(dst)-1] // host is always there
}

// appendTrimmed appends a header's value as it is signed: without spaces at the
// ends, and with one space for each run of them.
func appendTrimmed(dst []byte, v string) []byte {
	if !strings.Contains(v, "  ") && (v == "" || v[0] > ' ' && v[len(v)-1] > ' ') && strings.IndexByte(v, '\t') < 0 {
		return append(dst, v...)
	}
	start := len(dst)
	for i := range len(v) {
		switch c := v[i]; {
		case c != ' ' && c != '\t':
			dst = append(dst, c)
		case len(dst) > start && dst[len(dst)-1] != ' ':
			dst = append(dst, ' ')
		}
	}
	if len(dst) > start && dst[len(dst)-1] == ' ' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// sortFields sorts a handful of fields by name.
func sortFields(f []field) {
	for i := 1; i < len(f); i++ {
		for j := i; j > 0 && f[j].name < f[j-1].name; j-- {
			f[j], f[j-1] = f[j-1], f[j]
		}
	}
}
