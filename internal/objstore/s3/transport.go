package s3

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"
)

// The buffers of a connection. An answer's head, and a small object with it,
// arrive in one read; what is larger than the buffer is read past it. A request's
// head and a small body leave in one write.
const (
	readBuffer  = 16 * kib
	writeBuffer = 32 * kib
	// wholeBody is the largest body that surely leaves in one write with its head.
	wholeBody = writeBuffer - 8*kib
)

// connect makes the transports of the service.
func (s *Service) connect() error {
	roots, err := s.cfg.roots()
	if err != nil {
		return err
	}
	tlsConfig := &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, NextProtos: []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(s.cfg.MaxConns),
	}
	proxy, err := s.proxy()
	if err != nil {
		return err
	}
	s.proxied = proxy != nil && s.endpoint != nil && s.endpoint.Scheme == "http"
	s.quick = newTransport(&s.cfg, s.cfg.Stall, tlsConfig, proxy)
	s.slow = newTransport(&s.cfg, 10*s.cfg.Stall, tlsConfig, proxy)
	return nil
}

// proxy asks once instead of once a request.
func (s *Service) proxy() (*url.URL, error) {
	u := s.endpoint
	if u == nil {
		u = &url.URL{Scheme: "https", Host: awsHost(defaultRegion)}
	}
	return s.cfg.proxy(&http.Request{URL: u})
}

func newTransport(cfg *Config, stall time.Duration, tlsConfig *tls.Config, proxy *url.URL) *http.Transport {
	dialer := &net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: 30 * time.Second}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return newConn(c, stall), nil
	}
	t := &http.Transport{
		DialContext:         dial,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 2 * cfg.DialTimeout,
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1 alone
		DisableCompression:  true,                                                   // an object's encoding is the object's
		MaxIdleConns:        0,
		MaxIdleConnsPerHost: cfg.MaxConns,
		IdleConnTimeout:     min(stall*2/3, 45*time.Second), // ends before conn's deadline does
		ReadBufferSize:      readBuffer,
		WriteBufferSize:     writeBuffer,
	}
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
		return t
	}
	// Through a proxy net/http wraps the connection in TLS by itself. Else the
	// wrapping is done here, so that streamed bodies meet conn.ReadFrom on top of it.
	t.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout+t.TLSHandshakeTimeout)
		defer cancel()
		plain, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		config := tlsConfig.Clone()
		if config.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			_ = plain.Close()
			return nil, err
		}
		secure := tls.Client(plain, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, err
		}
		return newConn(secure, stall), nil
	}
	return t
}
