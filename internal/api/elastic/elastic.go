// Package elastic is the dialect of Elasticsearch's Connector APIs: connectors, what
// their programs report of their syncs, and sync jobs. Official clients work unmodified.
// Tasks of Lockstep are connectors too, whose last_* fields the engine keeps; their jobs
// are sync jobs.
//
// It decodes requests, keeps the documents of connectors as Elasticsearch would, and asks
// control for everything else. The words connector and sync job stay in here.
package elastic

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Root begins all paths of the dialect but those of IndexPath.
const Root = "/_connector"

// MaxBody is the largest request body in bytes.
const MaxBody = 4 << 20

// Config is what an API works with; zero values but Control will do.
type Config struct {
	Control *control.Control
	Log     *slog.Logger     // nil: none
	Now     func() time.Time // nil: time.Now
}

// API is the handler of the dialect.
type API struct {
	control *control.Control
	log     *slog.Logger
	now     func() time.Time
}

// New returns the dialect. It starts nothing.
func New(cfg Config) *API {
	a := &API{control: cfg.Control, log: cfg.Log, now: cfg.Now}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.now == nil {
		a.now = time.Now
	}
	return a
}

// IndexPath says whether a raw path names one index, as in DELETE /{index}: clients
// delete the index of a connector when they are done with it.
func IndexPath(path string) bool {
	name, ok := strings.CutPrefix(path, "/")
	return ok && name != "" && name[0] != '_' && !strings.Contains(name, "/") && name != "healthz" && name != "readyz" && name != "metrics"
}

// SystemPath says whether a raw path is of Elasticsearch's own APIs, as /_search: those
// that are not here are refused in words that its clients can read.
func SystemPath(path string) bool {
	name, ok := strings.CutPrefix(path, "/_")
	return ok && name != "" && name[0] >= 'a' && name[0] <= 'z'
}

// call is one request on its way.
type call struct {
	*http.Request
	who    control.Caller
	route  route
	id     string // from the path
	params params
	body   []byte
}

// answer is what a call is answered with.
type answer struct {
	status int
	body   any // what encodes to JSON; json.RawMessage goes out as it is
}

func ok(body any) (answer, error) { return answer{http.StatusOK, body}, nil }

// result is the answer of a write.
func result(word string) (answer, error) { return ok(map[string]any{"result": word}) }

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := formatOf(r)
	// Clients refuse to go on without it.
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	out, err := a.serve(w, r, &f)
	if err != nil {
		x := render(r.Context(), a.log, f, err)
		if x.status == http.StatusUnauthorized {
			w.Header()["Www-Authenticate"] = challenges
		}
		if x.allow != nil {
			w.Header().Set("Allow", strings.Join(x.allow, ", "))
		}
		if x.status == http.StatusTooManyRequests || x.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		f.paths = nil
		out = answer{x.status, x.body()}
	}
	f.write(w, out)
}

// serve answers everything but errors.
func (a *API) serve(w http.ResponseWriter, r *http.Request, f *format) (answer, error) {
	who, err := a.authenticate(r)
	if err != nil {
		return answer{}, err
	}
	f.user = string(who.Actor.Key)
	path := r.URL.EscapedPath()
	rt, id, err := find(r.Method, path)
	if err != nil {
		return answer{}, err
	}
	f.action = "cluster:admin/xpack/connector/" + rt.action
	if r.Method != http.MethodGet {
		if err := who.MayReport(); err != nil {
			return answer{}, err
		}
	}
	c := &call{Request: r, who: who, route: rt, id: id}
	if c.params, err = readParams(r, rt.params); err != nil {
		return answer{}, err
	}
	if err := f.params(c.params); err != nil {
		return answer{}, err
	}
	if c.body, err = readBody(w, r); err != nil {
		return answer{}, err
	}
	if err := f.media(r, len(c.body) > 0); err != nil {
		return answer{}, err
	}
	return rt.serve(a, c)
}

// bodyTime is how long a client may take to send a body.
const bodyTime = 30 * time.Second

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	deadlines := http.NewResponseController(w)
	// Where there are no deadlines the server's own hold.
	_ = deadlines.SetReadDeadline(time.Now().Add(bodyTime))
	defer func() { _ = deadlines.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(r.Body)
	if err != nil && !isTooLarge(err) {
		return nil, &exception{status: http.StatusBadRequest, kind: "parse_exception", reason: "the request body ended early"}
	}
	if err != nil || len(body) == 0 {
		return nil, err
	}
	return uncompressed(body, r.Header.Get("Content-Encoding"))
}

// uncompressed is a body as it was before its client compressed it, which the official ones
// do when they are told to. It is bounded like one that was not compressed.
func uncompressed(body []byte, encoding string) ([]byte, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, nil
	case "gzip":
	default:
		return nil, illegalArgument("Content-Encoding [%s] is not supported; it is gzip or none", encoding)
	}
	bad := &exception{status: http.StatusBadRequest, kind: "parse_exception", reason: "the request body is not compressed with gzip, or cut short"}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, bad
	}
	out, err := io.ReadAll(io.LimitReader(z, MaxBody+1))
	switch {
	case err != nil:
		return nil, bad
	case len(out) > MaxBody:
		return nil, &http.MaxBytesError{Limit: MaxBody}
	}
	return out, nil
}

// authenticate says who asks: ApiKey, Basic, or Bearer id:secret. The scheme may be in any
// case; the official Go client writes APIKey.
func (a *API) authenticate(r *http.Request) (control.Caller, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return control.Caller{}, unauthorized("missing authentication credentials for REST request [" + r.URL.EscapedPath() + "]")
	}
	id, given, ok := credentials(r, header)
	if !ok {
		return control.Caller{}, unauthorized("unable to authenticate with provided credentials and anonymous access is not allowed for this request")
	}
	who, err := a.control.Authenticate(r.Context(), id, given)
	if err != nil {
		return control.Caller{}, err
	}
	who.Actor.Dialect, who.Actor.Address, who.Actor.Request = task.Elastic, api.RemoteAddress(r), api.RequestID(r.Context())
	return who, nil
}

func credentials(r *http.Request, header string) (id, given string, ok bool) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "ApiKey") {
		return api.Credentials(r)
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(token))
	if err != nil {
		return "", "", false
	}
	id, given, ok = strings.Cut(string(plain), ":")
	return id, given, ok && id != "" && given != ""
}

// internal is an error of the documents kept here: they are written by this package
// alone, so a bad one is our fault.
func internal(ctx context.Context, log *slog.Logger, err error) error {
	log.ErrorContext(ctx, "a stored document cannot be read", "error", err)
	return &task.Error{Text: "a stored document cannot be read", Err: err}
}
