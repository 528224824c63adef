// Package memserver is an S3 server that keeps everything in memory and checks no
// signatures. A request costs it far less than it costs a real server, so the cost
// of the client shows; Delay adds a round-trip time. It speaks the part of S3 that
// synchronisation tools use and answers NotImplemented to the rest. For
// benchmarks on a loopback address: it trusts what clients send.
package memserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config changes how a Server answers.
type Config struct {
	Delay time.Duration // waited before each answer
}

// Server is an http.Handler. All methods may be called concurrently.
type Server struct {
	delay    time.Duration
	requests counters

	mu      sync.RWMutex
	buckets map[string]*bucket
	uploads map[string]*upload
	lastID  int // of uploads
}

// bucket is guarded by Server.mu.
type bucket struct {
	objects map[string]*object
	keys    []string // of objects, sorted; replaced, never changed; nil when out of date
}

// object is never changed once it is in a bucket.
type object struct {
	parts  [][]byte // as uploaded
	size   int64
	etag   string      // without quotes
	header http.Header // content headers and user metadata
	mtime  time.Time
}

// upload is guarded by Server.mu.
type upload struct {
	bucket, key string
	header      http.Header
	parts       map[int]*object
}

// New returns an empty server.
func New(cfg Config) *Server {
	return &Server{delay: cfg.Delay, buckets: map[string]*bucket{}, uploads: map[string]*upload{}}
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == countsPath {
		s.requests.serve(w)
		return
	}
	if s.delay > 0 && !wait(r, s.delay) {
		return
	}
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := url.Values{}
	if r.URL.RawQuery != "" {
		query = r.URL.Query()
	}
	s.requests.count(r, key != "", query)
	switch {
	case name == "":
		s.listBuckets(w)
	case key == "":
		s.serveBucket(w, r, name, query)
	default:
		s.serveObject(w, r, name, key, query)
	}
}

// wait reports false when the client went away first.
func wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (s *Server) serveBucket(w http.ResponseWriter, r *http.Request, name string, query url.Values) {
	if r.Method == http.MethodPut && (len(query) == 0 || query.Has("x-id")) {
		s.createBucket(name)
		return
	}
	s.mu.RLock()
	known := s.buckets[name] != nil
	s.mu.RUnlock()
	switch {
	case !known:
		fail(w, http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodHead:
		w.Header().Set("X-Amz-Bucket-Region", "us-east-1")
	case r.Method == http.MethodPost && query.Has("delete"):
		s.deleteMany(w, r, name)
	case r.Method == http.MethodGet:
		s.readBucket(w, name, query)
	default:
		fail(w, http.StatusNotImplemented, "NotImplemented")
	}
}

// readBucket lists, or answers for a bucket without any configuration.
func (s *Server) readBucket(w http.ResponseWriter, name string, query url.Values) {
	switch {
	case query.Has("location"):
		writeXML(w, []byte(`<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>`))
	case query.Has("versioning"):
		writeXML(w, []byte(`<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></VersioningConfiguration>`))
	case query.Has("object-lock"):
		fail(w, http.StatusNotFound, "ObjectLockConfigurationNotFoundError")
	case query.Has("uploads"):
		writeXML(w, []byte(`<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>`))
	case slices.ContainsFunc([]string{"acl", "policy", "encryption", "versions", "events", "tagging"}, query.Has):
		fail(w, http.StatusNotImplemented, "NotImplemented")
	default:
		s.list(w, name, query)
	}
}

func (s *Server) createBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] == nil {
		s.buckets[name] = &bucket{objects: map[string]*object{}}
	}
}

func (s *Server) lookup(name, key string) *object {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if b := s.buckets[name]; b != nil {
		return b.objects[key]
	}
	return nil
}

// condition is what a write asks of the object it replaces.
type condition struct {
	absent bool
	etag   string // without quotes; "" asks nothing
}

func conditionOf(r *http.Request) condition {
	return condition{
		absent: r.Header.Get("If-None-Match") == "*",
		etag:   strings.Trim(r.Header.Get("If-Match"), `"`),
	}
}

// store puts o under key and returns "", or the S3 error code that says why not.
func (s *Server) store(name, key string, o *object, cond condition) (code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return "NoSuchBucket"
	}
	old := b.objects[key]
	if cond.absent && old != nil || cond.etag != "" && (old == nil || old.etag != cond.etag) {
		return "PreconditionFailed"
	}
	if old == nil {
		b.keys = nil
	}
	b.objects[key] = o
	return ""
}

// remove deletes keys; those that do not exist are passed over.
func (s *Server) remove(name string, keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return
	}
	for _, key := range keys {
		if b.objects[key] != nil {
			delete(b.objects, key)
			b.keys = nil
		}
	}
}
