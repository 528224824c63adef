package s3

import (
	"bytes"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// refusal is an answer that is not a success.
type refusal struct {
	status     int
	header     http.Header
	code       string // the store's word; "" when the answer had no body
	message    string
	id         string
	region     string
	retryAfter time.Duration
}

// maxRefusal bounds what is read of a refusal's body.
const maxRefusal = 64 * kib

// holdRefusal takes an answer's body off the connection.
func holdRefusal(resp *http.Response) {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
}

// readRefusal reads and closes an answer that is not a success.
func readRefusal(resp *http.Response) refusal {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	drain(resp.Body)
	resp.Body.Close()
	ref := parseRefusal(body)
	ref.status, ref.header = resp.StatusCode, resp.Header
	if ref.id == "" {
		ref.id = resp.Header.Get("X-Amz-Request-Id")
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		ref.retryAfter = time.Duration(min(s, 3600)) * time.Second
	}
	return ref
}

// parseRefusal reads an Error document; what is none leaves the code empty.
func parseRefusal(body []byte) (ref refusal) {
	var doc struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		RequestID string `xml:"RequestId"`
		Region    string
	}
	if xml.Unmarshal(body, &doc) == nil {
		ref.code, ref.message = strings.TrimSpace(doc.Code), doc.Message
		ref.id, ref.region = doc.RequestID, strings.TrimSpace(doc.Region)
	}
	return ref
}

// kinds maps what stores say to the sentinels. Sources: "Error responses" of the
// S3 and OBS API references, MinIO's api-errors.
var kinds = map[string]error{
	"NoSuchKey":     objstore.ErrNotFound,
	"NoSuchUpload":  objstore.ErrNotFound,
	"NoSuchVersion": objstore.ErrNotFound,
	"NoSuchBucket":  objstore.ErrBucketNotFound,

	"AccessDenied":      objstore.ErrDenied,
	"AllAccessDisabled": objstore.ErrDenied,
	"AccountProblem":    objstore.ErrDenied,

	"InvalidAccessKeyId":           objstore.ErrCredentials,
	"XAdminUserNotFound":           objstore.ErrCredentials, // versitygw
	"SignatureDoesNotMatch":        objstore.ErrCredentials,
	"ExpiredToken":                 objstore.ErrCredentials,
	"InvalidToken":                 objstore.ErrCredentials,
	"TokenRefreshRequired":         objstore.ErrCredentials,
	"NotSignedUp":                  objstore.ErrCredentials,
	"InvalidSecurity":              objstore.ErrCredentials,
	"AuthorizationHeaderMalformed": objstore.ErrCredentials,
	"RequestTimeTooSkewed":         objstore.ErrClockSkew,

	"PreconditionFailed": objstore.ErrPrecondition,

	"SlowDown":             objstore.ErrThrottled,
	"SlowDownRead":         objstore.ErrThrottled,
	"SlowDownWrite":        objstore.ErrThrottled,
	"RequestLimitExceeded": objstore.ErrThrottled,
	"Throttling":           objstore.ErrThrottled,
	"ThrottlingException":  objstore.ErrThrottled,
	"TooManyRequests":      objstore.ErrThrottled,
	"BandwidthExceeded":    objstore.ErrThrottled,
	"QoSLimitExceeded":     objstore.ErrThrottled,

	"KMS.ThrottlingException":        objstore.ErrThrottled,
	"KMS.DependencyTimeoutException": objstore.ErrUnavailable,
	"KMS.KMSInternalException":       objstore.ErrUnavailable,

	"ConditionalRequestConflict": objstore.ErrUnavailable,
	"OperationAborted":           objstore.ErrUnavailable,
	"InternalError":              objstore.ErrUnavailable,
	"ServiceUnavailable":         objstore.ErrUnavailable,
	"RequestTimeout":             objstore.ErrUnavailable,
	"IncompleteBody":             objstore.ErrUnavailable,
	"XMinioServerNotInitialized": objstore.ErrUnavailable,
	"XMinioReadQuorum":           objstore.ErrUnavailable,
	"XMinioWriteQuorum":          objstore.ErrUnavailable,

	"NotImplemented":     objstore.ErrUnsupported,
	"MethodNotAllowed":   objstore.ErrUnsupported,
	"InvalidObjectState": objstore.ErrArchived,
	// A copy inside the store says this of its source.
	"ObjectNotInActiveTierError": objstore.ErrArchived,

	"EntityTooLarge": objstore.ErrTooLarge,

	"BadDigest":                   objstore.ErrChecksum,
	"InvalidDigest":               objstore.ErrChecksum,
	"XAmzContentChecksumMismatch": objstore.ErrChecksum,
	"XAmzContentSHA256Mismatch":   objstore.ErrChecksum,

	"QuotaExceeded":                  objstore.ErrFull,
	"InsufficientCapacity":           objstore.ErrFull,
	"InsufficientStorageSpace":       objstore.ErrFull,
	"XMinioStorageFull":              objstore.ErrFull,
	"XMinioAdminBucketQuotaExceeded": objstore.ErrFull,

	"KeyTooLongError":           objstore.ErrKey,
	"KeyTooLong":                objstore.ErrKey,
	"InvalidURI":                objstore.ErrKey,
	"InvalidObjectName":         objstore.ErrKey,
	"XMinioInvalidObjectName":   objstore.ErrKey,
	"XMinioInvalidResourceName": objstore.ErrKey,
	// Stores that keep objects as files cannot hold "a" beside "a/b".
	"XMinioParentIsObject":        objstore.ErrKey,
	"ObjectParentIsFile":          objstore.ErrKey,
	"ErrDirectoryNotEmpty":        objstore.ErrKey,
	"DirectoryObjectContainsData": objstore.ErrKey,
	"ExistingObjectIsDirectory":   objstore.ErrKey,
}

// translate turns an answer into a sentinel: the store's own code decides, where
// it has none the status does.
func translate(status int, code string) error {
	if kind := kinds[code]; kind != nil {
		return kind
	}
	switch {
	case status == http.StatusNotFound:
		return objstore.ErrNotFound
	case status == http.StatusForbidden:
		return objstore.ErrDenied
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		return objstore.ErrCredentials
	case status == http.StatusPreconditionFailed:
		return objstore.ErrPrecondition
	case status == http.StatusRequestEntityTooLarge:
		return objstore.ErrTooLarge
	case status == http.StatusTooManyRequests:
		return objstore.ErrThrottled
	case status == http.StatusNotImplemented, status == http.StatusMethodNotAllowed:
		return objstore.ErrUnsupported
	case status == http.StatusInsufficientStorage:
		return objstore.ErrFull
	case status == http.StatusRequestTimeout, status >= 500:
		return objstore.ErrUnavailable
	}
	return objstore.ErrInvalid
}

// refused is the error for an answer that is not a success.
func (b *Bucket) refused(r *request, ref *refusal) error {
	e := &objstore.Error{
		Kind: translate(ref.status, ref.code), Op: r.op, Key: r.key, Status: ref.status,
		Code: ref.code, Message: b.redact(ref.message), RequestID: ref.id, RetryAfter: ref.retryAfter,
	}
	switch {
	case r.encrypts && (refusesEncryption(ref) || refusesSomething(ref)):
		e.Kind = objstore.ErrEncryption
	case ref.status == http.StatusServiceUnavailable && ref.code == "" && ref.retryAfter > 0:
		e.Kind = objstore.ErrThrottled
	case ref.status == http.StatusNotFound && ref.code == "" && r.key == "":
		e.Kind = objstore.ErrBucketNotFound
	case ref.status == http.StatusNotFound && ref.code == "":
		e.Unconfirmed = true
	case ref.status/100 == 3:
		e.Message = "redirected to " + strconv.Quote(b.redact(ref.header.Get("Location"))) + ", which is not followed"
	}
	return e
}

// failed is the error for a request that got no answer. The causes net/http gives
// name addresses, never headers.
func (r *request) failed(err error) error {
	e := &objstore.Error{Kind: objstore.ErrUnavailable, Op: r.op, Key: r.key, Err: err}
	var untrusted *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	switch {
	case errors.Is(err, objstore.ErrCredentials):
		e.Kind = objstore.ErrCredentials
	case errors.As(err, &untrusted), errors.As(err, &noTLS):
		e.Kind = objstore.ErrInvalid // no use in asking again
	}
	return e
}

// redact takes out of a store's words what nobody should read in a log: stores
// may quote what was sent to them.
func (b *Bucket) redact(s string) string {
	const hidden = "[hidden]"
	if k := b.svc.keys.current.Load(); k != nil {
		for _, secret := range []string{k.secret, k.token} {
			if secret != "" {
				s = strings.ReplaceAll(s, secret, hidden)
			}
		}
	}
	for _, mark := range []string{"Signature=", "X-Amz-Security-Token="} {
		for i := 0; ; {
			at := strings.Index(s[i:], mark)
			if at < 0 {
				break
			}
			i += at + len(mark)
			end := strings.IndexAny(s[i:]+" ", " ,&\"'<>")
			s = s[:i] + hidden + s[i+end:]
			i += len(hidden)
		}
	}
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}
