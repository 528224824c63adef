// Package native is the dialect of /api/v1: everything that Lockstep does, typed, with a
// generated OpenAPI 3.1 document. It decodes requests, asks control, and renders what
// control says; it decides nothing.
package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Root begins all paths of the dialect.
const Root = "/api/v1"

// Config is what an API works with; zero values but Control will do.
type Config struct {
	Control *control.Control
	Log     *slog.Logger // nil: none
	Version string       // of Lockstep, for the OpenAPI document
	// LiveEvery is how often a stream of live counts looks; 0: 1 s.
	LiveEvery time.Duration
	// MaxStreams is how many streams of live counts there may be; 0: 256.
	MaxStreams int
	// Stopping ends the streams when it is closed; nil: only their clients do.
	Stopping <-chan struct{}
}

// API is the handler of /api/v1.
type API struct {
	cfg     Config
	control *control.Control
	log     *slog.Logger
	routes  routes
	huma    huma.API
	spec    func() ([]byte, error)
	streams chan struct{} // holds a token for each stream
}

// New returns the dialect. It starts nothing.
func New(cfg Config) *API {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.LiveEvery == 0 {
		cfg.LiveEvery = time.Second
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = 256
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	a := &API{cfg: cfg, control: cfg.Control, log: cfg.Log, streams: make(chan struct{}, cfg.MaxStreams)}
	a.huma = huma.NewAPI(document(cfg.Version), &a.routes)
	a.endpoints()
	a.tasks()
	a.hooks()
	a.work()
	a.results()
	a.keys()
	a.apps()
	a.notifications()
	a.externals()
	a.live()
	a.spec = sync.OnceValues(func() ([]byte, error) { return json.Marshal(a.huma.OpenAPI()) })
	return a
}

// document is the head of the OpenAPI document.
func document(version string) huma.Config {
	c := huma.DefaultConfig("Lockstep", version)
	c.Info.Description = "Keeps object stores in step. Keys are bytes: those that are UTF-8 travel as key, others as key_base64."
	c.Servers = []*huma.Server{{URL: Root}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"basic":  {Type: "http", Scheme: "basic", Description: "access key id and secret"},
		"bearer": {Type: "http", Scheme: "bearer", Description: "id:secret"},
	}
	c.Security = []map[string][]string{{"basic": {}}, {"bearer": {}}}
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", "" // openapi.json is served below, once made
	c.CreateHooks = nil
	c.OnAddOperation = append(c.OnAddOperation, answered)
	c.RejectUnknownQueryParameters = true
	return c
}

// maxBody bounds a body but for manifests: 1,000 keys of 2 KiB, each byte escaped.
const maxBody = 16 << 20

// bodyTime is how long a client may take to send a body but for manifests.
const bodyTime = 30 * time.Second

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), Root)
	if ok && path == "/openapi.json" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		a.serveSpec(w, r)
		return
	}
	c, allow := a.routes.find(r, path)
	if err := notRouted(c, allow); err != nil {
		if allow != nil {
			w.Header().Set("Allow", strings.Join(allow, ", "))
		}
		a.refuse(w, r, err)
		return
	}
	who, err := a.authenticate(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, who))
	if c.op.OperationID == manifestOperation {
		c.serve(w, r)
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	if key := r.Header.Get(idempotencyHeader); key != "" && heedsIdempotencyKey(c.op) {
		a.once(w, r, c, who, key, body)
		return
	}
	c.serve(w, r)
}

func notRouted(c *route, allow []string) error {
	switch {
	case c != nil:
		return nil
	case allow != nil:
		return &task.Error{Kind: task.Invalid, Code: codeMethod, Text: "the path does not take this method", Next: "see " + Root + "/openapi.json"}
	}
	return &task.Error{Kind: task.NotFound, Code: "PATH_NOT_FOUND", Text: "there is nothing at this path", Next: "see " + Root + "/openapi.json"}
}

func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	problem(r.Context(), a.log, err).write(w)
}

func (a *API) serveSpec(w http.ResponseWriter, r *http.Request) {
	spec, err := a.spec()
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/openapi+json")
	_, _ = w.Write(spec)
}

type callerKey struct{}

// caller is who makes the request of ctx. ServeHTTP saw to it that there is one.
func caller(ctx context.Context) control.Caller {
	who, _ := ctx.Value(callerKey{}).(control.Caller)
	return who
}

func (a *API) authenticate(r *http.Request) (control.Caller, error) {
	id, secret, ok := api.Credentials(r)
	if !ok {
		return control.Caller{}, &task.Error{
			Kind: task.Denied, Code: control.CodeBadCredentials, Text: "the request has no access key",
			Next: "send Authorization: Basic, or Bearer id:secret",
		}
	}
	who, err := a.control.Authenticate(r.Context(), id, secret)
	if err != nil {
		return control.Caller{}, err
	}
	who.Actor.Dialect, who.Actor.Address, who.Actor.Request = task.Native, api.RemoteAddress(r), api.RequestID(r.Context())
	return who, nil
}

// readBody reads the body, which is then read again from memory.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	deadlines := http.NewResponseController(w)
	// Where there are no deadlines the server's own hold.
	_ = deadlines.SetReadDeadline(time.Now().Add(bodyTime))
	defer func() { _ = deadlines.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &task.Error{Kind: task.Invalid, Code: codeTooLarge, Text: "the body is too large", Next: "send it in parts"}
	case err != nil:
		return nil, &task.Error{Kind: task.Invalid, Code: "BODY_CUT_SHORT", Text: "the body ended early", Next: "send it again", Err: err}
	}
	if err := control.CheckJSON(body); err != nil {
		return nil, &task.Error{Kind: task.Invalid, Code: "BAD_JSON", Text: err.Error(), Next: "send UTF-8"}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// handler answers one operation.
type handler[I, O any] = func(ctx context.Context, who control.Caller, in *I) (*O, error)

// add registers an operation.
func add[I, O any](a *API, op huma.Operation, f handler[I, O]) {
	op.BodyReadTimeout, op.MaxBodyBytes = -1, -1 // readBody has seen to both
	if op.Errors == nil {
		op.Errors = []int{
			http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
			http.StatusConflict, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
		}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, caller(ctx), in)
		if err != nil {
			return nil, problem(ctx, a.log, err)
		}
		return out, nil
	})
}

// at describes an operation.
func at(method, path, id, summary, tag string) huma.Operation {
	return huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, Tags: []string{tag}}
}
