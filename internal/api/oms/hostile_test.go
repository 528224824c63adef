package oms_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The header sets of clients that are not run here, over the wire.
func TestHeaderSetsOfEveryClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	body := objectKeys("a")
	for _, c := range []struct {
		name, signed, contentType, accept, project string
		late                                       bool // X-Project-Id is added after signing
	}{
		{name: "python", signed: "content-type;host;user-agent;x-project-id;x-sdk-date", contentType: "application/json;charset=utf8", project: "p1"},
		{name: "java old", signed: "content-type;host;x-project-id;x-sdk-date", contentType: "application/json", project: "p1"},
		{name: "java new", signed: "host;x-project-id;x-sdk-date", contentType: "application/json; charset=UTF-8", project: "p1"},
		{name: "terraform", signed: "accept;content-type;user-agent;x-sdk-date", contentType: "application/json", accept: "application/json", project: "p1", late: true},
		{name: "no content type", signed: "user-agent;x-sdk-date"},
		{name: "iam", signed: "x-sdk-date"},
	} {
		for _, call := range []struct{ method, path, body string }{
			{"POST", path + "/events", body},
			{"GET", p1 + "?limit=10&offset=0&status=SYNCHRONIZING", ""},
			{"GET", path + "/statistics?start_time=1&data_type=REQUEST%2CSIZE&end_time=2", ""},
		} {
			req := w.request(key{}, call.method, call.path, call.body)
			req.Header.Set("Accept", c.accept)
			req.Header.Set("Content-Type", c.contentType)
			req.Header.Del("X-Project-Id")
			if c.project != "" && !c.late {
				req.Header.Set("X-Project-Id", c.project)
			}
			signRequest(req, w.operator, c.signed, call.body, time.Now())
			if c.late {
				req.Header.Set("X-Project-Id", c.project)
				req.Header.Set("X-Domain-Id", "d")
				req.Header.Set("X-Security-Token", "t")
			}
			if a := w.send(req); a.status != 200 {
				t.Errorf("%s: %s %s: %d %s", c.name, call.method, call.path, a.status, a.body)
			}
		}
	}
}

// wire sends bytes as they are, and returns the answer's status.
func (w *world) wire(text string) (status int, body string) {
	w.Helper()
	conn, err := (&net.Dialer{}).DialContext(w.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
	w.must(err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, text)
	w.must(err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	w.must(err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	w.must(err)
	return resp.StatusCode, string(raw)
}

// head is a signed request up to the headers of its body.
func (w *world) head(k key, method, path, body string) string {
	w.Helper()
	req := w.request(k, method, path, body)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, path, req.URL.Host)
	w.must(req.Header.Write(&b))
	return b.String()
}

// TestChunkedEmptyBody: with a request handler the Go SDK sends an empty body in chunks.
func TestChunkedEmptyBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	if status, body := w.wire(w.head(w.operator, "POST", path+"/stop", "") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"); status != 200 || body != "" {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := w.wire(w.head(w.operator, "DELETE", path, "") + "Content-Length: 0\r\n\r\n"); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
}

// TestSDKPathsAreNoRedirect: Go's own multiplexer answers these with a redirect, which
// the Go SDK takes for success.
func TestNoRedirectEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, p := range []string{"/v2/p1/sync-tasks//events", "/v2/p1/sync-tasks/./events", "/v2/p1/sync-tasks/../events", "//v2/p1/sync-tasks", "/v2/", "/v2/p1/", "/v2//", "/v3/", "//"} {
		status, body := w.wire(w.head(w.operator, "POST", p, "{}") + "Content-Length: 2\r\n\r\n{}")
		if status < 400 || status >= 500 {
			t.Errorf("%s: %d %s", p, status, body)
		}
	}
}

func TestBodiesOverTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	big := `{"object_keys":["` + strings.Repeat("k", 3<<20) + `"]}`
	if a := w.do(w.sender, "POST", path+"/events", big); a.status != 413 || a.code() != "OMS.1003" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	req := w.request(w.sender, "POST", path+"/events", big)
	req.ContentLength, req.Body, req.GetBody = -1, io.NopCloser(strings.NewReader(big)), nil
	resp, err := httpClient.Do(req)
	if err == nil { // else the connection was closed on the sender: as good
		defer resp.Body.Close()
		if resp.StatusCode != 413 {
			t.Fatal(resp.Status)
		}
	}
	// Ten keys of the documented length are taken for what they are.
	long := make([]string, 10)
	for i := range long {
		long[i] = strings.Repeat("%6B", 1024)
	}
	w.want(w.sender, "POST", path+"/events", objectKeys(long...), 200, "", nil)
	w.want(w.sender, "POST", path+"/events", objectKeys(strings.Repeat("%6B", 5461)+"a"), 400, "OMS.1003", nil)
}

// TestSlowBodiesHoldNobodyUp: senders that never finish keep nothing from the others.
func TestSlowBodiesHoldNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	for range 100 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
		w.must(err)
		defer func() { _ = conn.Close() }()
		_, err = io.WriteString(conn, w.head(w.sender, "POST", path+"/events", "x")+"Content-Length: 2000000\r\n\r\n{")
		w.must(err)
	}
	for range 20 {
		w.want(w.sender, "POST", path+"/events", objectKeys("a"), 200, "", nil)
	}
}

// TestThousandsOfWrongSignatures: the service stays up, answers others, and keeps nothing.
func TestThousandsOfWrongSignatures(t *testing.T) {
	// Alone: the heap is that of the whole process.
	w := newWorld(t)
	path := w.newTask("dst")
	flood := func(n int) (refused, throttled int64) {
		var r, th atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range n / 8 {
					a := w.do(key{"p1", w.sender.id, "wrong"}, "POST", path+"/events", objectKeys("a"))
					switch {
					case a.status == 401 && a.code() == "APIGW.0301":
						r.Add(1)
					case a.status == 429 && a.code() == "APIGW.0308" && a.header.Get("Retry-After") != "":
						th.Add(1)
					default:
						w.Errorf("%d %s", a.status, a.body)
					}
				}
			})
		}
		wg.Wait()
		return r.Load(), th.Load()
	}
	many := 4000
	if testing.Short() {
		many = 800
	}
	flood(many / 5)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	done := make(chan struct{})
	var served atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			// The owner of the very key that is guessed at gets in all the while.
			if a := w.do(w.sender, "POST", path+"/events", objectKeys("a")); a.status != 200 {
				w.Errorf("an honest request: %d %s", a.status, a.body)
				return
			}
			served.Add(1)
		}
	})
	refused, throttled := flood(many)
	close(done)
	wg.Wait()
	if throttled == 0 || refused+throttled != int64(many) || served.Load() == 0 {
		t.Fatalf("%d refused, %d throttled, %d served", refused, throttled, served.Load())
	}
	if after := heap(); after > before+16<<20 {
		t.Errorf("the heap grew from %d to %d", before, after)
	}
}
