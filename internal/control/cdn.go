package control

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Codes of what the CDN of a source can be wrong about. All are Invalid.
const (
	CodeCDN        = "BAD_CDN"         // it is no domain, or no authentication that is known
	CodeCDNHost    = "CDN_NOT_ALLOWED" // the operator does not allow the domain
	CodeCDNKey     = "CDN_KEY_MISSING" // its authentication needs a key, and none came
	CodeCDNRefused = "CDN_REFUSED"     // it does not serve the bucket's objects
)

// Domains asks the domains of CDNs. The credentials are those of the source, empty ones
// the endpoint's own.
type Domains interface {
	Domain(ctx context.Context, project task.ProjectID, id task.EndpointID, k Credentials, via SourceCDN) (Domain, error)
}

// Domain is one.
type Domain interface {
	// Look says what the domain serves under a whole key: ErrNotFound when it serves
	// nothing, another sentinel when it cannot be read from.
	Look(ctx context.Context, key string) (objstore.Object, error)
	Close()
}

// SourceCDN is a CDN with the key that its requests are signed with.
type SourceCDN struct {
	task.CDN
	Key secret.String
}

// AllowCDN checks a CDN by itself: it is one, and its domain among those that are
// allowed. The zero value passes.
func (h Hosts) AllowCDN(c task.CDN) error {
	if !c.Set() {
		return nil
	}
	u := c.URL()
	switch {
	case u == nil:
		return invalid(CodeCDN, "the CDN's domain or protocol cannot be read", "write HOST or HOST:PORT, and http or https")
	case c.Authentication != "" && !slices.Contains(task.Authentications, c.Authentication):
		return invalid(CodeCDN, "authentication "+strconv.Quote(string(c.Authentication))+" of a CDN is not done here", "see docs/clients/oms.md for those that are")
	case !h.Has(u):
		return invalid(CodeCDNHost, "objects may not be read from the domain "+strconv.Quote(u.Host), "have the operator serve with --oms-allow-host "+u.Host+", on every process")
	}
	return nil
}

// checkCDN checks the CDN of a task that is made or started with given credentials.
func (c *Control) checkCDN(ctx context.Context, who Caller, k task.Task, g *Given) error {
	via := k.Options.SourceCDN
	if err := c.cfg.Hosts.AllowCDN(via); err != nil {
		return err
	}
	if g == nil {
		g = &Given{}
	}
	if via.Authentication.NeedsKey() && g.CDNKey.Empty() {
		return errCDNKey(via)
	}
	if via.Authentication != task.QiniuPrivate || g.Source.AccessKey != "" {
		return nil
	}
	e, err := c.endpoint(ctx, who, k.Source.Endpoint)
	if err != nil {
		return err
	}
	own, err := OpenCredentials(c.cfg.Box, e)
	if err == nil && own.AccessKey == "" {
		err = errCDNKey(via)
	}
	return err
}

func errCDNKey(via task.CDN) error {
	return invalid(CodeCDNKey, "authentication "+string(via.Authentication)+" of a CDN needs a key", "give it through the OMS API: authentication_key with a new task, source_cdn_authentication_key at start")
}

// domain admits a client to a bucket and to a CDN in front of it.
func (c *Control) domain(ctx context.Context, who Caller, l task.Location, k Credentials, via SourceCDN) (b objstore.Bucket, d Domain, leave func(), err error) {
	if k, err = c.visiting(ctx, who, l.Endpoint, k); err != nil {
		return nil, nil, nil, err
	}
	if err := c.cfg.Hosts.AllowCDN(via.CDN); err != nil {
		return nil, nil, nil, err
	}
	if via.Authentication.NeedsKey() && via.Key.Empty() {
		return nil, nil, nil, errCDNKey(via.CDN)
	}
	domains, ok := c.cfg.Stores.(Domains)
	if !ok {
		return nil, nil, nil, &task.Error{Kind: task.Unavailable, Code: "NO_STORES", Text: "this process asks no domains", Next: "ask a process of role all", Err: errNoGuests}
	}
	if d, err = domains.Domain(ctx, who.Project, l.Endpoint, k, via); err != nil {
		return nil, nil, nil, err
	}
	b, done, err := c.cfg.Stores.(Visits).Visit(ctx, who.Project, l, k)
	if err != nil {
		d.Close()
		return nil, nil, nil, storeError("the bucket cannot be opened", err)
	}
	return b, d, func() { done(); d.Close() }, nil
}

// cdnSample is how many objects of a bucket are looked for at a domain when a client
// names none.
const cdnSample = 3

// ProbeCDN asks whether a domain serves objects of a bucket: one of its first must come.
// Of an empty bucket the domain must merely answer.
func (c *Control) ProbeCDN(ctx context.Context, who Caller, l task.Location, k Credentials, via SourceCDN) error {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	b, d, leave, err := c.domain(ctx, who, l, k, via)
	if err != nil {
		return err
	}
	defer leave()
	some, err := firstObjects(ctx, b, "", cdnSample)
	if err != nil {
		return storeError("the bucket cannot be listed", err)
	}
	if len(some) == 0 {
		_, err = d.Look(ctx, l.Prefix+".lockstep-check")
		if errors.Is(err, objstore.ErrNotFound) || errors.Is(err, objstore.ErrDenied) {
			err = nil // a store that may not be listed denies what it does not have
		}
	}
	for _, o := range some {
		if _, err = d.Look(ctx, l.Prefix+o.Key); err == nil {
			break
		}
	}
	if err == nil {
		return nil
	}
	return &task.Error{
		Kind: task.Invalid, Code: CodeCDNRefused, Err: err,
		Text: "the domain " + strconv.Quote(via.Domain) + " does not serve the objects of the bucket: it answers " + storeCode(err),
		Next: "check the domain, its protocol and its authentication",
	}
}

// firstObjects returns the first objects of a bucket whose keys begin with prefix.
func firstObjects(ctx context.Context, b objstore.Bucket, prefix string, n int) (out []objstore.Object, err error) {
	for page, err := range b.List(ctx, objstore.ListOptions{Prefix: prefix, PageSize: n}) {
		if err != nil {
			return nil, err
		}
		for _, o := range page.Objects {
			if len(out) == n {
				return out, nil
			}
			o.Key, o.ETag = strings.Clone(o.Key), strings.Clone(o.ETag)
			out = append(out, o)
		}
	}
	return out, nil
}

// CDNReport is what a domain was found to serve.
type CDNReport struct {
	// Readable: an object could be read.
	Readable bool
	// Same: an object came that is the bucket's. A domain in front of something else
	// could not have it.
	Same bool
	Keys []CDNKey
}

// CDNKey is one object that was looked for.
type CDNKey struct {
	Key    string
	Exists bool // the bucket has it, and the domain serves something under its key
	Equal  bool // both say the same ETag
}

// LookAtCDN looks for objects of a bucket at a domain. Each of keys stands for the first
// object whose key begins with it, which is the one of that very key where there is one.
// Without keys the bucket's first objects are looked for.
func (c *Control) LookAtCDN(ctx context.Context, who Caller, l task.Location, k Credentials, via SourceCDN, keys []string) (CDNReport, error) {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	b, d, leave, err := c.domain(ctx, who, l, k, via)
	if err != nil {
		return CDNReport{}, err
	}
	defer leave()
	if len(keys) == 0 {
		some, err := firstObjects(ctx, b, "", cdnSample)
		if err != nil {
			return CDNReport{}, storeError("the bucket cannot be listed", err)
		}
		for _, o := range some {
			keys = append(keys, o.Key)
		}
	}
	out := CDNReport{Keys: make([]CDNKey, len(keys))}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, key := range keys {
		g.Go(func() (err error) {
			out.Keys[i], err = lookAt(ctx, b, d, l.Prefix, key)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return CDNReport{}, storeError("the bucket cannot be listed", err)
	}
	for _, k := range out.Keys {
		out.Readable, out.Same = out.Readable || k.Exists, out.Same || k.Equal
	}
	return out, nil
}

// lookAt looks for one object. That a domain refuses is an answer; the error is the
// bucket's.
func lookAt(ctx context.Context, b objstore.Bucket, d Domain, prefix, key string) (CDNKey, error) {
	found, err := firstObjects(ctx, b, key, 1)
	if err != nil || len(found) == 0 {
		return CDNKey{Key: key}, err
	}
	here := found[0]
	there, err := d.Look(ctx, prefix+here.Key)
	if err != nil {
		return CDNKey{Key: here.Key}, ctx.Err()
	}
	same := here.ETag != "" && strings.EqualFold(here.ETag, there.ETag) && (there.Size < 0 || there.Size == here.Size)
	return CDNKey{Key: here.Key, Exists: true, Equal: same}, nil
}
