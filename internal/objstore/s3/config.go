package s3

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Config says where a store is and how to talk to it. Endpoint and credentials
// are a Service's; Bucket, Provider, VirtualHost and Override are one bucket's.
type Config struct {
	Endpoint string // http(s)://host[:port][/path]; "" is AWS, by region
	Region   string // "" is read from the host, else us-east-1; a wrong one is corrected by the store's answer
	Bucket   string
	Provider string // row of the capability table; "" is guessed from the host, or from Probe's answer

	// Without AccessKey the usual places are asked: environment, AWS and MinIO
	// files, the machine's or pod's role.
	AccessKey    string
	SecretKey    string
	SessionToken string
	Anonymous    bool // sign nothing

	VirtualHost bool // bucket in the host name instead of the path; the rule at AWS itself
	SignPayload bool // sign the SHA-256 of what is sent instead of UNSIGNED-PAYLOAD
	// Override changes single traits of the provider, "name=value" (override.go).
	Override []string

	CAFile  string         // PEM file of extra certificate authorities
	RootCAs *x509.CertPool // instead of the system's; CAFile is added to them

	MaxConns    int           // idle connections kept; 0 means 256
	DialTimeout time.Duration // 0 means 5 s
	// Stall is how long a connection may make no progress while an answer or a
	// body is awaited; 0 means 60 s. Copies and completions get ten times that.
	Stall time.Duration

	Clock func() time.Time // nil means time.Now
	Log   *slog.Logger     // nil discards

	// proxy finds the proxy for a request; nil is the environment's. Tests set it,
	// as net/http reads the environment once in a process.
	proxy func(*http.Request) (*url.URL, error)
}

func (c *Config) setDefaults() {
	if c.MaxConns <= 0 {
		c.MaxConns = 256
	}
	if c.DialTimeout <= 0 {
		c.DialTimeout = 5 * time.Second
	}
	if c.Stall <= 0 {
		c.Stall = time.Minute
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.proxy == nil {
		c.proxy = http.ProxyFromEnvironment
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// endpoint returns the parsed Endpoint, nil for AWS by region.
func (c *Config) endpoint() (*url.URL, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil:
		return nil, errors.New("s3 endpoint is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("s3 endpoint %q: scheme must be http or https", u.Redacted())
	case u.Host == "":
		return nil, fmt.Errorf("s3 endpoint %q has no host", u.Redacted())
	case u.User != nil:
		return nil, errors.New("s3 endpoint: credentials do not belong into the URL")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("s3 endpoint at %q: a query or fragment does not belong there", u.Host)
	}
	return u, nil
}

// roots returns the certificate authorities to trust, nil for the system's.
func (c *Config) roots() (*x509.CertPool, error) {
	pool := c.RootCAs
	if c.CAFile == "" {
		return pool, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w", err)
	}
	if pool == nil {
		if pool, err = x509.SystemCertPool(); err != nil {
			pool = x509.NewCertPool()
		}
	} else {
		pool = pool.Clone()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificate authorities: no certificate in %s", c.CAFile)
	}
	return pool, nil
}

// validBucket refuses names that would change the meaning of a URL or a host.
// Stores judge the rest.
func validBucket(name string) error {
	if name == "" {
		return errors.New("s3: no bucket named")
	}
	if name == "." || name == ".." || strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`/\?#%"`, r)
	}) {
		return fmt.Errorf("s3: %q cannot be a bucket's name", name)
	}
	return nil
}
