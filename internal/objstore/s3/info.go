package s3

import (
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// The keys below are in the form http.Header has them in, so that maps are read
// directly.

// info reads what an answer's head says of an object. Size is the caller's.
func info(key string, h http.Header) objstore.Info {
	var in objstore.Info
	in.Key = key
	in.ETag = unquote(first(h, "Etag"))
	in.TagCount = -1
	for name, values := range h {
		if len(values) == 0 {
			continue
		}
		v := values[0]
		switch name {
		case "Last-Modified":
			in.ModTime = parseHTTPTime(v)
		case "Content-Type":
			in.Header.ContentType = v
		case "Cache-Control":
			in.Header.CacheControl = v
		case "Content-Disposition":
			in.Header.ContentDisposition = v
		case "Content-Encoding":
			in.Header.ContentEncoding = contentEncoding(v)
		case "Content-Language":
			in.Header.ContentLanguage = v
		case "Expires":
			in.Header.Expires = v
		case "X-Amz-Storage-Class":
			in.Class = class(v)
		case "X-Amz-Tagging-Count":
			if n, err := strconv.Atoi(v); err == nil {
				in.TagCount = n
			}
		default:
			if meta, ok := strings.CutPrefix(name, "X-Amz-Meta-"); ok {
				if in.Meta == nil {
					in.Meta = make(map[string]string)
				}
				in.Meta[strings.ToLower(meta)] = decodeMeta(strings.Join(values, ","))
			}
		}
	}
	in.Version = version(h)
	in.CRC64 = fullChecksum(h)
	in.OpaqueETag, in.Encryption = opaqueETag(h), first(h, encryption)
	in.Parts = partsOf(in.ETag)
	if v := first(h, "X-Amz-Mp-Parts-Count"); v != "" {
		in.Parts, _ = strconv.Atoi(v)
	}
	return in
}

func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// version is the version id; buckets that once had versioning say "null".
func version(h http.Header) string {
	if v := first(h, "X-Amz-Version-Id"); v != "null" {
		return v
	}
	return ""
}

// class is the storage class; the standard one has no name.
func class(v string) string {
	if v == "STANDARD" {
		return ""
	}
	return v
}

// contentEncoding leaves out aws-chunked, which was the upload's and not the object's.
func contentEncoding(v string) string {
	if !strings.Contains(v, "aws-chunked") {
		return v
	}
	var kept []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "aws-chunked" && part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ",")
}

// fullChecksum is the CRC64NVME of the whole object. One of parts' sums, marked
// "-N" or COMPOSITE, is none.
func fullChecksum(h http.Header) objstore.Checksum {
	v := first(h, "X-Amz-Checksum-Crc64nvme")
	if v == "" || first(h, "X-Amz-Checksum-Type") == "COMPOSITE" {
		return objstore.Checksum{}
	}
	return decodeCRC64(v)
}

func decodeCRC64(v string) (c objstore.Checksum) {
	var p [9]byte // 12 characters without padding come to one more than a sum
	if len(v) != 12 {
		return c
	}
	if n, err := base64.StdEncoding.Strict().Decode(p[:], []byte(v)); err != nil || n != 8 {
		return c
	}
	return objstore.Checksum{Sum: binary.BigEndian.Uint64(p[:]), Set: true}
}

func encodeCRC64(sum uint64) string {
	var p [8]byte
	binary.BigEndian.PutUint64(p[:], sum)
	return base64.StdEncoding.EncodeToString(p[:])
}

func base64Text(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// encryption is the field by which encryption is asked for and told.
const encryption = "X-Amz-Server-Side-Encryption"

// opaqueETag reports whether the object is encrypted in a way that makes its ETag
// no MD5: with keys of a managed service or of the client ("Using server-side
// encryption", S3 API reference, Object).
func opaqueETag(h http.Header) bool {
	return strings.HasPrefix(first(h, encryption), "aws:") ||
		first(h, "X-Amz-Server-Side-Encryption-Customer-Algorithm") != ""
}

// unquote takes the quotes off an ETag.
func unquote(etag string) string {
	if n := len(etag); n >= 2 && etag[0] == '"' && etag[n-1] == '"' {
		return etag[1 : n-1]
	}
	return etag
}

func quote(etag string) string { return `"` + etag + `"` }

// partsOf reads the number of parts from a multipart ETag, "<32 hex digits>-N".
func partsOf(etag string) int {
	if len(etag) < 34 || etag[32] != '-' {
		return 0
	}
	n, err := strconv.Atoi(etag[33:])
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// written reads what an answer's head says of an object just stored.
func written(h http.Header) objstore.Written {
	return objstore.Written{
		ETag: unquote(first(h, "Etag")), Version: version(h), CRC64: fullChecksum(h), OpaqueETag: opaqueETag(h),
		Encryption: first(h, encryption),
	}
}
