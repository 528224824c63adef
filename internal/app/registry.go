package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/limit"
	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
	"github.com/lockstep-sync/lockstep/internal/worker"
)

// registryStore is what a registry reads of the database.
type registryStore interface {
	Task(ctx context.Context, id task.ID) (task.Task, error)
	AnyTask(ctx context.Context, id task.ID) (task.Task, error)
	Endpoint(ctx context.Context, project task.ProjectID, id task.EndpointID) (task.Endpoint, error)
	EverTask(ctx context.Context, id task.ID) (bool, error)
}

// fresh is how long a task or an endpoint is taken as it was read: changes by other
// nodes reach the work within it, those of this process at once (changingStore). Reading
// both for every slice would cost more than the slice.
const fresh = 250 * time.Millisecond

// registry opens the buckets of registered endpoints, for workers (as the two ends of
// a task) and for clients (to look at a bucket). A bucket is opened once for each
// version of its endpoint; buckets of one endpoint share its limits.
type registry struct {
	store registryStore
	box   *secret.Box
	log   *slog.Logger
	skew  time.Duration // allowed when copies are checked

	flight singleflight.Group
	mu     sync.Mutex
	ends   map[task.ID]*openEnds
	stores map[endpointName]*openEndpoint

	hosts    control.Hosts // whose domains may be CDNs of sources
	domains  sync.Map      // address → *domain
	ours     sync.Map      // task.ID → true: there is, or was, such a task
	memories sync.Map      // endpointName → *mem.Service: stores that end with the process
	paces    sync.Map      // task.ID → *limit.Pace: bandwidth, which outlives versions of a task
}

type endpointName struct {
	project task.ProjectID
	id      task.EndpointID
}

// openEnds are the ends of one version of a task between versions of its endpoints.
type openEnds struct {
	ends     *worker.Ends
	src, dst *openEndpoint
	read     time.Time
}

func newRegistry(store registryStore, box *secret.Box, log *slog.Logger) *registry {
	return &registry{store: store, box: box, log: log, ends: map[task.ID]*openEnds{}, stores: map[endpointName]*openEndpoint{}}
}

var _ worker.Stores = (*registry)(nil)

// Open implements worker.Stores.
func (r *registry) Open(ctx context.Context, id task.ID) (*worker.Ends, error) {
	var read time.Time
	r.mu.Lock()
	known := r.ends[id]
	if known != nil {
		read = known.read
	}
	r.mu.Unlock()
	if known != nil && time.Since(read) < fresh {
		return known.ends, nil
	}
	v, err, _ := r.flight.Do("task:"+string(id), func() (any, error) { return r.open(ctx, id) })
	if err != nil {
		return nil, err
	}
	return v.(*worker.Ends), nil
}

func (r *registry) open(ctx context.Context, id task.ID) (*worker.Ends, error) {
	read := time.Now()
	k, err := r.store.Task(ctx, id)
	if err != nil {
		if task.KindOf(err) == task.NotFound {
			r.drop(ctx, id)
			r.paces.Delete(id)
		}
		return nil, err
	}
	return r.openTask(ctx, k, read)
}

// openTask opens the ends of a task that was read just now, unless they are open.
func (r *registry) openTask(ctx context.Context, k task.Task, read time.Time) (*worker.Ends, error) {
	id := k.ID
	src, err := r.endpoint(ctx, k.Project, k.Source.Endpoint)
	if err != nil {
		return nil, err
	}
	dst, err := r.endpoint(ctx, k.Project, k.Destination.Endpoint)
	if err != nil {
		return nil, err
	}
	given, err := control.OpenGiven(r.box, k)
	if err != nil {
		return nil, err
	}
	if src, err = r.as(src, given.Source); err != nil {
		return nil, err
	}
	if dst, err = r.as(dst, given.Destination); err != nil {
		return nil, err
	}
	r.mu.Lock()
	known := r.ends[id]
	r.mu.Unlock()
	switch {
	case forgotten(known, k):
		known, src, dst = known.stopped(k), known.src, known.dst
	case known == nil || known.ends.Task.Version != k.Version || known.src != src || known.dst != dst:
		if known, err = r.newEnds(ctx, k, src, dst); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[id] = &openEnds{ends: known.ends, src: src, dst: dst, read: read}
	return known.ends, nil
}

func (r *registry) newEnds(ctx context.Context, k task.Task, src, dst *openEndpoint) (*openEnds, error) {
	from, err := src.bucket(ctx, k.Source.Bucket)
	if err != nil {
		return nil, worker.Refused(k, transfer.Source, err)
	}
	if from, err = r.throughCDN(k, src, from); err != nil {
		return nil, err
	}
	to, err := dst.bucket(ctx, k.Destination.Bucket)
	if err != nil {
		return nil, worker.Refused(k, transfer.Destination, err)
	}
	if from, err = r.paced(k, from); err != nil {
		return nil, err
	}
	ends, err := worker.NewEnds(worker.EndsConfig{Task: k, Src: from, Dst: to, Ours: r.isOurs, VerifySkew: r.skew})
	if err != nil {
		return nil, err
	}
	return &openEnds{ends: ends, src: src, dst: dst}, nil
}

// isOurs says whether there is, or was, a task of that id. When the database cannot
// say, the answer is yes, and not kept: a list that is hidden for a moment does less
// harm than one that is synced.
func (r *registry) isOurs(id task.ID) bool {
	if known, ok := r.ours.Load(id); ok {
		return known.(bool)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // the question comes without a context
	defer cancel()
	is, err := r.store.EverTask(ctx, id)
	if err != nil {
		return true
	}
	if is { // a task that is not there now may be made later
		r.ours.Store(id, true)
	}
	return is
}

// Bucket implements control.Stores.
func (r *registry) Bucket(ctx context.Context, project task.ProjectID, l task.Location) (objstore.Bucket, error) {
	e, err := r.endpoint(ctx, project, l.Endpoint)
	if err != nil {
		return nil, err
	}
	b, err := e.bucket(ctx, l.Bucket)
	if err != nil {
		return nil, err
	}
	return objstore.Sub(b, l.Prefix), nil
}

// endpoint returns an endpoint as it is now: the same value until it changes.
func (r *registry) endpoint(ctx context.Context, project task.ProjectID, id task.EndpointID) (*openEndpoint, error) {
	name := endpointName{project, id}
	r.mu.Lock()
	known := r.stores[name]
	r.mu.Unlock()
	if known != nil && time.Since(known.read()) < fresh {
		return known, nil
	}
	v, err, _ := r.flight.Do("endpoint:"+string(project)+"/"+string(id), func() (any, error) {
		now := time.Now()
		e, err := r.store.Endpoint(ctx, project, id)
		if err != nil {
			return nil, err
		}
		if known == nil || known.row.Version != e.Version || !known.row.CreatedAt.Equal(e.CreatedAt) {
			next, err := r.newOpenEndpoint(e)
			if err != nil {
				return nil, err
			}
			if known != nil {
				next.limits = known.limits // how much the store bears did not change
			}
			known = next
		}
		known.setRead(now)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stores[name] = known
		return known, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*openEndpoint), nil
}

// patience of the requests of one attempt; what takes longer is tried again later.
var requestTries = retry.Policy{Attempts: 4, Base: 50 * time.Millisecond, Max: 2 * time.Second}

// wrap bounds and retries what a driver does.
func wrapDriver(b objstore.Bucket, limits *limit.Endpoint) objstore.Bucket {
	return retry.Wrap(limits.Wrap(b), requestTries)
}

// Close drops idle connections.
func (r *registry) Close() error {
	r.closeDomains()
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, e := range r.stores {
		errs = append(errs, e.close())
	}
	return errors.Join(errs...)
}

// changingStore is the database as clients change it: the registry of the same process
// hears of changes at once, so that a paused task does not go on for a moment.
type changingStore struct {
	*db.Store
	registry *registry
}

// ChangeTask implements control.Store.
func (s changingStore) ChangeTask(ctx context.Context, k task.Task, by task.Actor) (task.Task, error) {
	defer s.registry.forget(k.ID)
	n, err := s.Store.ChangeTask(ctx, k, by)
	if err == nil {
		s.registry.repace(n)
	}
	return n, err
}

// DeleteTask implements control.Store.
func (s changingStore) DeleteTask(ctx context.Context, id task.ID, by task.Actor) error {
	defer s.registry.forget(id)
	return s.Store.DeleteTask(ctx, id, by)
}

// PutEndpoint implements control.Store.
func (s changingStore) PutEndpoint(ctx context.Context, e task.Endpoint, by task.Actor) (task.Endpoint, error) {
	if _, err := parseEndpointOptions(e.Options); err != nil {
		return task.Endpoint{}, err
	}
	defer s.registry.forgetAll()
	return s.Store.PutEndpoint(ctx, e, by)
}

// forget has the task read again before it is used.
func (r *registry) forget(id task.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flight.Forget("task:" + string(id)) // one under way may have read what was before
	if known := r.ends[id]; known != nil {
		known.read = time.Time{}
	}
}

func (r *registry) forgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, known := range r.ends {
		known.read = time.Time{}
	}
	for _, e := range r.stores {
		e.setRead(time.Time{})
	}
}
