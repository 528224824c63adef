package cdn

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// translate turns the status of an answer that is not a success into a sentinel.
func translate(status int) error {
	switch {
	case status == http.StatusNotFound, status == http.StatusGone:
		return objstore.ErrNotFound
	case status == http.StatusForbidden:
		return objstore.ErrDenied
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		return objstore.ErrCredentials
	case status == http.StatusPreconditionFailed, status == http.StatusRequestedRangeNotSatisfiable:
		return objstore.ErrPrecondition // 416: the object there is shorter
	case status == http.StatusTooManyRequests:
		return objstore.ErrThrottled
	case status == http.StatusNotImplemented, status == http.StatusMethodNotAllowed:
		return objstore.ErrUnsupported
	case status == http.StatusRequestTimeout, status >= 500:
		return objstore.ErrUnavailable
	}
	return objstore.ErrInvalid
}

// CodeDiffers is the code of errors that say that a domain serves another object than the
// bucket has.
const CodeDiffers = "CDN_DIFFERS"

// wrong is an error that names the domain. Of what the domain said it repeats nothing:
// pages of errors quote the address, and with it signatures.
func (c *Client) wrong(key string, kind error, status int, message string) *objstore.Error {
	e := &objstore.Error{Kind: kind, Op: "open", Key: key, Status: status, Message: "CDN " + c.base.String() + ": " + message}
	if errors.Is(kind, objstore.ErrPrecondition) {
		e.Code = CodeDiffers
	}
	return e
}

// refused is the error for an answer that is not a success.
func (c *Client) refused(key string, resp *http.Response) error {
	kind := translate(resp.StatusCode)
	e := c.wrong(key, kind, resp.StatusCode, "the domain refuses the request")
	switch {
	case resp.StatusCode/100 == 3:
		e.Message = "CDN " + c.base.String() + ": redirected to " + hostOf(resp.Header.Get("Location")) + ", which is not followed"
	case errors.Is(kind, objstore.ErrNotFound):
		e.Message = "CDN " + c.base.String() + ": the domain does not have the object"
	case errors.Is(kind, objstore.ErrPrecondition):
		e.Message = "CDN " + c.base.String() + ": the object there is another"
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(min(s, 3600)) * time.Second
	}
	if resp.StatusCode == http.StatusServiceUnavailable && e.RetryAfter > 0 {
		e.Kind = objstore.ErrThrottled
	}
	return e
}

// hostOf is the host of an address, whose path and query may hold signatures.
func hostOf(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return "another path"
	}
	return strconv.Quote(u.Host)
}

// explain judges a refusal by what the bucket says of the object.
//
//	missing            a passing trouble: the bucket has it, whatever a cache remembers
//	denied, archived   archived: what a store denies to a CDN that asks for such an object
func (c *Client) explain(err error, info *objstore.Info) error {
	e, ok := errors.AsType[*objstore.Error](err)
	switch {
	case !ok:
	case errors.Is(e.Kind, objstore.ErrNotFound):
		e.Kind = objstore.ErrUnavailable
	case errors.Is(e.Kind, objstore.ErrDenied) && archived(info.Class):
		e.Kind = objstore.ErrArchived
		e.Message += ", and the object is of class " + info.Class
	}
	return err
}

// archived says whether objects of a storage class must be restored before they are read.
// The names are those of AWS, OBS, Alibaba Cloud, Tencent Cloud and Kingsoft Cloud.
func archived(class string) bool {
	switch strings.ToUpper(strings.ReplaceAll(class, "_", "")) {
	case "GLACIER", "DEEPARCHIVE", "COLD", "ARCHIVE", "COLDARCHIVE", "DEEPCOLDARCHIVE":
		return true
	}
	return false
}

// refusedRange says whether an error is the answer 416.
func refusedRange(err error) bool {
	e, ok := errors.AsType[*objstore.Error](err)
	return ok && e.Status == http.StatusRequestedRangeNotSatisfiable
}

// failed is the error for a request that got no answer.
func (c *Client) failed(ctx context.Context, key string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	e := c.wrong(key, objstore.ErrUnavailable, 0, "the domain does not answer")
	e.Err = unquoted(err)
	var untrusted *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	if errors.As(err, &untrusted) || errors.As(err, &noTLS) {
		e.Kind = objstore.ErrInvalid // no use in asking again
	}
	return e
}

// torn is the error for a body that ends early.
func (c *Client) torn(key string, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	e := c.wrong(key, objstore.ErrUnavailable, 0, "the body broke off")
	e.Op, e.Err = "read", unquoted(err)
	return e
}

// errNoHTTP stands for what a domain answered that is no HTTP.
var errNoHTTP = errors.New("the answer is no HTTP")

// unquoted is a cause that repeats nothing of what the domain said, as errors about
// malformed answers do: those of the network and of TLS name machines and certificates.
func unquoted(err error) error {
	var ofNetwork net.Error
	var ofTLS *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	if errors.As(err, &ofNetwork) || errors.As(err, &ofTLS) || errors.As(err, &noTLS) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
		return err
	}
	return errNoHTTP
}
