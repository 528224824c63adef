package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api"
)

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// echo answers with the name of its route and the path it saw.
func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, name+" "+r.URL.EscapedPath())
	})
}

type counter struct {
	mu    sync.Mutex
	seen  []string
	panic int
}

func (c *counter) Begin(route, method string) func(int, time.Duration) {
	return func(status int, _ time.Duration) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.seen = append(c.seen, route+" "+method+" "+http.StatusText(status))
	}
}

func (c *counter) Panicked(string) { c.panic++ }

// raw sends a request line as it is, which no Go client would, and returns status and body.
func raw(t *testing.T, addr, line, headers string) (int, http.Header, string) {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, line+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+headers+"\r\n"); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(all), "\r\n\r\n")
	h := http.Header{}
	for l := range strings.SplitSeq(head, "\r\n") {
		if name, value, ok := strings.Cut(l, ": "); ok {
			h.Add(name, value)
		}
	}
	status := 0
	if len(head) > 12 {
		for _, c := range head[9:12] {
			status = status*10 + int(c-'0')
		}
	}
	return status, h, body
}

func TestRoutesByRawPath(t *testing.T) {
	t.Parallel()
	r := api.NewRouter(api.Config{})
	for _, p := range []string{"/v2", "/v2/long", "/api/v1", "/slash/"} {
		r.Add(api.Route{Name: p, Prefix: p, Handler: echo(p)})
	}
	r.Add(api.Route{Name: "space", Match: func(path string) bool { return strings.Contains(path, "/api/space/") }, Handler: echo("space")})
	s := httptest.NewServer(r)
	defer s.Close()
	addr := s.Listener.Addr().String()
	for path, want := range map[string]string{
		"/v2":               "/v2 /v2",
		"/v2/":              "/v2 /v2/",
		"/v2//x//":          "/v2 /v2//x//",
		"/v2/../api/v1":     "/v2 /v2/../api/v1",
		"/v2/a%2Fb%20c/./d": "/v2 /v2/a%2Fb%20c/./d",
		"/v2/long/x":        "/v2/long /v2/long/x",
		"/v2/longer":        "/v2 /v2/longer",
		"/slash/x":          "/slash/ /slash/x",
		"/p/api/space/x":    "space /p/api/space/x",
	} {
		status, h, body := raw(t, addr, "GET "+path, "")
		if status != 200 || !strings.Contains(body, want) || h.Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %q, want %q", path, status, body, want)
		}
	}
	for _, path := range []string{"/", "//", "/v22", "//v2", "/./v2", "/V2", "/slash", "/metrics", "/healthz/"} {
		if status, _, _ := raw(t, addr, "GET "+path, ""); status != 404 {
			t.Errorf("%s: %d, want 404", path, status)
		}
	}
}

func TestProcess(t *testing.T) {
	t.Parallel()
	var ready error
	count := &counter{}
	r := api.NewRouter(api.Config{
		Ready: func(context.Context) error { return ready }, Observer: count,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
	})
	get := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w.Code, w.Body.String()
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n", "/metrics": "up 1\n"} {
		if status, body := get("GET", path); status != 200 || body != want {
			t.Errorf("%s: %d %q", path, status, body)
		}
		if status, _ := get("POST", path); status != 405 {
			t.Errorf("POST %s: %d", path, status)
		}
	}
	ready = errors.New("password=hunter2 refused")
	if status, body := get("GET", "/readyz"); status != 503 || strings.Contains(body, "hunter2") {
		t.Errorf("not ready: %d %q", status, body)
	}
	if status, _ := get("BREW", "/x"); status != 404 || count.seen[len(count.seen)-1] != "none other Not Found" {
		t.Errorf("%d %q", status, count.seen)
	}
}

func TestLogAndPanic(t *testing.T) {
	t.Parallel()
	log := &lockedBuffer{}
	count := &counter{}
	r := api.NewRouter(api.Config{Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), Observer: count, MaxBody: 10})
	r.Add(api.Route{Name: "hooks", Prefix: "/hooks", Mask: func(string) string { return "/hooks/-" }, Handler: echo("hooks")})
	r.Add(api.Route{Name: "panics", Prefix: "/panics", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("s3cr3t") })})
	r.Add(api.Route{Name: "body", Prefix: "/body", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})})
	send := func(path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(body))
		req.SetBasicAuth("id", "s3cr3t")
		r.ServeHTTP(w, req)
		return w
	}
	send("/hooks/t0k3n?x=s3cr3t", "")
	if w := send("/panics/x", ""); w.Code != 500 || !strings.Contains(w.Body.String(), w.Header().Get("X-Request-Id")) || !json.Valid(w.Body.Bytes()) {
		t.Errorf("after a panic: %d %s", w.Code, w.Body)
	}
	if w := send("/body", strings.Repeat("x", 11)); w.Code != 413 {
		t.Errorf("a long body: %d", w.Code)
	}
	if w := send("/body", strings.Repeat("x", 10)); w.Code != 200 {
		t.Errorf("a body of the limit: %d", w.Code)
	}
	text := log.String()
	for _, leak := range []string{"s3cr3t", "t0k3n"} {
		if strings.Contains(text, leak) {
			t.Errorf("the log holds %s:\n%s", leak, text)
		}
	}
	for _, want := range []string{`"path":"/hooks/-"`, `"status":500`, `"stack":`, "TestLogAndPanic", `"request":"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %s:\n%s", want, text)
		}
	}
	if count.panic != 1 {
		t.Errorf("%d panics counted", count.panic)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][2]string{
		"Basic aWQ6c2U6Y3JldA==": {"id", "se:cret"},
		"basic aWQ6cw==":         {"id", "s"},
		"Bearer id:se:cret":      {"id", "se:cret"},
		"bearer  id:s ":          {"id", "s"},
		"":                       {}, "Bearer": {}, "Bearer id": {}, "Bearer :s": {}, "Bearer id:": {}, "Basic !": {}, "ApiKey aWQ6cw==": {},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Header.Set("Authorization", header)
		id, secret, ok := api.Credentials(r)
		if ok != (want[0] != "") || ok && (id != want[0] || secret != want[1]) {
			t.Errorf("%q: %q %q %v", header, id, secret, ok)
		}
	}
}

func FuzzCredentials(f *testing.F) {
	f.Add("Basic aWQ6cw==")
	f.Add("Bearer a:b")
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Header["Authorization"] = []string{header}
		if id, secret, ok := api.Credentials(r); ok && (id == "" || secret == "" || strings.Contains(id, ":")) {
			t.Fatalf("%q is %q %q", header, id, secret)
		}
	})
}
