package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/file"
	"github.com/lockstep-sync/lockstep/internal/objstore/limit"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// EndpointOptions is the JSON object of an endpoint's options; docs/stores.md explains
// them.
type EndpointOptions struct {
	VirtualHost bool     `json:"virtual_host,omitempty"`
	SignPayload bool     `json:"sign_payload,omitempty"`
	CAFile      string   `json:"ca_file,omitempty"`
	Environment bool     `json:"environment_credentials,omitempty"` // without keys: ask the machine for some, instead of signing nothing
	Override    []string `json:"capabilities,omitempty"`            // "name=value"

	Sidecars bool `json:"sidecars,omitempty"` // of directories

	Concurrency    int     `json:"concurrency,omitempty"`         // requests in flight; 0 adapts
	RequestsPerSec float64 `json:"requests_per_second,omitempty"` // 0: no limit
}

// parseEndpointOptions reads them strictly: a misspelt limit must not be no limit.
func parseEndpointOptions(text []byte) (o EndpointOptions, err error) {
	if len(text) == 0 {
		return o, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return o, &task.Error{Kind: task.Invalid, Code: "BAD_OPTIONS", Text: "the options of the endpoint cannot be read: " + err.Error(), Next: "see docs/stores.md", Err: err}
	}
	if o.Concurrency < 0 || o.RequestsPerSec < 0 {
		return o, &task.Error{Kind: task.Invalid, Code: "BAD_OPTIONS", Text: "a limit of the endpoint is below zero", Next: "leave it out to have none"}
	}
	return o, nil
}

// openEndpoint is one version of an endpoint with the buckets of it that were opened.
type openEndpoint struct {
	row    task.Endpoint
	limits *limit.Endpoint
	driver driver
	readAt atomic.Int64

	mu      sync.Mutex
	buckets map[string]*openBucket
	guests  map[[sha256.Size]byte]*openEndpoint // by the credentials that tasks keep
}

// openBucket is opened by whoever asks first, while others wait.
type openBucket struct {
	mu      sync.Mutex
	b       objstore.Bucket
	err     error
	refused time.Time // when it could not be opened
}

// driver opens the buckets of a store.
type driver interface {
	open(ctx context.Context, bucket string) (objstore.Bucket, error)
	buckets(ctx context.Context) ([]string, error)
	io.Closer
}

func (r *registry) newOpenEndpoint(e task.Endpoint) (*openEndpoint, error) {
	opt, err := parseEndpointOptions(e.Options)
	if err != nil {
		return nil, err
	}
	keys, err := control.OpenCredentials(r.box, e)
	if err != nil {
		return nil, err
	}
	d, err := r.newDriver(e, opt, keys)
	if err != nil {
		return nil, err
	}
	return &openEndpoint{
		row: e, driver: d, buckets: map[string]*openBucket{},
		limits: limit.New(limit.Config{Fixed: opt.Concurrency, RequestsPerSec: opt.RequestsPerSec}),
	}, nil
}

func (r *registry) newDriver(e task.Endpoint, opt EndpointOptions, keys control.Credentials) (driver, error) {
	switch e.Provider {
	case "file":
		u, err := url.Parse(e.URL)
		if err != nil {
			return nil, task.Errorf(task.Invalid, "the URL of endpoint %s: %w", e.ID, err)
		}
		return directories{dir: u.Path, opt: file.Options{Sidecars: opt.Sidecars}}, nil
	case "mem":
		svc, _ := r.memories.LoadOrStore(endpointName{e.Project, e.ID}, mem.NewService())
		return memory{svc.(*mem.Service)}, nil
	case "azure", "http":
		return nil, &task.Error{Kind: task.Unavailable, Code: "PROVIDER_MISSING", Text: "this version cannot open stores of provider " + e.Provider, Next: "use an S3 store or a directory"}
	}
	cfg := s3.Config{
		Endpoint: e.URL, Region: e.Region, Provider: s3Provider(e.Provider), AccessKey: keys.AccessKey,
		SecretKey: keys.SecretKey.Reveal(), SessionToken: keys.SessionToken.Reveal(),
		Anonymous: keys.AccessKey == "" && !opt.Environment, VirtualHost: opt.VirtualHost, SignPayload: opt.SignPayload,
		Override: opt.Override, CAFile: opt.CAFile, Log: r.log,
	}
	svc, err := s3.NewService(cfg)
	if err != nil {
		return nil, &task.Error{Kind: task.Invalid, Code: "BAD_ENDPOINT", Text: fmt.Sprintf("endpoint %s cannot be used: %v", e.ID, err), Next: "change the endpoint", Err: err}
	}
	return objects{svc, cfg}, nil
}

// s3Provider is the row of the driver's capability table; "" lets it find out.
func s3Provider(p string) string {
	switch p {
	case "aws", "obs", "minio", "ceph", "versitygw":
		return p
	}
	return ""
}

func (e *openEndpoint) read() time.Time     { return time.Unix(0, e.readAt.Load()) }
func (e *openEndpoint) setRead(t time.Time) { e.readAt.Store(t.UnixNano()) }

// refusalKept is how long a bucket that could not be opened is not asked again.
const refusalKept = time.Second

// bucket returns a bucket of the endpoint with limits and retries around it. The store
// is asked once whether it is there.
func (e *openEndpoint) bucket(ctx context.Context, name string) (objstore.Bucket, error) {
	e.mu.Lock()
	o := e.buckets[name]
	if o == nil {
		o = &openBucket{}
		e.buckets[name] = o
	}
	e.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.b != nil || o.err != nil && time.Since(o.refused) < refusalKept {
		return o.b, o.err
	}
	b, err := e.driver.open(ctx, name)
	if err == nil {
		probe, cancel := context.WithTimeout(ctx, probeTimeout)
		err = b.Probe(probe)
		cancel()
	}
	if err != nil {
		if ctx.Err() == nil {
			o.err, o.refused = err, time.Now()
		}
		return nil, err
	}
	o.b, o.err = wrapDriver(b, e.limits), nil
	return o.b, nil
}

func (e *openEndpoint) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.driver.Close()
	for _, g := range e.guests {
		err = errors.Join(err, g.close())
	}
	return err
}

// objects are the buckets of an S3 store, which share connections.
type objects struct {
	svc *s3.Service
	cfg s3.Config
}

func (d objects) open(_ context.Context, bucket string) (objstore.Bucket, error) {
	cfg := d.cfg
	cfg.Bucket = bucket
	b, err := d.svc.Bucket(cfg)
	if err != nil {
		return nil, err // not b: a nil *Bucket in an interface is not nil
	}
	return b, nil
}

func (d objects) buckets(ctx context.Context) ([]string, error) { return d.svc.Buckets(ctx, d.cfg) }

func (d objects) Close() error { d.svc.Close(); return nil }

// directories are the directories below one, each a bucket.
type directories struct {
	dir string
	opt file.Options
}

func (d directories) open(_ context.Context, bucket string) (objstore.Bucket, error) {
	if bucket == "" || bucket == "." || bucket == ".." || strings.ContainsAny(bucket, "/\x00") || strings.HasPrefix(bucket, file.Reserved) {
		return nil, &task.Error{Kind: task.Invalid, Code: "BAD_BUCKET", Text: fmt.Sprintf("%q is no name of a directory", bucket), Next: "name one directly below that of the endpoint"}
	}
	b, err := file.Open(filepath.Join(d.dir, bucket), d.opt)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// buckets are the directories; others' files beside them are none.
func (d directories) buckets(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), file.Reserved) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (directories) Close() error { return nil }

// memory is a store that ends with the process.
type memory struct{ svc *mem.Service }

func (d memory) open(_ context.Context, bucket string) (objstore.Bucket, error) {
	return d.svc.Bucket(bucket), nil
}

func (d memory) buckets(context.Context) ([]string, error) { return d.svc.Names(), nil }

func (memory) Close() error { return nil }
