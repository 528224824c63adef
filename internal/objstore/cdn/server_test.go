package cdn_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/cdn"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
)

// origin is a domain: a real HTTP server that serves the objects of a bucket, and
// remembers what it was asked.
type origin struct {
	*httptest.Server
	bucket objstore.Bucket

	mu    sync.Mutex
	log   []*http.Request
	spoil spoiler
}

// spoiler may answer in place of the origin: it says whether it did.
type spoiler func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) bool

// answer has f answer from now on. Requests that were given up may still be on their way.
func (o *origin) answer(f spoiler) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spoil = f
}

func newOrigin(t testing.TB, b objstore.Bucket) *origin {
	o := &origin{bucket: b}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.log = append(o.log, r)
		spoil := o.spoil
		o.mu.Unlock()
		if spoil == nil || !spoil(w, r, o.serve) {
			o.serve(w, r)
		}
	}))
	t.Cleanup(o.Close)
	return o
}

// serve answers with the object that the whole path names, but for its first slash.
func (o *origin) serve(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/")
	c, err := o.bucket.Open(r.Context(), key, objstore.OpenOptions{})
	if errors.Is(err, objstore.ErrNotFound) || errors.Is(err, objstore.ErrKey) {
		http.Error(w, "no such object", http.StatusNotFound)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer c.Body.Close()
	data, err := io.ReadAll(c.Body)
	if err != nil {
		panic(err)
	}
	w.Header().Set("ETag", `"`+c.ETag+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", c.ModTime, bytes.NewReader(data))
}

func (o *origin) requests() []*http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]*http.Request(nil), o.log...)
}

func (o *origin) base(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// client returns a client of the domain, that waits long enough for a busy machine.
func (o *origin) client(t testing.TB, set ...func(*cdn.Config)) *cdn.Client {
	t.Helper()
	cfg := cdn.Config{URL: o.base(t), Transport: cdn.NewTransport(30 * time.Second)}
	for _, f := range set {
		f(&cfg)
	}
	c, err := cdn.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// pair is a bucket of memory with a domain in front.
func pair(t testing.TB) (*mem.Bucket, *origin, objstore.Bucket) {
	t.Helper()
	b := mem.New("source")
	o := newOrigin(t, b)
	return b, o, o.client(t).Wrap(b, cdn.Options{})
}

func put(t testing.TB, b objstore.Bucket, key, data string) objstore.Info {
	t.Helper()
	if _, err := b.Put(t.Context(), key, strings.NewReader(data), int64(len(data)), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	info, err := b.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// read reads an object, or what opt says of it, to the end.
func read(t testing.TB, b objstore.Bucket, key string, opt objstore.OpenOptions) (string, error) {
	t.Helper()
	c, err := b.Open(t.Context(), key, opt)
	if err != nil {
		return "", err
	}
	defer c.Body.Close()
	data, err := io.ReadAll(c.Body)
	if err == nil && int64(len(data)) != c.Length {
		t.Errorf("%d bytes, %d announced", len(data), c.Length)
	}
	return string(data), err
}
