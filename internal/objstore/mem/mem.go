// Package mem keeps buckets in memory. It behaves as S3 does where S3 is
// strict: MD5 and multipart ETags, conditional writes, validated CRC64NVME sums,
// limits on parts. It starts no goroutine, and takes the time from a clock of
// the caller's choice, so that a simulation can drive it. What it imitates, and
// what it refuses, is set by Capabilities.
package mem

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Service is a set of buckets that can copy between each other.
type Service struct {
	id      string
	mu      sync.RWMutex
	buckets map[string]*Bucket
}

var serviceIDs atomic.Int64

// NewService returns a service without buckets.
func NewService() *Service {
	return &Service{
		id:      "mem:" + strconv.FormatInt(serviceIDs.Add(1), 10),
		buckets: make(map[string]*Bucket),
	}
}

// Bucket returns the bucket of that name and creates it when there is none;
// options matter at creation only.
func (s *Service) Bucket(name string, opts ...Option) *Bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.buckets[name]; b != nil {
		return b
	}
	b := &Bucket{service: s, name: name, clock: time.Now, caps: defaults, uploads: make(map[string]*upload)}
	for _, opt := range opts {
		opt(b)
	}
	s.buckets[name] = b
	return b
}

// Names are the buckets there are, sorted.
func (s *Service) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.buckets))
}

func (s *Service) lookup(name string) *Bucket {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.buckets[name]
}

// Option sets up a bucket.
type Option func(*Bucket)

// WithClock sets the source of modification times; time.Now without it. Times
// are kept as precise as the clock gives them: return whole seconds to imitate
// a store whose clock has no more.
func WithClock(now func() time.Time) Option {
	return func(b *Bucket) { b.clock = now }
}

// WithCapabilities edits what the bucket can do, e.g. to allow small parts. The
// bucket obeys: it ignores conditions, sums and tags it does not claim, and
// answers ErrUnsupported to operations it does not have.
func WithCapabilities(edit func(*objstore.Capabilities)) Option {
	return func(b *Bucket) { edit(&b.caps) }
}

// defaults are the limits of Amazon S3 ("Amazon S3 multipart upload limits",
// "Creating object key names", "Working with object metadata").
var defaults = objstore.Capabilities{
	Provider:         "mem",
	Conditional:      objstore.ConditionalFull,
	ETag:             objstore.ETagMD5,
	ChecksumPut:      true,
	ChecksumComplete: true,
	MaxKey:           1024,
	MaxPut:           5 << 30,
	MinPart:          5 << 20,
	MaxPart:          5 << 30,
	MaxParts:         10_000,
	MaxCopy:          5 << 30,
	MaxMeta:          2 << 10,
	DeleteMany:       1000,
	Tags:             true,
	Meta:             true,
	PartLayout:       true,
	NonUTF8Keys:      true,
}

// Bucket is an objstore.Bucket in memory.
type Bucket struct {
	service *Service
	name    string
	clock   func() time.Time
	caps    objstore.Capabilities

	mu         sync.RWMutex
	gone       bool
	index      index
	uploads    map[string]*upload
	lastUpload int
}

var _ objstore.Bucket = (*Bucket)(nil)

// New returns an empty bucket on a service of its own.
func New(name string, opts ...Option) *Bucket { return NewService().Bucket(name, opts...) }

// Remove makes the bucket vanish with all it holds: every later operation
// answers ErrBucketNotFound.
func (b *Bucket) Remove() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone, b.index, b.uploads = true, index{}, nil
}

// Len returns the number of objects.
func (b *Bucket) Len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.index.size
}

// Uploads returns the number of multipart uploads neither completed nor aborted.
func (b *Bucket) Uploads() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.uploads)
}

// Probe implements objstore.Bucket.
func (b *Bucket) Probe(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.here("probe", "")
}

// Capabilities implements objstore.Bucket.
func (b *Bucket) Capabilities() objstore.Capabilities { return b.caps }

// Identity implements objstore.Bucket.
func (b *Bucket) Identity() objstore.Identity {
	return objstore.Identity{Service: b.service.id, Bucket: b.name}
}

// begin refuses what no operation on key can do. It takes no lock.
func (b *Bucket) begin(ctx context.Context, op, key string) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case key == "":
		return fail(op, key, objstore.ErrKey, "empty key")
	case b.caps.MaxKey > 0 && len(key) > b.caps.MaxKey:
		return fail(op, key, objstore.ErrKey, "key too long")
	case !b.caps.NonUTF8Keys && !utf8.ValidString(key):
		return fail(op, key, objstore.ErrKey, "key is not UTF-8")
	}
	return nil
}

// here fails when the bucket has been removed. b.mu is held.
func (b *Bucket) here(op, key string) error {
	if b.gone {
		return fail(op, key, objstore.ErrBucketNotFound, "")
	}
	return nil
}

func fail(op, key string, kind error, message string) error {
	return &objstore.Error{Kind: kind, Op: op, Key: key, Message: message}
}
