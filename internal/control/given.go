package control

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Given are the credentials that a client gives for the two places of a task, as
// dialects do whose tasks bring their own.
//
// An endpoint with registered credentials takes only that pair, and the task then keeps
// none. For one without, the pair is sealed beside the task and used for nothing else.
// A directory has no use for credentials.
type Given struct {
	Source, Destination Credentials
	// CDNKey is what requests to the task's CDN are signed with; empty: its authentication
	// needs none.
	CDNKey secret.String
}

// Codes of what given credentials can be wrong about.
const (
	CodeSourceKeys      = "SOURCE_KEYS_DIFFER"      // Denied: not those registered for the source's endpoint
	CodeDestinationKeys = "DESTINATION_KEYS_DIFFER" // Denied: nor for the destination's
	CodeRunning         = "TASK_NOT_STOPPED"        // Conflict: start, or delete, of a task that is not stopped
	CodeNotRunning      = "TASK_STOPPED"            // Conflict: stop of a task that is
	CodeTooManyTasks    = "TOO_MANY_TASKS"          // Conflict: one more than NewTask.Most
)

// sealedGiven is the stored form; a field may be added, never renamed.
type sealedGiven struct {
	Source      *sealedCredentials `json:"source,omitempty"`
	Destination *sealedCredentials `json:"destination,omitempty"`
	CDNKey      string             `json:"cdn_key,omitempty"`
}

func givenPurpose(id task.ID) string { return "task:" + string(id) }

// takesKeys says whether the stores of a provider know clients by a key pair.
func takesKeys(provider string) bool {
	return !slices.Contains([]string{"file", "mem", "http"}, provider)
}

// admit says whether an endpoint takes a given pair, and whether to keep it: not when it
// is the endpoint's own, or of no use there.
func (c *Control) admit(e task.Endpoint, k Credentials, code string) (keep bool, err error) {
	if !takesKeys(e.Provider) {
		return false, nil
	}
	own, err := OpenCredentials(c.cfg.Box, e)
	if err != nil {
		return false, err
	}
	switch {
	case own.AccessKey == "" && k.AccessKey == "" && usesEnvironment(e):
		return false, &task.Error{
			Kind: task.Denied, Code: code, Text: "endpoint " + strconv.Quote(string(e.ID)) + " lends the credentials of this machine to nobody",
			Next: "give a pair",
		}
	case own.AccessKey == "":
		return k.AccessKey != "", nil
	}
	if !k.SecretKey.Equal(own.SecretKey) || k.AccessKey != own.AccessKey {
		return false, &task.Error{
			Kind: task.Denied, Code: code, Text: "the credentials are not those registered for endpoint " + strconv.Quote(string(e.ID)),
			Next: "give that pair, or have the endpoint's credentials changed",
		}
	}
	return false, nil
}

// seal admits what is given and returns what a task keeps of it; nil: nothing.
func (c *Control) seal(ctx context.Context, who Caller, k task.Task, g Given) ([]byte, error) {
	if err := c.checkCDN(ctx, who, k, &g); err != nil {
		return nil, err
	}
	var kept sealedGiven
	if k.Options.SourceCDN.Authentication.NeedsKey() {
		kept.CDNKey = g.CDNKey.Reveal()
	}
	for _, side := range []struct {
		at   task.Location
		keys Credentials
		code string
		into **sealedCredentials
	}{
		{k.Source, g.Source, CodeSourceKeys, &kept.Source},
		{k.Destination, g.Destination, CodeDestinationKeys, &kept.Destination},
	} {
		e, err := c.endpoint(ctx, who, side.at.Endpoint)
		if err != nil {
			return nil, err
		}
		keep, err := c.admit(e, side.keys, side.code)
		if err != nil {
			return nil, err
		}
		if keep {
			*side.into = &sealedCredentials{side.keys.AccessKey, side.keys.SecretKey.Reveal(), side.keys.SessionToken.Reveal()}
		}
	}
	if kept == (sealedGiven{}) {
		return nil, nil
	}
	plain, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	return c.cfg.Box.Seal(givenPurpose(k.ID), plain), nil
}

// OpenGiven opens the credentials that a task keeps, for whoever opens its buckets; it is
// no call for clients.
func OpenGiven(box *secret.Box, k task.Task) (g Given, err error) {
	if len(k.Sealed) == 0 {
		return g, nil
	}
	plain, err := box.Open(givenPurpose(k.ID), k.Sealed)
	if err != nil {
		return g, err
	}
	var kept sealedGiven
	if err := json.Unmarshal(plain, &kept); err != nil {
		return g, &task.Error{Code: "SEAL_DAMAGED", Text: "stored credentials are damaged", Next: "start the task anew with its credentials"}
	}
	open := func(s *sealedCredentials) Credentials {
		if s == nil {
			return Credentials{}
		}
		return Credentials{s.AccessKey, secret.New(s.SecretKey), secret.New(s.SessionToken)}
	}
	return Given{Source: open(kept.Source), Destination: open(kept.Destination), CDNKey: secret.New(kept.CDNKey)}, nil
}

// StartTaskGiven makes a stopped task active with the given credentials in place of
// those it had. Conflict: it is not stopped.
func (c *Control) StartTaskGiven(ctx context.Context, who Caller, ref string, g Given) (task.Task, error) {
	return c.updateTask(ctx, who, ref, 0, func(k *task.Task) error {
		if k.State != task.Stopped {
			return &task.Error{Kind: task.Conflict, Code: CodeRunning, Text: "the task is not stopped", Next: "stop it first"}
		}
		sealed, err := c.seal(ctx, who, *k, g)
		k.State, k.Sealed = task.Active, sealed
		return err
	})
}

// StopTaskForgetting stops a task and drops the credentials that came with it. Its open
// job of kind events takes no more, so that its lists are written soon. Conflict: it is
// stopped.
func (c *Control) StopTaskForgetting(ctx context.Context, who Caller, ref string) (task.Task, error) {
	k, err := c.stopForgetting(ctx, who, ref)
	if err != nil {
		return k, err
	}
	// What cannot be closed now closes by itself within minutes.
	jobs, err := c.store.Jobs(ctx, k.Project, history.JobFilter{Task: k.ID, Kind: task.EventsJob, Limit: 2})
	for _, j := range jobs {
		if err == nil && j.State == task.JobOpen {
			_ = c.store.CloseJob(ctx, j.ID)
		}
	}
	return k, nil
}

func (c *Control) stopForgetting(ctx context.Context, who Caller, ref string) (task.Task, error) {
	return c.updateTask(ctx, who, ref, 0, func(k *task.Task) error {
		if k.State == task.Stopped {
			return &task.Error{Kind: task.Conflict, Code: CodeNotRunning, Text: "the task is stopped", Next: "there is nothing to stop"}
		}
		k.State, k.Sealed = task.Stopped, nil
		return nil
	})
}

// mayWork refuses to start a task without the credentials that were dropped when it was
// stopped.
func (c *Control) mayWork(ctx context.Context, k task.Task) error {
	if len(k.Sealed) == 0 && k.Options.SourceCDN.Authentication.NeedsKey() {
		return &task.Error{
			Kind: task.Conflict, Code: "KEYS_DROPPED", Text: "the key of the task's CDN was dropped when it was stopped",
			Next: "start it through the OMS API with its credentials",
		}
	}
	if k.Origin != task.OMS || len(k.Sealed) > 0 {
		return nil
	}
	for _, at := range []task.Location{k.Source, k.Destination} {
		e, err := c.store.Endpoint(ctx, k.Project, at.Endpoint)
		if err != nil {
			return err
		}
		own, err := OpenCredentials(c.cfg.Box, e)
		if err != nil {
			return err
		}
		if own.AccessKey == "" && takesKeys(e.Provider) && !usesEnvironment(e) {
			return &task.Error{
				Kind: task.Conflict, Code: "KEYS_DROPPED", Text: "the credentials of the task were dropped when it was stopped",
				Next: "start it through the OMS API with its credentials, or give endpoint " + strconv.Quote(string(at.Endpoint)) + " credentials",
			}
		}
	}
	return nil
}

// usesEnvironment says whether the machine has the credentials of an endpoint.
func usesEnvironment(e task.Endpoint) bool {
	var o struct {
		Environment bool `json:"environment_credentials"`
	}
	return json.Unmarshal(e.Options, &o) == nil && o.Environment
}

// EndpointAt returns the endpoint of that name, which it registers without credentials
// unless it is there: for stores that a client named by their address. Whether a client
// may name that address is for the caller to decide.
func (c *Control) EndpointAt(ctx context.Context, who Caller, n NewEndpoint) (e task.Endpoint, made bool, err error) {
	if err := who.may(mayOperate); err != nil {
		return task.Endpoint{}, false, err
	}
	n.Credentials = Credentials{}
	if err := n.check(); err != nil {
		return task.Endpoint{}, false, err
	}
	e, err = c.store.Endpoint(ctx, who.Project, n.ID)
	if task.KindOf(err) != task.NotFound {
		return e, false, err
	}
	e, err = c.store.PutEndpoint(ctx, task.Endpoint{
		ID: n.ID, Project: who.Project, Provider: n.Provider, URL: n.URL, Region: n.Region, Options: n.Options,
	}, who.Actor)
	if task.KindOf(err) == task.Conflict { // somebody was quicker
		e, err = c.store.Endpoint(ctx, who.Project, n.ID)
		return e, false, err
	}
	return e, err == nil, err
}

// DropEndpointAt takes away what EndpointAt has made, unless a task is at it.
func (c *Control) DropEndpointAt(ctx context.Context, who Caller, id task.EndpointID) error {
	if err := who.may(mayOperate); err != nil {
		return err
	}
	err := c.store.DeleteEndpoint(ctx, who.Project, id, who.Actor)
	if kind := task.KindOf(err); kind == task.Conflict || kind == task.NotFound {
		return nil
	}
	return err
}

var errNoGuests = errors.New("this process opens no buckets for clients")
