package s3

import (
	"net/http"
	"net/url"
)

// WithProxy returns cfg with an http proxy for all requests.
func WithProxy(cfg Config, proxy *url.URL) Config {
	cfg.proxy = func(*http.Request) (*url.URL, error) { return proxy, nil }
	return cfg
}
