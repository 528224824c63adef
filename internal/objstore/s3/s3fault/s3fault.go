// Package s3fault is an S3 server in the test's own process that misbehaves on
// demand: it imitates the stores, and the accidents, that a test cannot have for
// real. It keeps objects in memory, checks signatures by a verifier written from
// the specification, and speaks the part of S3 that Lockstep speaks.
//
// Options make it a certain kind of store for all its life; Inject breaks single
// requests.
package s3fault

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Options is what kind of store a server is. The zero value is a well-behaved one
// with the bucket "bucket".
type Options struct {
	Buckets      []string // nil means "bucket" and "other"
	Region       string   // "" means us-east-1
	AccessKey    string   // "" means "access"
	SecretKey    string   // "" means "secret"
	SessionToken string   // "" means none is demanded
	Anonymous    bool     // check no signatures
	TLS          bool
	Name         string // the Server header
	MinPart      int64  // bytes; 0 means 5 MiB
	PageSize     int    // most objects of a page; 0 means 1,000

	// ClockAhead is how far the server's clock differs.
	ClockAhead time.Duration
	// SkewForever refuses every request for its time.
	SkewForever bool
	// SilentRegion refuses a wrong region with a redirect that names the right one
	// only in a header; else with AuthorizationHeaderMalformed and its element.
	SilentRegion bool

	V1Only       bool // list-type is ignored
	NoEncoding   bool // encoding-type is ignored
	NoNextMarker bool // V1 pages do not say where to go on
	NoStartAfter bool // start-after is ignored
	Unsorted     bool // each page lists backwards
	Decorated    bool // pages hold comments, CDATA and unknown elements

	RefuseChecksums  int  // status (400, 501) for requests with checksum headers; 0 accepts them
	RefuseConditions int  // status for conditional writes
	RefuseTagging    int  // status for tags on a write
	NoRange          bool // ranges are answered with the whole object
	NoPartNumber     bool // partNumber is ignored
	NoIfMatch        bool // If-Match of reads is ignored
	StoresTorn       bool // what arrived of a broken body is stored
	RefuseEncryption int  // status for writes to be encrypted
	EncodedMeta      bool // metadata is decoded when stored and answered as RFC 2047, as on AWS
	// SilentMissing answers 404 to everything about a bucket that is gone without a
	// body, so that it looks like a missing key.
	SilentMissing bool

	// Archives makes objects of the classes GLACIER and DEEP_ARCHIVE unreadable until
	// they are restored: by Thaw, or when ThawAfter is set that long after they were
	// asked back.
	Archives  bool
	ThawAfter time.Duration
	// Encrypts obeys x-amz-server-side-encryption; else it is ignored. QuietEncryption
	// tells it to those who ask for the object alone, not in the answer to a write.
	Encrypts        bool
	QuietEncryption bool
}

// Server is a running server; it ends with its test.
type Server struct {
	URL  string
	HTTP *httptest.Server

	opt     Options
	mu      sync.Mutex
	buckets map[string]*bucket
	uploads map[string]*upload
	nextID  int
	faults  []*Fault
	seen    []Request
}

// Request is one request the server has read.
type Request struct {
	Op, Bucket, Key string
	Status          int // of the answer; 0 when there was none
	Header          http.Header
	Query           string
	Body            []byte // of those that restore
	Remote          string // address of the client's end of the connection
}

// New starts a server.
func New(t testing.TB, opt Options) *Server {
	t.Helper()
	if opt.Buckets == nil {
		opt.Buckets = []string{"bucket", "other"}
	}
	if opt.Region == "" {
		opt.Region = "us-east-1"
	}
	if opt.AccessKey == "" {
		opt.AccessKey, opt.SecretKey = "access", "secret"
	}
	if opt.MinPart == 0 {
		opt.MinPart = 5 << 20
	}
	if opt.PageSize == 0 {
		opt.PageSize = 1000
	}
	s := &Server{opt: opt, buckets: make(map[string]*bucket), uploads: make(map[string]*upload)}
	for _, name := range opt.Buckets {
		s.buckets[name] = newBucket()
	}
	s.HTTP = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.HTTP.Config.ErrorLog = log.New(io.Discard, "", 0) // broken connections are the point
	if opt.TLS {
		s.HTTP.StartTLS()
	} else {
		s.HTTP.Start()
	}
	s.URL = s.HTTP.URL
	t.Cleanup(s.HTTP.Close)
	return s
}

// Credentials returns what the server accepts.
func (s *Server) Credentials() (access, secret string) { return s.opt.AccessKey, s.opt.SecretKey }

// MakeBucket adds an empty bucket under a name of its own and returns the name.
func (s *Server) MakeBucket() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID++
	name := "made-" + strconv.Itoa(s.nextID)
	s.buckets[name] = newBucket()
	return name
}

// DropBucket takes a bucket away with all it holds.
func (s *Server) DropBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.buckets, name)
}

// Requests returns what was asked so far. Op "" selects all.
func (s *Server) Requests(op string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.seen)
	return slices.DeleteFunc(all, func(r Request) bool { return op != "" && r.Op != op })
}

// Count returns how many requests of a kind were read so far.
func (s *Server) Count(op string) int { return len(s.Requests(op)) }
