package cdn

import (
	"context"
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

// Config is a domain and how requests to it are signed.
type Config struct {
	// URL is PROTOCOL://DOMAIN, without a path.
	URL *url.URL
	// Authentication is the name of the rule; empty: NONE.
	Authentication string
	// Key is what the rule signs with, or the query of a SAS token.
	Key string
	// AccessKey and SecretKey are the pair of the bucket, for rules that sign with it.
	AccessKey, SecretKey string

	Transport *http.Transport  // nil: a new one, NewTransport(0)
	Now       func() time.Time // nil: time.Now
}

// Client asks one domain.
type Client struct {
	cfg  Config
	base *url.URL
	sign rule
}

// New returns a client of a domain. It asks nothing yet. The error says what of the
// configuration is wrong.
func New(cfg Config) (*Client, error) {
	u := cfg.URL
	if u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("the address of a CDN is PROTOCOL://DOMAIN")
	}
	sign, err := ruleOf(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Transport == nil {
		cfg.Transport = NewTransport(0)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg: cfg, base: &url.URL{Scheme: u.Scheme, Host: u.Host}, sign: sign}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.cfg.Transport.CloseIdleConnections() }

// defaultStall is how long a connection may move nothing.
const defaultStall = time.Minute

// NewTransport returns connections that give up when nothing moves for stall; 0: a
// minute. They ask for no compression and speak HTTP/1.1: one stalled stream must not
// stand for others.
func NewTransport(stall time.Duration) *http.Transport {
	if stall == 0 {
		stall = defaultStall
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	one := new(http.Protocols)
	one.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &impatient{conn, stall}, nil
		},
		Protocols:              one,
		TLSHandshakeTimeout:    20 * time.Second,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        stall * 2 / 3,
		MaxResponseHeaderBytes: 64 << 10,
		ReadBufferSize:         16 << 10,
	}
}

// impatient is a connection that ends when one read or write takes longer than stall.
type impatient struct {
	net.Conn
	stall time.Duration
}

func (c *impatient) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *impatient) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// request is a signed GET of a key; span is the value of Range, or empty.
func (c *Client) request(ctx context.Context, key, span string) (*http.Request, error) {
	if key == "" {
		return nil, c.wrong(key, objstore.ErrKey, 0, "empty key")
	}
	signed := c.sign(escapePath("/"+key), c.cfg.Now())
	u := *c.base
	u.Path, u.RawPath, u.RawQuery = signed.before+"/"+key, signed.before+escapePath("/"+key), signed.query
	req := (&http.Request{Method: http.MethodGet, URL: &u, Host: u.Host, Header: http.Header{
		"Accept-Encoding": {"identity"},
		"User-Agent":      {"lockstep"},
	}}).WithContext(ctx)
	if span != "" {
		req.Header.Set("Range", span)
	}
	return req, nil
}

// send sends a request and follows no redirect. Answers other than 200 and 206 are errors.
func (c *Client) send(ctx context.Context, key, span string) (*http.Response, error) {
	req, err := c.request(ctx, key, span)
	if err != nil {
		return nil, err
	}
	resp, err := c.cfg.Transport.RoundTrip(req)
	if err != nil {
		return nil, c.failed(ctx, key, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
		resp.Body.Close()
		return nil, c.refused(key, resp)
	}
	return resp, nil
}

// get reads what is wanted. The validator is what the domain calls the state it serves.
func (c *Client) get(ctx context.Context, want wanted) (content *objstore.Content, validator string, err error) {
	span := ""
	if !want.whole() {
		span = "bytes=" + strconv.FormatInt(want.offset, 10) + "-" + strconv.FormatInt(want.offset+want.length-1, 10)
	}
	resp, err := c.send(ctx, want.key, span)
	if err != nil {
		return nil, "", c.explain(err, &want.info)
	}
	b := &body{src: resp.Body, client: c, key: want.key, left: want.length}
	if err := c.judge(want, resp, b); err != nil {
		resp.Body.Close()
		return nil, "", err
	}
	return &objstore.Content{Info: want.info, Body: b, Length: want.length}, validatorOf(resp.Header), nil
}

// Look says what the domain serves under a key, and reads its first byte. Only Key, Size
// (-1: not said), ETag and ModTime are set. ErrNotFound: it serves nothing there.
func (c *Client) Look(ctx context.Context, key string) (objstore.Object, error) {
	resp, err := c.send(ctx, key, "bytes=0-0")
	if refusedRange(err) { // of an empty object
		resp, err = c.send(ctx, key, "")
	}
	if err != nil {
		return objstore.Object{}, err
	}
	defer resp.Body.Close()
	o := objstore.Object{Key: key, Size: resp.ContentLength, ETag: parseETag(resp.Header.Get("ETag")).value}
	o.ModTime, _ = http.ParseTime(resp.Header.Get("Last-Modified"))
	if resp.StatusCode == http.StatusPartialContent {
		r, ok := parseContentRange(resp.Header.Get("Content-Range"))
		if !ok {
			return objstore.Object{}, c.wrong(key, objstore.ErrUnavailable, resp.StatusCode, "the answer has another range than asked for")
		}
		o.Size = r.total
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1); err != nil && (err != io.EOF || o.Size > 0) { //nolint:errorlint // CopyN returns io.EOF itself
		return objstore.Object{}, c.torn(key, err)
	}
	return o, nil
}
