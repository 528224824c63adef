package native

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Credentials are sent, never answered.
type Credentials struct {
	AccessKey    string        `json:"access_key,omitempty"`
	SecretKey    secret.String `json:"secret_key,omitzero"`
	SessionToken secret.String `json:"session_token,omitzero"`
}

func (k Credentials) control() control.Credentials {
	return control.Credentials{AccessKey: k.AccessKey, SecretKey: k.SecretKey, SessionToken: k.SessionToken}
}

// NewEndpoint is an endpoint to be registered.
type NewEndpoint struct {
	Name        string         `json:"name"`
	Provider    string         `json:"provider"`
	URL         string         `json:"url,omitempty"`
	Region      string         `json:"region,omitempty"`
	Aliases     []string       `json:"aliases,omitempty"`
	Options     map[string]any `json:"options,omitempty" doc:"The driver's own"`
	Credentials Credentials    `json:"credentials,omitzero"`
}

// CheckRequest says what to try.
type CheckRequest struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix,omitempty"`
	Write  bool   `json:"write,omitempty" doc:"Try what a destination needs too, with small objects below .lockstep-check/"`
}

// Check is what an endpoint could do.
type Check struct {
	OK     bool            `json:"ok"`
	Probes []Probe         `json:"probes" nullable:"false"`
	Policy json.RawMessage `json:"policy,omitempty" doc:"The least that must be allowed for what was denied"`
}

// Probe is one thing that was tried.
type Probe struct {
	Name   string  `json:"name"`
	OK     bool    `json:"ok"`
	Code   string  `json:"code,omitempty"`
	Error  string  `json:"error,omitempty"`
	Millis float64 `json:"took_ms"`
}

type ByName struct {
	Name string `path:"name"`
}

type body[T any] struct{ Body T }

type none struct{}

func (a *API) endpoints() {
	const tag = "endpoints"
	create := at(http.MethodPost, "/endpoints", "createEndpoint", "Register a store", tag)
	create.DefaultStatus = http.StatusCreated
	add(a, create, a.createEndpoint)
	add(a, at(http.MethodGet, "/endpoints", "listEndpoints", "The registered stores", tag),
		func(ctx context.Context, who control.Caller, _ *none) (*body[Page[Endpoint]], error) {
			all, err := a.control.Endpoints(ctx, who)
			return &body[Page[Endpoint]]{pageOf(all, len(all), endpointOf, nil)}, err
		})
	add(a, at(http.MethodGet, "/endpoints/{name}", "getEndpoint", "One registered store", tag),
		func(ctx context.Context, who control.Caller, in *ByName) (*body[Endpoint], error) {
			e, err := a.control.Endpoint(ctx, who, task.EndpointID(in.Name))
			return &body[Endpoint]{endpointOf(e)}, err
		})
	add(a, at(http.MethodPut, "/endpoints/{name}/credentials", "rotateEndpoint", "Replace a store's credentials", tag),
		func(ctx context.Context, who control.Caller, in *struct {
			ByName
			Body Credentials
		},
		) (*body[Endpoint], error) {
			e, err := a.control.RotateEndpoint(ctx, who, task.EndpointID(in.Name), in.Body.control())
			return &body[Endpoint]{endpointOf(e)}, err
		})
	add(a, at(http.MethodPost, "/endpoints/{name}/check", "checkEndpoint", "Try what a store allows", tag), a.checkEndpoint)
	add(a, at(http.MethodDelete, "/endpoints/{name}", "deleteEndpoint", "Take a store away", tag),
		func(ctx context.Context, who control.Caller, in *ByName) (*none, error) {
			return &none{}, a.control.DeleteEndpoint(ctx, who, task.EndpointID(in.Name))
		})
}

func (a *API) createEndpoint(ctx context.Context, who control.Caller, in *body[NewEndpoint]) (*body[Endpoint], error) {
	n := in.Body
	options, err := json.Marshal(n.Options)
	if err != nil {
		return nil, err
	}
	if n.Options == nil {
		options = nil
	}
	e, err := a.control.CreateEndpoint(ctx, who, control.NewEndpoint{
		ID: task.EndpointID(n.Name), Provider: n.Provider, URL: n.URL, Region: n.Region, Aliases: n.Aliases,
		Options: options, Credentials: n.Credentials.control(),
	})
	return &body[Endpoint]{endpointOf(e)}, err
}

func (a *API) checkEndpoint(ctx context.Context, who control.Caller, in *struct {
	ByName
	Body CheckRequest
},
) (*body[Check], error) {
	c, err := a.control.CheckEndpoint(ctx, who, task.EndpointID(in.Name), control.CheckRequest(in.Body))
	out := Check{OK: c.OK(), Policy: c.Policy, Probes: []Probe{}}
	for _, p := range c.Probes {
		out.Probes = append(out.Probes, Probe{p.Name, p.OK, p.Code, p.Error, float64(p.Took.Microseconds()) / 1000})
	}
	return &body[Check]{out}, err
}
