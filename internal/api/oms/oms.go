// Package oms is the dialect of Huawei's Object Storage Migration Service, v2: its
// synchronization tasks, so that a program written for it works here when its endpoint
// is changed. It authenticates by signature, decodes, asks control, and renders what
// control says in OMS's words; it decides nothing.
package oms

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/control"
)

// KeyEncoding is how the object keys of events are encoded.
type KeyEncoding string

// The encodings. OMS documents the form encoding: "+" is a space.
const (
	FormKeys KeyEncoding = "form"
	PathKeys KeyEncoding = "path" // "+" is a plus
)

// Limits of a request of events.
const (
	DefaultEventKeys = 10
	MaxEventKeys     = 100
)

// Config is what an API works with; zero values but Control will do.
type Config struct {
	Control *control.Control
	Log     *slog.Logger // nil: none
	// EventKeys is the most keys of one request; 0: DefaultEventKeys.
	EventKeys int
	// Keys is how they are encoded; empty: FormKeys.
	Keys KeyEncoding
	// MaxTasks is how many tasks a project may have that were made here; 0: no limit.
	MaxTasks int
	// AllowHosts are the hosts (HOST, HOST:PORT or *.DOMAIN) that clients may name by
	// their address where they are to name a region; empty: none.
	AllowHosts []string
	// UnsignedPayload takes requests whose signature leaves the body out, and says so
	// (X-Sdk-Content-Sha256: UNSIGNED-PAYLOAD, signed). Without TLS anybody between can then
	// change the body.
	UnsignedPayload bool
	// AddressRate is how many requests a second one address may make, in bursts of up to
	// two seconds' worth. 0: 10,000; negative: no limit. FailureRate is the same for
	// requests that do not authenticate, which are then answered 429. 0: 10.
	AddressRate, FailureRate float64
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// API is the handler of /v2, /v3 and the OMS version objects.
type API struct {
	cfg      Config
	control  *control.Control
	log      *slog.Logger
	now      func() time.Time
	asking   addresses
	failing  addresses
	memory   bodyMemory
	stores   namedStores
	allowed  control.Hosts
	maxKeys  int
	formKeys bool
}

// New returns the dialect. It starts nothing.
func New(cfg Config) *API {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.EventKeys == 0 {
		cfg.EventKeys = DefaultEventKeys
	}
	if cfg.AddressRate == 0 {
		cfg.AddressRate = 10_000
	}
	if cfg.FailureRate == 0 {
		cfg.FailureRate = 10
	}
	return &API{
		cfg: cfg, control: cfg.Control, log: cfg.Log, now: cfg.Now, allowed: cfg.AllowHosts,
		maxKeys: min(cfg.EventKeys, MaxEventKeys), formKeys: cfg.Keys != PathKeys,
		asking: addresses{rate: cfg.AddressRate}, failing: addresses{rate: cfg.FailureRate},
	}
}

// request is one call on its way.
type request struct {
	w    http.ResponseWriter
	http *http.Request
	path path
	body []byte
	who  control.Caller
	// named are the stores that the request names by their address.
	named []control.NewEndpoint
}

func (r *request) ctx() context.Context { return r.http.Context() }

// ServeHTTP implements http.Handler. It never redirects: the official Go client takes
// any status below 400 for success.
func (a *API) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	r := &request{w: w, http: hr}
	if strings.HasPrefix(hr.URL.Path, "/v3/") { // where the clients of IAM look for the request id
		w.Header().Set("X-IAM-Trace-Id", api.RequestID(hr.Context()))
	}
	if err := a.serve(hr.Context(), r); err != nil {
		a.refuse(hr.Context(), r, err)
	}
}

func (a *API) serve(ctx context.Context, r *request) error {
	if !a.asking.allow(api.RemoteAddress(r.http), a.now()) {
		return errTooMany
	}
	op, p, err := route(r.http.Method, r.http.URL.EscapedPath())
	if err != nil {
		return err
	}
	r.path = p
	if op.public {
		return op.do(a, r)
	}
	release, err := a.readBody(r)
	if err != nil {
		return err
	}
	defer release()
	if r.who, err = a.authenticate(ctx, r); err != nil {
		return err
	}
	if err := a.authorise(r); err != nil {
		return err
	}
	defer a.leaveNamed(ctx, r)
	return op.do(a, r)
}
