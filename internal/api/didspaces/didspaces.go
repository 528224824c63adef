// Package didspaces is the dialect of the DID Spaces audit log: programs that sync objects
// by themselves post, put and list the record of it, with the client that app authors
// have. It verifies signatures, decodes requests, asks control, and renders what control
// says. Jobs that Lockstep does appear in the same list.
package didspaces

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Config is what an API works with; zero values but Control will do.
type Config struct {
	Control *control.Control
	Log     *slog.Logger // nil: none
	// Register registers an app that nobody knows, at its first signed request; nil: such
	// apps are refused.
	Register func(ctx context.Context, did string) error
	Now      func() time.Time // nil: time.Now
}

// API is the handler of the dialect's paths.
type API struct {
	cfg     Config
	control *control.Control
	log     *slog.Logger
}

// New returns the dialect. It starts nothing.
func New(cfg Config) *API {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &API{cfg: cfg, control: cfg.Control, log: cfg.Log}
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if path == discoveryPath {
		a.discover(w, r)
		return
	}
	at, ok := parsePath(path)
	if !ok {
		a.refuse(w, r, &task.Error{
			Kind: task.NotFound, Code: "PATH_NOT_FOUND", Text: "there is nothing at this path",
			Next: "the endpoint is https://HOST/api/space/SPACE/app/APP/object/",
		})
		return
	}
	if allow := at.methods(); !slices.Contains(allow, r.Method) {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		a.refuse(w, r, &task.Error{Kind: task.Invalid, Code: codeMethod, Text: "this path takes " + strings.Join(allow, ", "), Next: "use the official client"})
		return
	}
	out, err := a.answer(w, r, at)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	a.write(w, r, out)
}

// answer does what a request asks.
func (a *API) answer(w http.ResponseWriter, r *http.Request, at place) (any, error) {
	who, err := a.enter(r, at)
	if err != nil {
		return nil, err
	}
	if at.list {
		return a.list(r, who)
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodPost {
		return a.post(r.Context(), who, body)
	}
	return a.put(r.Context(), who, body)
}

// visitor is an app that was let in.
type visitor struct {
	control.Caller
	app  task.App
	user string // the DID the app acts for; its own when for itself
}

// enter verifies the signature of a request and says whose log it is about.
func (a *API) enter(r *http.Request, at place) (visitor, error) {
	s := signed{method: r.Method, target: r.RequestURI}
	if _, rest, ok := strings.Cut(r.RequestURI, "://"); ok && !strings.HasPrefix(r.RequestURI, "/") {
		_, path, _ := strings.Cut(rest, "/") // a proxy sends the whole URL
		s.target = "/" + path
	}
	if prefix := r.Header.Get("X-Forwarded-Prefix"); strings.HasPrefix(prefix, "/") {
		s.mounted = strings.TrimSuffix(prefix, "/") + s.target
	}
	who, err := verify(r.Header, s, a.cfg.Now())
	if err != nil {
		return visitor{}, err
	}
	apps, err := at.about(who)
	if err != nil {
		return visitor{}, err
	}
	caller, app, err := a.enterOne(r.Context(), apps)
	if err != nil {
		return visitor{}, err
	}
	caller.Actor.Address, caller.Actor.Request = api.RemoteAddress(r), api.RequestID(r.Context())
	return visitor{Caller: caller, app: app, user: who.of}, nil
}

// enterOne lets the first of these apps in that is registered; else the first of all,
// when apps are registered at first use.
func (a *API) enterOne(ctx context.Context, apps []string) (who control.Caller, app task.App, err error) {
	for _, one := range slices.Backward(apps) {
		var found control.Caller
		var known task.App
		e := (*task.Error)(nil)
		switch found, known, err = a.control.EnterApp(ctx, one); {
		case err == nil:
			who, app = found, known
		case !errors.As(err, &e) || e.Code != control.CodeAppUnknown:
			return who, app, err
		}
	}
	if app.DID != "" {
		return who, app, nil
	}
	if a.cfg.Register == nil {
		return who, app, err
	}
	if err := a.cfg.Register(ctx, apps[0]); err != nil {
		return who, app, err
	}
	return a.control.EnterApp(ctx, apps[0])
}

// maxBody bounds a body, in bytes: a log entry with its metadata.
const maxBody = 1 << 20

// bodyTime is how long a client may take to send a body.
const bodyTime = 30 * time.Second

// readBody reads a body whole. What is wrong with it is the client's fault: it repeats a
// request that is answered 413 or 5xx.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	deadlines := http.NewResponseController(w)
	// Where there are no deadlines the server's own hold.
	_ = deadlines.SetReadDeadline(time.Now().Add(bodyTime))
	defer func() { _ = deadlines.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, invalid("BODY_TOO_LARGE", "the body is larger than 1 MiB", "leave metadata out")
	case err != nil:
		return nil, &task.Error{Kind: task.Invalid, Code: "BODY_CUT_SHORT", Text: "the body ended early", Next: "send it again", Err: err}
	}
	if err := control.CheckJSON(body); err != nil {
		return nil, invalid("BAD_JSON", "the body holds bytes that are no UTF-8, or half of a surrogate pair", "send UTF-8")
	}
	return body, nil
}

// write sends an answer. There is no envelope: the client makes its own.
func (a *API) write(w http.ResponseWriter, r *http.Request, v any) {
	var parts [][]byte
	var err error
	if l, ok := v.(listAnswer); ok {
		parts, err = l.parts()
	} else {
		parts = make([][]byte, 1)
		parts[0], err = encode(v)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	for _, part := range parts {
		_, _ = w.Write(part) // the client went away
	}
}
