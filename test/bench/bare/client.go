// Package bare is an S3 client that does as little as an S3 client can: net/http,
// a Signature Version 4 over three headers, payloads never hashed, listings read
// with a string scan. The limit program is written on it, so what it costs is the
// yardstick of every benchmark; it is no model for a client that has to be robust.
// Keys must be free of characters that XML 1.0 cannot carry.
package bare

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says where a service is and how to speak to it.
type Config struct {
	Endpoint    string // http://host:port
	AccessKey   string
	SecretKey   string
	Connections int // kept open; 0 means 2
}

// Client speaks to one service, with the bucket in the path.
type Client struct {
	base   string // scheme://host, no slash at the end
	host   string
	signer signer
	http   *http.Client
}

// New returns a client. It connects when the first request is sent.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("bad endpoint %q", cfg.Endpoint)
	}
	idle := 2 * max(cfg.Connections, 1)
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConns:          idle,
		MaxIdleConnsPerHost:   idle,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
		ResponseHeaderTimeout: 2 * time.Minute,
	}
	return &Client{
		base:   u.Scheme + "://" + u.Host,
		host:   u.Host,
		signer: signer{access: cfg.AccessKey, secret: cfg.SecretKey},
		http:   &http.Client{Transport: transport},
	}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// StatusError is an answer other than 2xx.
type StatusError struct {
	Method, Path string
	Status       int
	Body         string // at most 2 KiB of it
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: status %d: %s", e.Method, e.Path, e.Status, e.Body)
}

// call is one request. Its zero value plus method and path is a GET without extras.
type call struct {
	method     string
	path       string // "/bucket" or "/bucket/key", not escaped
	query      string // canonical: sorted by name, escaped
	body       io.Reader
	size       int64  // bytes of body
	copySource string // x-amz-copy-source, escaped
}

// do sends one signed request. The caller closes the body of a 2xx answer; any
// other answer is a *StatusError.
func (c *Client) do(ctx context.Context, in call) (*http.Response, error) {
	path := escape(in.path, true)
	target := c.base + path
	if in.query != "" {
		target += "?" + in.query
	}
	req, err := http.NewRequestWithContext(ctx, in.method, target, in.body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = in.size
	if in.size == 0 {
		req.Body = http.NoBody
	}
	c.signer.sign(req.Header, c.host, path, in, time.Now().UTC())
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 2<<10))
		return nil, &StatusError{Method: in.method, Path: in.path, Status: resp.StatusCode, Body: string(text)}
	}
	return resp, nil
}

// drain reads an answer to its end, so that its connection can be used again.
func drain(resp *http.Response) error {
	_, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return err
}

func etagOf(resp *http.Response) string { return strings.Trim(resp.Header.Get("Etag"), `"`) }
