package s3

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Service is a store reached at one endpoint with one identity. Its buckets share
// connections, credentials and what is learned of the store's clock.
type Service struct {
	cfg      Config
	endpoint *url.URL // nil: AWS by region
	keys     *keyring
	// quick serves nearly everything. slow has patience, for requests whose answer
	// comes only after the store has moved an object's bytes.
	quick, slow *http.Transport
	proxied     bool // plain http through a proxy: request lines need the whole URL
	template    *http.Request
	skew        atomic.Int64 // nanoseconds the store's clock is ahead
	log         *slog.Logger
}

// Open returns one bucket with a service of its own.
func Open(cfg Config) (*Bucket, error) {
	s, err := NewService(cfg)
	if err != nil {
		return nil, err
	}
	return s.Bucket(cfg)
}

// NewService prepares to talk to the store of cfg. It connects to nothing.
func NewService(cfg Config) (*Service, error) {
	cfg.setDefaults()
	u, err := cfg.endpoint()
	if err != nil {
		return nil, err
	}
	ring, err := newKeyring(&cfg)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, endpoint: u, keys: ring, log: cfg.Log}
	s.template = &http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if err := s.connect(); err != nil {
		return nil, err
	}
	return s, nil
}

// Serves reports whether buckets of cfg may use this service: same endpoint, same
// identity, same way of talking.
func (s *Service) Serves(cfg Config) bool {
	cfg.setDefaults()
	a, b := s.cfg, cfg
	return a.Endpoint == b.Endpoint && a.AccessKey == b.AccessKey && a.SecretKey == b.SecretKey &&
		a.SessionToken == b.SessionToken && a.Anonymous == b.Anonymous && a.CAFile == b.CAFile &&
		a.RootCAs == b.RootCAs && a.MaxConns == b.MaxConns && a.DialTimeout == b.DialTimeout && a.Stall == b.Stall
}

// Bucket returns a bucket of the service; of cfg only what belongs to a bucket counts.
func (s *Service) Bucket(cfg Config) (*Bucket, error) {
	if err := validBucket(cfg.Bucket); err != nil {
		return nil, err
	}
	host := ""
	if s.endpoint != nil {
		host = s.endpoint.Hostname()
	}
	t, err := traitsOf(cfg.Provider, host, cfg.Override)
	if err != nil {
		return nil, err
	}
	b := &Bucket{
		svc: s, name: cfg.Bucket, signPayload: cfg.SignPayload,
		guessed: cfg.Provider == "" && t.Provider == generic, override: slices.Clone(cfg.Override),
	}
	b.traits.Store(t)
	region := cfg.Region
	if region == "" {
		region = regionOf(host)
	}
	b.place.Store(newPlace(s.endpoint, cfg.Bucket, region, cfg.VirtualHost))
	return b, nil
}

// Close drops the connections that are idle.
func (s *Service) Close() {
	s.quick.CloseIdleConnections()
	s.slow.CloseIdleConnections()
}

// now is the time by the store's clock, as far as it is known.
func (s *Service) now() time.Time { return s.cfg.Clock().Add(time.Duration(s.skew.Load())) }

// identity names the service in Identity.Service.
func (s *Service) identity() string {
	if s.endpoint == nil {
		return "s3:https://" + awsHost("us-east-1")
	}
	return "s3:" + s.endpoint.Scheme + "://" + bareHost(s.endpoint)
}

// Bucket is one bucket of an S3 store. It implements objstore.Bucket.
type Bucket struct {
	svc         *Service
	name        string
	signPayload bool
	guessed     bool // nobody named the provider and the host says nothing
	override    []string
	place       atomic.Pointer[place]
	traits      atomic.Pointer[traits]
	unkept      sync.Map // upload id → unkept
}

var _ objstore.Bucket = (*Bucket)(nil)

// Service returns the service of the bucket, to open more of its buckets.
func (b *Bucket) Service() *Service { return b.svc }

// Capabilities implements objstore.Bucket.
func (b *Bucket) Capabilities() objstore.Capabilities { return b.traits.Load().Capabilities }

// Identity implements objstore.Bucket.
func (b *Bucket) Identity() objstore.Identity {
	return objstore.Identity{Service: b.svc.identity(), Bucket: b.name}
}
