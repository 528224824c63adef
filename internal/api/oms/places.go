package oms

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// An endpoint of the registry is found by an alias CLOUDTYPE/REGION. Clients name no
// address; a client may write one in place of a region where the configuration allows
// the host.

// defaultCloud is that of a request which names none.
const defaultCloud = "Aliyun"

// destinationClouds are the names of the cloud that OMS copies to.
var destinationClouds = []string{"HEC", "HuaweiCloud"}

// alias is one name of an endpoint.
type alias struct {
	cloud, region string
	endpoint      task.Endpoint
}

// aliases returns the names of all endpoints of the caller's project, sorted.
func (a *API) aliases(r *request) ([]alias, error) {
	all, err := a.control.Endpoints(r.ctx(), r.who)
	if err != nil {
		return nil, err
	}
	return aliasesOf(all), nil
}

func aliasesOf(all []task.Endpoint) (out []alias) {
	for _, e := range all {
		for _, name := range e.Aliases {
			if cloud, region, ok := strings.Cut(name, "/"); ok && cloud != "" && region != "" {
				out = append(out, alias{cloud, region, e})
			}
		}
	}
	slices.SortStableFunc(out, func(x, y alias) int {
		if c := strings.Compare(x.cloud, y.cloud); c != 0 {
			return c
		}
		return strings.Compare(x.region, y.region)
	})
	return out
}

// find returns the endpoint of a region in one of some clouds, the first of which is
// asked first; and when elsewhere is set, the one endpoint that any other cloud has for it.
func find(all []alias, clouds []string, region string, elsewhere bool) (task.Endpoint, bool) {
	for _, c := range clouds {
		for _, n := range all {
			if n.region == region && strings.EqualFold(c, n.cloud) {
				return n.endpoint, true
			}
		}
	}
	var only task.Endpoint
	found := false
	for _, n := range all {
		if !elsewhere || n.region != region {
			continue
		}
		if found && only.ID != n.endpoint.ID {
			return task.Endpoint{}, false
		}
		only, found = n.endpoint, true
	}
	return only, found
}

// side is one end of a task as a client named it.
type side struct {
	clouds    []string
	elsewhere bool   // another cloud's region of that name will do
	region    string // or an address
	address   string
	code      string // of the error when it is not known
}

// endpoint finds a side in the registry, or registers the address it names.
func (a *API) endpoint(r *request, s side) (task.Endpoint, error) {
	written := s.address
	if written == "" && isAddress(s.region) {
		written = s.region
	}
	if written != "" {
		return a.addressed(r, written, s)
	}
	all, err := a.aliases(r)
	if err != nil {
		return task.Endpoint{}, err
	}
	e, ok := find(all, s.clouds, s.region, s.elsewhere)
	if !ok {
		return e, invalid(s.code, "have an admin add it: lockstep endpoint add NAME … --oms "+s.clouds[0]+"/REGION",
			"region %q of %s is not supported: no endpoint is registered for it", s.region, s.clouds[0])
	}
	return e, nil
}

// isAddress says whether a client wrote an address where a region is asked for.
func isAddress(region string) bool { return strings.Contains(region, "://") }

// addressed returns the endpoint of an address: [REGION@]http(s)://HOST[:PORT][?path=0].
func (a *API) addressed(r *request, written string, s side) (task.Endpoint, error) {
	region, address := "", written
	if before, after, ok := strings.Cut(written, "@"); ok && !strings.Contains(before, "://") {
		region, address = before, after
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return task.Endpoint{}, invalid(s.code, "write REGION@https://HOST:PORT", "the region looks like an address and cannot be read as one")
	}
	if !a.allowed.Has(u) {
		return task.Endpoint{}, invalid(s.code, "have an admin register the store, or serve with --oms-allow-host "+u.Host,
			"a store at %q may not be named by its address", u.Host)
	}
	options := []byte(nil)
	if u.Query().Get("path") == "0" {
		options = []byte(`{"virtual_host":true}`)
	}
	place := (&url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}).String()
	sum := sha256.Sum256([]byte(region + "@" + place + string(options)))
	return a.named(r, control.NewEndpoint{
		ID: task.EndpointID("oms-" + hex.EncodeToString(sum[:8])), Provider: "generic", URL: place, Region: region, Options: options,
	})
}
