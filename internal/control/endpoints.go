package control

import (
	"context"
	"encoding/json"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Providers are the names an endpoint's provider may have; "generic" is any S3.
var Providers = []string{"aws", "b2", "ceph", "cos", "file", "gcs", "generic", "mem", "minio", "obs", "oss", "r2", "versitygw", "wasabi"}

// Credentials are what a store knows Lockstep by. All empty: anonymous.
type Credentials struct {
	AccessKey    string
	SecretKey    secret.String
	SessionToken secret.String
}

// sealedCredentials is their stored form; a field may be added, never renamed.
type sealedCredentials struct {
	AccessKey    string `json:"access_key,omitempty"`
	SecretKey    string `json:"secret_key,omitempty"`
	SessionToken string `json:"session_token,omitempty"`
}

func endpointPurpose(project task.ProjectID, id task.EndpointID) string {
	return "endpoint:" + string(project) + "/" + string(id)
}

func (c *Control) sealCredentials(project task.ProjectID, id task.EndpointID, k Credentials) ([]byte, error) {
	plain, err := json.Marshal(sealedCredentials{k.AccessKey, k.SecretKey.Reveal(), k.SessionToken.Reveal()})
	if err != nil {
		return nil, err
	}
	return c.cfg.Box.Seal(endpointPurpose(project, id), plain), nil
}

// OpenCredentials opens those of an endpoint, for whoever opens its buckets; it is no
// call for clients.
func OpenCredentials(box *secret.Box, e task.Endpoint) (Credentials, error) {
	if len(e.Sealed) == 0 {
		return Credentials{}, nil
	}
	plain, err := box.Open(endpointPurpose(e.Project, e.ID), e.Sealed)
	if err != nil {
		return Credentials{}, err
	}
	var k sealedCredentials
	if err := json.Unmarshal(plain, &k); err != nil {
		return Credentials{}, &task.Error{Code: "SEAL_DAMAGED", Text: "stored credentials are damaged", Next: "enter them again"}
	}
	return Credentials{k.AccessKey, secret.New(k.SecretKey), secret.New(k.SessionToken)}, nil
}

// NewEndpoint is a store to be registered.
type NewEndpoint struct {
	ID          task.EndpointID
	Provider    string
	URL         string
	Region      string
	Aliases     []string
	Options     []byte // a JSON object of the driver; nil: none
	Credentials Credentials
}

// CreateEndpoint registers a store in the caller's project. Conflict: the name is taken.
func (c *Control) CreateEndpoint(ctx context.Context, who Caller, n NewEndpoint) (task.Endpoint, error) {
	if err := who.may(mayAdminister); err != nil {
		return task.Endpoint{}, err
	}
	if err := n.check(); err != nil {
		return task.Endpoint{}, err
	}
	sealed, err := c.sealCredentials(who.Project, n.ID, n.Credentials)
	if err != nil {
		return task.Endpoint{}, err
	}
	return c.store.PutEndpoint(ctx, task.Endpoint{
		ID: n.ID, Project: who.Project, Provider: n.Provider, URL: n.URL, Region: n.Region,
		Aliases: n.Aliases, Options: n.Options, Sealed: sealed,
	}, who.Actor)
}

func (n NewEndpoint) check() error {
	if !validEndpointID(string(n.ID)) {
		return invalid("BAD_ENDPOINT_NAME", "an endpoint's name is 1 to 63 letters, digits, dots, dashes or underscores, and begins with a letter or digit",
			"choose another name")
	}
	if !slices.Contains(Providers, n.Provider) {
		return invalid("BAD_PROVIDER", "there is no such provider", "use one of "+strings.Join(Providers, ", "))
	}
	if len(n.Options) > 0 {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(n.Options, &object); err != nil {
			return invalid("BAD_OPTIONS", "the options of an endpoint are no JSON object", "leave them out, or see docs/stores.md")
		}
	}
	for _, alias := range n.Aliases {
		if cloud, region, ok := strings.Cut(alias, "/"); !ok || cloud == "" || region == "" {
			return invalid("BAD_ALIAS", strconv.Quote(alias)+" is no CLOUDTYPE/REGION", "write e.g. AWS/us-east-1, as OMS clients name the store")
		}
	}
	if n.Credentials.SecretKey.Empty() != (n.Credentials.AccessKey == "") {
		return invalid("BAD_CREDENTIALS_PAIR", "an access key and a secret key go together", "give both, or none for anonymous access")
	}
	return checkURL(n.Provider, n.URL)
}

func validEndpointID(id string) bool {
	for i := range len(id) {
		c := id[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("._-", rune(c))) {
			return false
		}
	}
	return id != "" && len(id) <= 63
}

// checkURL never repeats the URL: it may hold a secret where none belongs.
func checkURL(provider, address string) error {
	bad := func(text, next string) error { return invalid("BAD_URL", text, next) }
	u, err := url.Parse(address)
	switch {
	case address == "" && (provider == "aws" || provider == "mem"):
		return nil
	case err != nil:
		return bad("the URL of the endpoint cannot be read", "write http(s)://HOST[:PORT]")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return bad("the URL of the endpoint has a user, a query or a fragment", "give keys as credentials, not in the URL")
	case provider == "file":
		if u.Scheme != "file" || u.Host != "" || u.Path == "" || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") && u.Path != "/" {
			return bad("the URL of a directory is file:///, and its absolute path without . or ..", "write file:///DIR")
		}
	case provider == "mem":
		if u.Scheme != "mem" {
			return bad("the URL of a store in memory begins with mem:", "leave it out")
		}
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return bad("the URL of the endpoint is not http(s)://HOST[:PORT]", "write http(s)://HOST[:PORT]")
	}
	return nil
}

// RotateEndpoint replaces the credentials of an endpoint. Buckets opened from now on use
// them; nothing needs a restart.
func (c *Control) RotateEndpoint(ctx context.Context, who Caller, id task.EndpointID, k Credentials) (task.Endpoint, error) {
	if err := who.may(mayAdminister); err != nil {
		return task.Endpoint{}, err
	}
	e, err := c.endpoint(ctx, who, id)
	if err != nil {
		return task.Endpoint{}, err
	}
	if k.SecretKey.Empty() != (k.AccessKey == "") {
		return task.Endpoint{}, invalid("BAD_CREDENTIALS_PAIR", "an access key and a secret key go together", "give both, or none for anonymous access")
	}
	if e.Sealed, err = c.sealCredentials(who.Project, id, k); err != nil {
		return task.Endpoint{}, err
	}
	return c.store.PutEndpoint(ctx, e, who.Actor)
}

// Endpoints returns the endpoints of the caller's project by name. Credentials stay sealed.
func (c *Control) Endpoints(ctx context.Context, who Caller) ([]task.Endpoint, error) {
	if err := who.may(mayRead); err != nil {
		return nil, err
	}
	return c.store.Endpoints(ctx, who.Project)
}

// Endpoint returns one of them.
func (c *Control) Endpoint(ctx context.Context, who Caller, id task.EndpointID) (task.Endpoint, error) {
	if err := who.may(mayRead); err != nil {
		return task.Endpoint{}, err
	}
	return c.endpoint(ctx, who, id)
}

func (c *Control) endpoint(ctx context.Context, who Caller, id task.EndpointID) (task.Endpoint, error) {
	e, err := c.store.Endpoint(ctx, who.Project, id)
	if task.KindOf(err) == task.NotFound {
		err = notFound("ENDPOINT_NOT_FOUND", "there is no such endpoint", "list them with: lockstep endpoint list")
	}
	return e, err
}

// DeleteEndpoint takes an endpoint away. Conflict: a task uses it.
func (c *Control) DeleteEndpoint(ctx context.Context, who Caller, id task.EndpointID) error {
	if err := who.may(mayAdminister); err != nil {
		return err
	}
	if _, err := c.endpoint(ctx, who, id); err != nil {
		return err
	}
	return c.store.DeleteEndpoint(ctx, who.Project, id, who.Actor)
}
