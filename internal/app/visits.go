package app

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
	"github.com/lockstep-sync/lockstep/internal/worker"
)

var _ control.Visits = (*registry)(nil)

// Visit implements control.Visits. What is opened for one visit is closed after it: the
// credentials of clients are kept nowhere.
func (r *registry) Visit(ctx context.Context, project task.ProjectID, l task.Location, k control.Credentials) (objstore.Bucket, func(), error) {
	e, leave, err := r.visited(ctx, project, l.Endpoint, k)
	if err != nil {
		return nil, nil, err
	}
	b, err := e.bucket(ctx, l.Bucket)
	if err != nil {
		leave()
		return nil, nil, err
	}
	return objstore.Sub(b, l.Prefix), leave, nil
}

// Buckets implements control.Visits.
func (r *registry) Buckets(ctx context.Context, project task.ProjectID, id task.EndpointID, k control.Credentials) ([]string, error) {
	e, leave, err := r.visited(ctx, project, id, k)
	if err != nil {
		return nil, err
	}
	defer leave()
	return e.driver.buckets(ctx)
}

// visited is an endpoint as a visitor with credentials sees it.
func (r *registry) visited(ctx context.Context, project task.ProjectID, id task.EndpointID, k control.Credentials) (*openEndpoint, func(), error) {
	e, err := r.endpoint(ctx, project, id)
	if err != nil || k.AccessKey == "" {
		return e, func() {}, err
	}
	own, err := r.openEndpointAs(e, k)
	if err != nil {
		return nil, nil, err
	}
	return own, func() { _ = own.close() }, nil // idle connections alone
}

// openEndpointAs is an endpoint with other credentials and the same limits.
func (r *registry) openEndpointAs(e *openEndpoint, k control.Credentials) (*openEndpoint, error) {
	opt, err := parseEndpointOptions(e.row.Options)
	if err != nil {
		return nil, err
	}
	d, err := r.newDriver(e.row, opt, k)
	if err != nil {
		return nil, err
	}
	return &openEndpoint{row: e.row, driver: d, buckets: map[string]*openBucket{}, limits: e.limits}, nil
}

// maxGuests bounds the sets of credentials an endpoint is open with; above it all are
// opened anew when they are used.
const maxGuests = 1000

// as is an endpoint with the credentials that a task keeps for it: the same value while
// both stay the same.
func (r *registry) as(e *openEndpoint, k control.Credentials) (*openEndpoint, error) {
	if k.AccessKey == "" {
		return e, nil
	}
	text, err := json.Marshal([]string{k.AccessKey, k.SecretKey.Reveal(), k.SessionToken.Reveal()})
	if err != nil {
		return nil, err
	}
	name := sha256.Sum256(text)
	e.mu.Lock()
	defer e.mu.Unlock()
	if g := e.guests[name]; g != nil {
		return g, nil
	}
	g, err := r.openEndpointAs(e, k)
	if err != nil {
		return nil, err
	}
	if e.guests == nil || len(e.guests) >= maxGuests {
		e.guests = map[[sha256.Size]byte]*openEndpoint{}
	}
	e.guests[name] = g
	return g, nil
}

// listsAfterStop is how long the buckets of a task that was stopped without credentials
// stay open here, for its lists: an open job closes within five minutes.
const listsAfterStop = 15 * time.Minute

// forgotten says whether a task has been stopped and its credentials dropped, while its
// ends are still open with them and may write its lists.
func forgotten(known *openEnds, k task.Task) bool {
	return known != nil && len(known.ends.Task.Sealed) > 0 && len(k.Sealed) == 0 && k.State == task.Stopped &&
		known.ends.Task.Source == k.Source && known.ends.Task.Destination == k.Destination && time.Since(k.ChangedAt) < listsAfterStop
}

// stopped are the ends as they were opened, of the task as it is now. The task keeps
// the mark of its credentials, so that it stays forgotten.
func (o *openEnds) stopped(k task.Task) *openEnds {
	if o.ends.Task.Version == k.Version {
		return o
	}
	ends := *o.ends
	k.Sealed = ends.Task.Sealed
	ends.Task = k
	return &openEnds{ends: &ends, src: o.src, dst: o.dst}
}

// drop forgets the ends of a deleted task, unless they are needed for its lists.
func (r *registry) drop(ctx context.Context, id task.ID) {
	k, err := r.store.AnyTask(ctx, id)
	if err != nil && task.KindOf(err) != task.NotFound {
		return // nobody knows
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.ends[id]; err != nil || !forgotten(known, k) {
		delete(r.ends, id)
	}
}

// listStores opens tasks for their lists: deleted ones too, whose lists may still wait,
// and those whose source cannot be opened, since lists are at the destination.
type listStores struct{ *registry }

// Open implements worker.Stores. Ends that nobody works with have no sides but Lists.
func (s listStores) Open(ctx context.Context, id task.ID) (*worker.Ends, error) {
	if s.known(id) != nil {
		if ends, err := s.registry.Open(ctx, id); err == nil {
			return ends, nil
		}
	}
	read := time.Now()
	k, err := s.store.AnyTask(ctx, id)
	if err != nil {
		return nil, err
	}
	if forgotten(s.known(id), k) {
		return s.openTask(ctx, k, read)
	}
	given, err := control.OpenGiven(s.box, k)
	if err != nil {
		return nil, err
	}
	dst, err := s.endpoint(ctx, k.Project, k.Destination.Endpoint)
	if err != nil {
		return nil, err
	}
	if dst, err = s.as(dst, given.Destination); err != nil {
		return nil, err
	}
	to, err := dst.bucket(ctx, k.Destination.Bucket)
	if err != nil {
		return nil, worker.Refused(k, transfer.Destination, err)
	}
	return &worker.Ends{Task: k, Lists: to}, nil
}

// known are the ends of a task as they are open now; nil: they are not.
func (r *registry) known(id task.ID) *openEnds {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ends[id]
}
