package s3_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// works puts and reads a small and a large object, from memory and as a stream.
func works(t *testing.T, b objstore.Bucket) {
	t.Helper()
	for _, size := range []int{0, 5, 100_000} {
		data := bytes.Repeat([]byte("x"), size)
		for _, body := range []io.Reader{bytes.NewReader(data), io.MultiReader(bytes.NewReader(data))} {
			if _, err := b.Put(t.Context(), "//a/../b+%20 ü", body, int64(size), objstore.PutOptions{Meta: map[string]string{"a": "b  c"}}); err != nil {
				t.Fatalf("Put of %d bytes = %v", size, err)
			}
		}
		if got, err := load(t.Context(), b, "//a/../b+%20 ü", objstore.OpenOptions{}); err != nil || got != string(data) {
			t.Fatalf("Open = %d bytes, %v, want %d", len(got), err, size)
		}
	}
	if keys, err := keysOf(t.Context(), b, objstore.ListOptions{}); err != nil || len(keys) != 1 || keys[0] != "//a/../b+%20 ü" {
		t.Errorf("List = %q, %v", keys, err)
	}
}

func TestSigningVariants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opt    s3fault.Options
		change func(*s3.Config)
	}{
		"session token":  {s3fault.Options{SessionToken: "tok/en+=="}, func(c *s3.Config) { c.SessionToken = "tok/en+==" }},
		"signed payload": {s3fault.Options{}, func(c *s3.Config) { c.SignPayload = true }},
		"anonymous":      {s3fault.Options{Anonymous: true}, func(c *s3.Config) { c.AccessKey, c.SecretKey, c.Anonymous = "", "", true }},
		"region":         {s3fault.Options{Region: "r-1"}, func(c *s3.Config) { c.Region = "r-1" }},
		"slash":          {s3fault.Options{}, func(c *s3.Config) { c.Endpoint += "/" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := s3fault.New(t, c.opt)
			cfg := config(srv, "bucket")
			c.change(&cfg)
			works(t, open(t, cfg))
			for _, r := range srv.Requests("put") {
				signed := r.Header.Get("X-Amz-Content-Sha256")
				if name == "signed payload" && (len(signed) != 64) || name == "anonymous" && r.Header.Get("Authorization") != "" {
					t.Errorf("put with x-amz-content-sha256 %q", signed)
				}
			}
		})
	}
}

// A stream that breaks while it is read for its signature, or is too short.
func TestSignedStreamBreaks(t *testing.T) {
	t.Parallel()
	srv := s3fault.New(t, s3fault.Options{})
	cfg := config(srv, "bucket")
	cfg.SignPayload = true
	b := open(t, cfg)
	broken := errors.New("broken on purpose")
	for _, size := range []int64{10, 200_000} {
		if _, err := b.Put(t.Context(), "key", iotest.ErrReader(broken), size, objstore.PutOptions{}); !errors.Is(err, broken) {
			t.Errorf("Put = %v", err)
		}
		if _, err := b.Put(t.Context(), "key", io.MultiReader(strings.NewReader("x")), size, objstore.PutOptions{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Put = %v", err)
		}
	}
	if n := srv.Count("put"); n != 0 {
		t.Errorf("%d puts were sent", n)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	srv := s3fault.New(t, s3fault.Options{TLS: true})
	cfg := config(srv, "bucket")
	err := open(t, cfg).Probe(t.Context())
	if !errors.Is(err, objstore.ErrInvalid) || objstore.Transient(err) {
		t.Errorf("a stranger's certificate = %v", err)
	}
	cfg.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.HTTP.Certificate().Raw})
	if err := os.WriteFile(cfg.CAFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	works(t, open(t, cfg))
	cfg.Endpoint = strings.Replace(cfg.Endpoint, "https", "http", 1)
	if err := open(t, cfg).Probe(t.Context()); err == nil {
		t.Error("http to an https port succeeds")
	}
}

// Two buckets of a service share its connections.
func TestServiceShares(t *testing.T) {
	t.Parallel()
	srv := s3fault.New(t, s3fault.Options{})
	cfg := config(srv, "bucket")
	svc, err := s3.NewService(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(svc.Close)
	for range 5 {
		for _, name := range []string{"bucket", "other"} {
			cfg.Bucket = name
			b, err := svc.Bucket(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store(t.Context(), b, "key", name, objstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := load(t.Context(), b, "none", objstore.OpenOptions{}); !errors.Is(err, objstore.ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
	ends := make(map[string]bool)
	for _, r := range srv.Requests("") {
		ends[r.Remote] = true
	}
	if len(ends) != 1 {
		t.Errorf("%d connections, want 1", len(ends))
	}
	if !svc.Serves(cfg) {
		t.Error("the service does not serve its own configuration")
	}
	cfg.SecretKey = "another"
	if svc.Serves(cfg) {
		t.Error("the service serves another identity")
	}
}

// An http proxy gets whole URLs, with the key's bytes untouched.
func TestProxy(t *testing.T) {
	t.Parallel()
	srv := s3fault.New(t, s3fault.Options{})
	var seen atomic.Int64
	front := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.RequestURI, "http://store.example/bucket") {
			t.Errorf("the proxy is asked for %q", r.RequestURI)
		}
		seen.Add(1)
		// The bytes of the request line go on as they came.
		back := strings.TrimPrefix(srv.URL, "http://")
		out := r.Clone(r.Context())
		out.RequestURI = ""
		out.URL = &url.URL{Scheme: "http", Host: back, Opaque: strings.TrimPrefix(r.RequestURI, "http://store.example")}
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	proxy, err := url.Parse(front)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(srv, "bucket")
	cfg.Endpoint = "http://store.example"
	works(t, open(t, s3.WithProxy(cfg, proxy)))
	if seen.Load() == 0 {
		t.Error("the proxy saw nothing")
	}
}

func newServer(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String()
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	for _, endpoint := range []string{"http://" + addr, "http://store.invalid"} {
		b := open(t, s3.Config{Endpoint: endpoint, Bucket: "bucket", AccessKey: "a", SecretKey: "s"})
		err := b.Probe(t.Context())
		var op *net.OpError
		if !errors.Is(err, objstore.ErrUnavailable) || !errors.As(err, &op) {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

// A store that stops in the middle is given up, in the answer's head as in its body.
func TestStall(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	stalling := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/body") {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		<-release
	}))
	b := open(t, s3.Config{Endpoint: stalling, Bucket: "bucket", AccessKey: "a", SecretKey: "s", Stall: 300 * time.Millisecond})
	for _, key := range []string{"head", "body"} {
		got, err := load(t.Context(), b, key, objstore.OpenOptions{})
		if !errors.Is(err, objstore.ErrUnavailable) || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
}

// Cancelling ends a request that waits, and the error says so.
func TestCancel(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	waiting := newServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	b := open(t, s3.Config{Endpoint: waiting, Bucket: "bucket", AccessKey: "a", SecretKey: "s"})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := b.Stat(ctx, "key"); !errors.Is(err, context.Canceled) {
		t.Errorf("Stat = %v", err)
	}
}

// No secret and no signature gets into an error or a log line, even when the
// store quotes what it was sent.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	const secret, token = "s3cr3t-k3y-of-all", "t0k3n-of-all"
	var signature atomic.Value
	quoting := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		signature.Store(auth[strings.Index(auth, "Signature=")+len("Signature="):])
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "<Error><Code>SignatureDoesNotMatch</Code><Message>you sent %s with %s, the key is %s, %s</Message><StringToSign>%s</StringToSign></Error>",
			auth, r.Header.Get("X-Amz-Security-Token"), secret, strings.Repeat("x", 1000), secret)
	}))
	var log bytes.Buffer
	cfg := s3.Config{
		Endpoint: quoting, Bucket: "bucket", AccessKey: "access", SecretKey: secret, SessionToken: token,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	b := open(t, cfg)
	_, err := store(t.Context(), b, "key", "data", objstore.PutOptions{IfAbsent: true, CRC64: objstore.Checksum{Set: true}})
	if !errors.Is(err, objstore.ErrCredentials) {
		t.Fatalf("Put = %v", err)
	}
	text := fmt.Sprintf("%v %+v %s", err, err, log.String())
	for _, forbidden := range []string{secret, token, signature.Load().(string)} {
		if strings.Contains(text, forbidden) {
			t.Errorf("%q is in %q", forbidden, text)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	ok := s3.Config{Endpoint: "http://127.0.0.1:1", Bucket: "bucket", AccessKey: "a", SecretKey: "s3cr3t"}
	for name, change := range map[string]func(*s3.Config){
		"no bucket":      func(c *s3.Config) { c.Bucket = "" },
		"bucket a path":  func(c *s3.Config) { c.Bucket = "a/b" },
		"bucket a query": func(c *s3.Config) { c.Bucket = "a?b" },
		"scheme":         func(c *s3.Config) { c.Endpoint = "ftp://host" },
		"no host":        func(c *s3.Config) { c.Endpoint = "http://" },
		"no URL":         func(c *s3.Config) { c.Endpoint = "http://\x00" },
		"user":           func(c *s3.Config) { c.Endpoint = "http://a:s3cr3t@host" },
		"query":          func(c *s3.Config) { c.Endpoint = "http://host?x=s3cr3t" },
		"half a key":     func(c *s3.Config) { c.AccessKey = "" },
		"provider":       func(c *s3.Config) { c.Provider = "nobody" },
		"override":       func(c *s3.Config) { c.Override = []string{"tags"} },
		"override name":  func(c *s3.Config) { c.Override = []string{"nothing=1"} },
		"override value": func(c *s3.Config) { c.Override = []string{"tags=maybe"} },
		"override size":  func(c *s3.Config) { c.Override = []string{"max-put=5XiB"} },
		"CA file":        func(c *s3.Config) { c.CAFile = "/nowhere/ca.pem" },
	} {
		cfg := ok
		change(&cfg)
		if _, err := s3.Open(cfg); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
	ok.Override = []string{"list=1", "conditional=absent", "max-put=2GiB", "delete-many=10", "etag=opaque", "part-layout=false"}
	b, err := s3.Open(ok)
	if err != nil {
		t.Fatal(err)
	}
	c := b.Capabilities()
	if c.Conditional != objstore.ConditionalAbsent || c.MaxPut != 2<<30 || c.DeleteMany != 10 || c.ETag != objstore.ETagOpaque || c.PartLayout {
		t.Errorf("overridden: %+v", c)
	}
	if id := b.Identity(); id != (objstore.Identity{Service: "s3:http://127.0.0.1:1", Bucket: "bucket"}) {
		t.Errorf("Identity = %+v", id)
	}
}

// The store is recognized by what it calls itself, unless it was named.
func TestProviderIsRecognized(t *testing.T) {
	t.Parallel()
	srv := s3fault.New(t, s3fault.Options{Name: "MinIO"})
	cfg := config(srv, "bucket")
	cfg.Override = []string{"delete-many=7"}
	b := open(t, cfg)
	if got := b.Capabilities().Provider; got != "generic" {
		t.Errorf("before Probe the provider is %q", got)
	}
	if err := b.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := b.Capabilities(); c.Provider != "minio" || c.Conditional != objstore.ConditionalFull || c.DeleteMany != 7 {
		t.Errorf("after Probe: %+v", c)
	}
	cfg.Provider = "generic"
	b = open(t, cfg)
	if err := b.Probe(t.Context()); err != nil || b.Capabilities().Provider != "generic" {
		t.Errorf("a named provider became %q, %v", b.Capabilities().Provider, err)
	}
}
