package app

import (
	"context"
	"fmt"
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/cdn"
	"github.com/lockstep-sync/lockstep/internal/objstore/limit"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
	"github.com/lockstep-sync/lockstep/internal/worker"
)

// domain is a domain of CDNs as this node uses it: tasks share its connections and limits.
type domain struct {
	connections *http.Transport
	limits      *limit.Endpoint
}

// domainAt returns the domain of an address.
func (r *registry) domainAt(address string) *domain {
	if v, known := r.domains.Load(address); known {
		return v.(*domain)
	}
	v, _ := r.domains.LoadOrStore(address, &domain{cdn.NewTransport(0), limit.New(limit.Config{})})
	return v.(*domain)
}

// throughCDN returns the source of a task with its bytes from the task's CDN, where it
// has one. The operator's list is asked again: a domain that is no longer on it, or not
// on this node's, is refused like a store that denies. A stopped task reads nothing, and
// may have lost the key of its CDN: it is opened for its lists.
func (r *registry) throughCDN(k task.Task, src *openEndpoint, from objstore.Bucket) (objstore.Bucket, error) {
	via := k.Options.SourceCDN
	if !via.Set() || k.State == task.Stopped {
		return from, nil
	}
	refused := func(err error) error {
		return worker.Refused(k, transfer.Source, fmt.Errorf("%w: %w", objstore.ErrDenied, err))
	}
	if err := r.hosts.AllowCDN(via); err != nil {
		return nil, refused(err)
	}
	given, err := control.OpenGiven(r.box, k)
	if err != nil {
		return nil, err
	}
	d := r.domainAt(via.URL().String())
	c, err := r.cdnClient(src, given.Source, control.SourceCDN{CDN: via, Key: given.CDNKey}, d.connections)
	if err != nil {
		return nil, refused(err)
	}
	return c.Wrap(from, cdn.Options{Gate: d.limits.Open, CountTags: !k.Options.PlainContent}), nil
}

// cdnClient makes a client of a CDN of an endpoint's bucket. nil connections: its own.
func (r *registry) cdnClient(src *openEndpoint, k control.Credentials, via control.SourceCDN, connections *http.Transport) (*cdn.Client, error) {
	if via.Authentication == task.QiniuPrivate && k.AccessKey == "" {
		var err error
		if k, err = control.OpenCredentials(r.box, src.row); err != nil {
			return nil, err
		}
	}
	return cdn.New(cdn.Config{
		URL: via.URL(), Authentication: string(via.Authentication), Key: via.Key.Reveal(),
		AccessKey: k.AccessKey, SecretKey: k.SecretKey.Reveal(), Transport: connections,
	})
}

var _ control.Domains = (*registry)(nil)

// Domain implements control.Domains. Its connections are its own, and end with it.
func (r *registry) Domain(ctx context.Context, project task.ProjectID, id task.EndpointID, k control.Credentials, via control.SourceCDN) (control.Domain, error) {
	e, err := r.endpoint(ctx, project, id)
	if err != nil {
		return nil, err
	}
	c, err := r.cdnClient(e, k, via, nil)
	if err != nil {
		return nil, &task.Error{Kind: task.Invalid, Code: control.CodeCDN, Text: "the CDN cannot be used: " + err.Error(), Next: "check its authentication and key", Err: err}
	}
	return c, nil
}

// closeDomains drops idle connections.
func (r *registry) closeDomains() {
	r.domains.Range(func(_, v any) bool {
		v.(*domain).connections.CloseIdleConnections()
		return true
	})
}
