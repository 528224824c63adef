// Package api is the front door: one handler that routes by the raw path, numbers
// requests, logs and counts them, and answers for the process itself (/healthz, /readyz,
// /metrics). What a request means is decided by the dialects below it, which speak to
// control; listeners and TLS belong to app.
package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Route leads to one dialect.
type Route struct {
	// Name says in logs and metrics who answered.
	Name string
	// Prefix begins the raw paths of the route: itself, and all below it. The longest of
	// several decides.
	Prefix string
	// Match decides instead of Prefix when it is set, and before every prefix.
	Match   func(rawPath string) bool
	Method  string // of a Match: the only one it is for; empty: all
	Handler http.Handler
	// Mask returns what logs show instead of the path; nil: the path, without its query.
	Mask func(rawPath string) string
	// MaxBody bounds a request's body in bytes; 0: Config.MaxBody; negative: no bound.
	MaxBody int64
}

// Config is what a Router works with; its zero value will do.
type Config struct {
	Log *slog.Logger // nil: none
	// Metrics answers /metrics; nil: nothing is there.
	Metrics http.Handler
	// Observer counts requests; nil: nobody does.
	Observer Observer
	// Ready says whether the process can do its work, e.g. by a write to the database.
	Ready   func(ctx context.Context) error
	MaxBody int64 // bytes; 0: 8 MiB
	Now     func() time.Time
}

// Observer counts requests. Paths are not told: some hold tokens, and there are too many.
type Observer interface {
	// Begin counts a request in. done counts it out, with the status that was answered.
	Begin(route, method string) (done func(status int, took time.Duration))
	// Panicked counts a handler that panicked.
	Panicked(route string)
}

type noObserver struct{}

func (noObserver) Begin(string, string) func(int, time.Duration) { return func(int, time.Duration) {} }
func (noObserver) Panicked(string)                               {}

// Router is the handler of the one listener. Routes are added before it serves.
type Router struct {
	cfg      Config
	log      *slog.Logger
	matchers []Route
	prefixes []Route
}

// NewRouter returns a Router that answers for the process alone.
func NewRouter(cfg Config) *Router {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Observer == nil {
		cfg.Observer = noObserver{}
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 8 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Router{cfg: cfg, log: cfg.Log}
}

// Add adds a route.
func (r *Router) Add(route Route) {
	if route.Match != nil {
		r.matchers = append(r.matchers, route)
	} else {
		r.prefixes = append(r.prefixes, route)
	}
}

// find returns the route of a method and a raw path.
func (r *Router) find(method, path string) (Route, bool) {
	for _, m := range r.matchers {
		if (m.Method == "" || m.Method == method) && m.Match(path) {
			return m, true
		}
	}
	var best Route
	found := false
	for _, p := range r.prefixes {
		if below(path, p.Prefix) && (!found || len(p.Prefix) > len(best.Prefix)) {
			best, found = p, true
		}
	}
	return best, found
}

// below says whether path is prefix or continues it with a whole segment.
func below(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}

// ServeHTTP implements http.Handler. It never redirects and never cleans a path: //a, /a/
// and /a/../b are three paths.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	start := r.cfg.Now()
	path := req.URL.EscapedPath()
	id := newRequestID()
	w.Header().Set("X-Request-Id", id)
	req = req.WithContext(withRequestID(req.Context(), id))
	out := &response{ResponseWriter: w}
	route, ok := r.find(req.Method, path)
	if !ok {
		route = Route{Name: "none", Handler: http.HandlerFunc(r.own), Mask: maskUnknown}
		if isOwn(path) {
			route.Name = "process"
		}
	}
	limit := route.MaxBody
	if limit == 0 {
		limit = r.cfg.MaxBody
	}
	if limit > 0 && req.Body != nil {
		req.Body = http.MaxBytesReader(out, req.Body, limit)
	}
	done := r.cfg.Observer.Begin(route.Name, knownMethod(req.Method))
	defer func() {
		if p := recover(); p != nil {
			r.recovered(out, req, route, p)
		}
		took := r.cfg.Now().Sub(start)
		done(out.code(), took)
		r.access(req, route, path, id, out, took)
	}()
	route.Handler.ServeHTTP(out, req)
}

// maskUnknown keeps the rest of a path out of logs that nobody answers for and that may
// hold a token: a hook of another role of process, or of a mistyped address.
func maskUnknown(path string) string {
	const hooks = "/hooks"
	if at := strings.Index(strings.ToLower(path), hooks); at >= 0 {
		return path[:at+len(hooks)] + "/…"
	}
	return path
}

// response remembers what was answered.
type response struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *response) code() int {
	if w.status == 0 {
		return http.StatusOK // net/http answers so when a handler writes nothing
	}
	return w.status
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 || w.status < 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController flush and set deadlines.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// knownMethod keeps inventions of clients out of labels.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

func isOwn(path string) bool { return path == "/healthz" || path == "/readyz" || path == "/metrics" }

// own answers for the process itself, and what nobody else answers.
func (r *Router) own(w http.ResponseWriter, req *http.Request) {
	path := req.URL.EscapedPath()
	switch {
	case isOwn(path) && req.Method != http.MethodGet && req.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		plain(w, http.StatusMethodNotAllowed, "only GET\n")
	case path == "/healthz":
		plain(w, http.StatusOK, "ok\n")
	case path == "/readyz":
		r.ready(w, req)
	case path == "/metrics" && r.cfg.Metrics != nil:
		r.cfg.Metrics.ServeHTTP(w, req)
	default:
		plain(w, http.StatusNotFound, "there is nothing here; the API is below /api/v1\n")
	}
}

// readyTime bounds the question whether the process can work.
const readyTime = 5 * time.Second

func (r *Router) ready(w http.ResponseWriter, req *http.Request) {
	if r.cfg.Ready == nil {
		plain(w, http.StatusOK, "ready\n")
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), readyTime)
	defer cancel()
	if err := r.cfg.Ready(ctx); err != nil {
		r.log.WarnContext(ctx, "not ready", "error", err, "request", RequestID(ctx))
		plain(w, http.StatusServiceUnavailable, "not ready; the log says why\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// recovered answers for a handler that panicked, when it had not answered yet.
func (r *Router) recovered(w *response, req *http.Request, route Route, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p) // net/http knows what to do
	}
	// What was panicked with may hold anything, a secret too: the stack holds code alone.
	r.log.ErrorContext(req.Context(), "a handler panicked", "route", route.Name, "request", RequestID(req.Context()), "stack", stack())
	r.cfg.Observer.Panicked(route.Name)
	if w.status == 0 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"title":"Internal Server Error","status":500,"code":"INTERNAL","detail":"something went wrong here; the log says what","request_id":"`+
			RequestID(req.Context())+"\"}\n")
	}
}
