// Package client calls /api/v1 of a running Lockstep, for the command line.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// DefaultURL is where a service is found when nobody says otherwise.
const DefaultURL = "http://127.0.0.1:8321"

// Config says whom to call, and as whom.
type Config struct {
	URL       string // http(s)://HOST[:PORT]; "": DefaultURL
	AccessKey string
	SecretKey string
}

// Client calls one service. It may be used concurrently.
type Client struct {
	cfg  Config
	base string
	http http.Client
}

// New checks cfg. It connects to nothing.
func New(cfg Config) (*Client, error) {
	if cfg.URL == "" {
		cfg.URL = DefaultURL
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, &task.Error{Kind: task.Invalid, Code: "BAD_URL", Text: "the service's address is not http(s)://HOST[:PORT]", Next: "set LOCKSTEP_URL or --url, e.g. " + DefaultURL}
	}
	if cfg.AccessKey == "" || cfg.SecretKey == "" {
		return nil, &task.Error{
			Kind: task.Denied, Code: "NO_CREDENTIALS", Text: "no access key for " + u.Redacted() + " is set",
			Next: "set LOCKSTEP_ACCESS_KEY and LOCKSTEP_SECRET_KEY, or write them to a profile (lockstep help profile)",
		}
	}
	c := &Client{cfg: cfg, base: strings.TrimSuffix(cfg.URL, "/") + "/api/v1"}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 5 * time.Minute
	c.http = http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// Address is where the service is.
func (c *Client) Address() string { return strings.TrimSuffix(c.cfg.URL, "/") }

// Get reads path into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.Do(ctx, http.MethodGet, path, nil, out)
}

// Post sends in, which may be nil, to path and reads the answer into out, which may be nil.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.Do(ctx, http.MethodPost, path, in, out)
}

// Do sends in as JSON and decodes the answer into out. A *json.RawMessage gets it as it
// is. Errors of the service are *task.Error with its code and advice.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	return c.send(ctx, method, path, "application/json", body, out)
}

// Upload sends a body of any length.
func (c *Client) Upload(ctx context.Context, path, contentType string, body io.Reader, out any) error {
	in := &input{Reader: body}
	err := c.send(ctx, http.MethodPost, path, contentType, in, out)
	if failed := in.failed.Load(); err != nil && failed != nil {
		return &task.Error{Kind: task.Invalid, Code: "INPUT_UNREADABLE", Text: "what is to be sent cannot be read: " + (*failed).Error(), Next: "mend it and send all of it again", Err: *failed}
	}
	return err
}

// input remembers that reading failed, which a request would blame on the service.
type input struct {
	io.Reader
	failed atomic.Pointer[error]
}

func (in *input) Read(p []byte) (int, error) {
	n, err := in.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		in.failed.Store(&err)
	}
	return n, err
}

func (c *Client) send(ctx context.Context, method, path, contentType string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	req.SetBasicAuth(c.cfg.AccessKey, c.cfg.SecretKey)
	if body != http.NoBody {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if resp.StatusCode/100 != 2 {
		return c.refused(resp, answer)
	}
	if out == nil || len(answer) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return &task.Error{Kind: task.Internal, Code: "BAD_ANSWER", Text: c.cfg.URL + " answers something that is not of Lockstep", Next: "check LOCKSTEP_URL", Err: err}
	}
	return nil
}

// maxAnswer bounds an answer: 1,000 items of a few KiB each.
const maxAnswer = 64 << 20

func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &task.Error{
			Kind: task.Unavailable, Code: "CERTIFICATE_UNKNOWN", Text: "the certificate of the service at " + c.cfg.URL + " is not trusted",
			Next: "have this machine trust who signed it, or name its PEM file in SSL_CERT_FILE; or correct LOCKSTEP_URL", Err: err,
		}
	}
	return &task.Error{
		Kind: task.Unavailable, Code: "SERVICE_UNREACHABLE", Text: "the service at " + c.cfg.URL + " does not answer",
		Next: "start it with: lockstep serve; or set LOCKSTEP_URL to where it is", Err: err,
	}
}

// problem is an error as the service tells it (RFC 9457).
type problem struct {
	Code, Detail, Next string
	RequestID          string `json:"request_id"`
	Fields             []string
}

var kinds = map[int]task.Kind{
	http.StatusBadRequest: task.Invalid, http.StatusUnprocessableEntity: task.Invalid, http.StatusUnauthorized: task.Denied,
	http.StatusForbidden: task.Denied, http.StatusNotFound: task.NotFound, http.StatusConflict: task.Conflict,
	http.StatusTooManyRequests: task.Unavailable, http.StatusServiceUnavailable: task.Unavailable,
}

func (c *Client) refused(resp *http.Response, answer []byte) error {
	var p problem
	if err := json.Unmarshal(answer, &p); err != nil || p.Code == "" {
		return &task.Error{
			Kind: kinds[resp.StatusCode], Code: "BAD_ANSWER", Text: fmt.Sprintf("%s answers %s, which is not of Lockstep", c.cfg.URL, resp.Status),
			Next: "check LOCKSTEP_URL",
		}
	}
	e := &task.Error{Kind: kinds[resp.StatusCode], Code: p.Code, Text: p.Detail, Next: p.Next}
	if len(p.Fields) > 0 {
		e.Text += ": " + strings.Join(p.Fields, ", ")
	}
	if e.Kind == task.Internal {
		e.Err = errors.New("request " + p.RequestID)
	}
	return e
}

// Page is a part of a list.
type Page struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next"`
}

// All reads a list that has no pages.
func (c *Client) All(ctx context.Context, path string) ([]json.RawMessage, error) {
	var p Page
	err := c.Get(ctx, path, &p)
	return p.Items, err
}

// List reads up to limit items of a list; limit 0 is all of them.
func (c *Client) List(ctx context.Context, path string, query url.Values, limit int) (items []json.RawMessage, err error) {
	if query == nil {
		query = url.Values{}
	}
	for {
		n := 1000
		if limit > 0 {
			n = min(n, limit-len(items))
		}
		query.Set("limit", fmt.Sprint(n))
		var p Page
		if err := c.Get(ctx, path+"?"+query.Encode(), &p); err != nil {
			return items, err
		}
		items = append(items, p.Items...)
		if p.Next == "" || limit > 0 && len(items) >= limit {
			return items, nil
		}
		query.Set("cursor", p.Next)
	}
}
