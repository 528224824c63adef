package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// faultyEnd is a bucket on a server that misbehaves on demand, as an endpoint reaches it
// and as the test does.
type faultyEnd struct {
	*s3fault.Server
	bucket objstore.Bucket
	at     side
}

func newFaultyEnd(t *testing.T, opt s3fault.Options) *faultyEnd {
	t.Helper()
	f := &faultyEnd{Server: s3fault.New(t, opt)}
	key, secret := f.Credentials()
	b, err := s3.Open(s3.Config{Endpoint: f.URL, Region: "us-east-1", Bucket: "bucket", AccessKey: key, SecretKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	f.bucket, f.at = b, side{endpoint: f.URL, accessKey: key, secretKey: secret}
	return f
}

// refuse answers all requests of one kind ("": of any) with an error.
func (f *faultyEnd) refuse(op string, status int, code string) {
	f.Inject(s3fault.Fault{Op: op, Runs: -1, Kind: s3fault.Answer, Status: status, Code: code})
}

// relay passes connections on to a server, unless it is cut.
type relay struct {
	net.Listener
	to string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, to: to, conns: map[net.Conn]struct{}{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { r.pass(t.Context(), c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); r.set(true); wg.Wait() })
	return r
}

func (r *relay) pass(ctx context.Context, c net.Conn) {
	defer func() { _ = c.Close() }()
	if !r.keep(c) {
		return
	}
	out, err := new(net.Dialer).DialContext(ctx, "tcp", r.to)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	if !r.keep(out) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(c, out); _ = c.Close() })
	_, _ = io.Copy(out, c)
	_ = out.Close()
	back.Wait()
}

func (r *relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = struct{}{}
	return !r.cut
}

// set cuts the network, or mends it.
func (r *relay) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut = cut; cut {
		for c := range r.conns {
			_ = c.Close()
		}
		clear(r.conns)
	}
}

// TestServiceTrouble lets a destination refuse for a while what a service wants of it.
// Nothing is lost, the state says what is wrong, and everything goes on by itself.
func TestServiceTrouble(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	for _, c := range []struct {
		name   string
		begin  func(*faultyEnd, *relay)
		reason string
		lasts  time.Duration
	}{
		{"denied", func(f *faultyEnd, _ *relay) { f.refuse("put", 403, "AccessDenied") }, "DST_DENIED", 2 * time.Second},
		{"credentials expired", func(f *faultyEnd, _ *relay) { f.refuse("", 400, "ExpiredToken") }, "DST_DENIED", 3 * time.Second},
		{"keys unknown", func(f *faultyEnd, _ *relay) { f.refuse("", 403, "InvalidAccessKeyId") }, "DST_DENIED", 3 * time.Second},
		{"clock off", func(f *faultyEnd, _ *relay) { f.refuse("", 403, "RequestTimeTooSkewed") }, "DST_DENIED", 3 * time.Second},
		{"bucket gone", func(f *faultyEnd, _ *relay) { f.refuse("", 404, "NoSuchBucket") }, "DST_BUCKET_MISSING", 3 * time.Second},
		{"server errors", func(f *faultyEnd, _ *relay) { f.refuse("", 500, "InternalError") }, "DST_UNAVAILABLE", 3 * time.Second},
		{"network gone", func(_ *faultyEnd, r *relay) { r.set(true) }, "DST_UNAVAILABLE", 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			store := t.TempDir()
			src, _ := dirBucket(t, filepath.Join(store, "source"))
			f := newFaultyEnd(t, s3fault.Options{})
			r := newRelay(t, strings.TrimPrefix(f.URL, "http://"))
			s.start()
			s.endpointOf("disk", side{url: "file://" + store})
			to := f.at
			to.endpoint = "http://" + r.Addr().String()
			s.endpointOf("remote", to)
			s.newTask("main", "disk:source", "remote:bucket", nil)
			put(t, src, "before", []byte("before"))
			s.event("main", "before")
			s.settled("main")
			wants(t, s.cli(0, "", "status", "main"), "In sync")

			c.begin(f, r)
			began := time.Now()
			for i := range 20 {
				key := fmt.Sprintf("during/%02d", i)
				put(t, src, key, []byte(key))
				s.event("main", key)
			}
			s.until("an attempt has failed", func() bool { return strings.Contains(s.cli(0, "", "explain", "main", "during/07"), c.reason) })
			s.until("status says why", func() bool { return strings.Contains(s.cli(0, "", "status", "main"), c.reason) })
			wants(t, s.cli(0, "", "status", "main"), "Behind", "20 keys waiting")
			s.prove("main")
			select {
			case <-time.After(c.lasts - time.Since(began)):
			case <-t.Context().Done():
			}
			f.Clear()
			r.set(false)
			if got := s.settled("main"); got.Synced != 21 || got.Failed != 0 {
				t.Errorf("%+v, want 21 synced", got)
			}
			wants(t, s.cli(0, "", "status", "main"), "In sync")
			s.prove("main")
			wantSameBut(t, list(t, src), list(t, f.bucket), "oms/sync_task/")
		})
	}
}

// TestServiceClockTwoHoursOff: a store two hours ahead is no trouble at all.
func TestServiceClockTwoHoursOff(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		s := newService(t)
		store := t.TempDir()
		src, _ := dirBucket(t, filepath.Join(store, "source"))
		f := newFaultyEnd(t, s3fault.Options{ClockAhead: ahead})
		for i := range 20 {
			put(t, src, fmt.Sprintf("k%02d", i), []byte("text"))
		}
		s.start()
		s.endpointOf("disk", side{url: "file://" + store})
		s.endpointOf("remote", f.at)
		s.newTask("main", "disk:source", "remote:bucket", nil)
		if j := s.scanned("main"); j.State != "done" || j.Counts.Synced != 20 {
			t.Fatalf("%v: the scan ended %+v", ahead, j)
		}
		put(t, src, "k07", []byte("changed"))
		s.event("main", "k07")
		s.settled("main")
		if got := read(t, f.bucket, "k07"); string(got) != "changed" {
			t.Errorf("%v: the destination holds %q", ahead, got)
		}
		s.prove("main")
		wants(t, s.cli(0, "", "status", "main"), "In sync")
		s.stop()
	}
}

// TestServiceDenialThatLasts: what is refused for longer than a moment has failed, status
// says so, and the next scan mends it.
func TestServiceDenialThatLasts(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes fifteen seconds")
	}
	s := newService(t)
	store := t.TempDir()
	src, _ := dirBucket(t, filepath.Join(store, "source"))
	f := newFaultyEnd(t, s3fault.Options{})
	s.start()
	s.endpointOf("disk", side{url: "file://" + store})
	s.endpointOf("remote", f.at)
	s.newTask("photos", "disk:source", "remote:bucket", nil)
	f.refuse("put", 403, "AccessDenied")
	put(t, src, "a", []byte("a"))
	s.event("photos", "a")
	s.until("the key has failed", func() bool { return s.counts("photos").Failed == 1 })
	wants(t, s.cli(2, "", "status", "photos"), "Needs you: 1 record failed", "DST_DENIED", "lockstep retry photos")
	f.Clear()
	if j := s.scanned("photos"); j.State != "done" || j.Counts.Synced != 1 {
		t.Fatalf("the scan ended %+v", j)
	}
	wantSameBut(t, list(t, src), list(t, f.bucket), "oms/sync_task/")
	s.prove("photos")
	s.call(http.MethodGet, "/tasks/photos/failures", nil, nil)
}
