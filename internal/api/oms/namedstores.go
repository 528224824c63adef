package oms

import (
	"context"
	"sync"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// namedStores are the stores that requests in flight named by their address. Such a store
// is registered to be asked, and no longer than it is of use: the last request that named
// it takes it away again, unless a task is at it.
type namedStores struct {
	mu  sync.Mutex // held while one is registered or taken away
	all map[storeName]namedStore
}

type storeName struct {
	project task.ProjectID
	id      task.EndpointID
}

type namedStore struct {
	requests int
	made     bool // by one of these
}

// named registers a store for the time of a request.
func (a *API) named(r *request, e control.NewEndpoint) (task.Endpoint, error) {
	n := &a.stores
	n.mu.Lock()
	defer n.mu.Unlock()
	out, made, err := a.control.EndpointAt(r.ctx(), r.who, e)
	if err != nil {
		return out, err
	}
	if n.all == nil {
		n.all = map[storeName]namedStore{}
	}
	name := storeName{r.who.Project, e.ID}
	s := n.all[name]
	n.all[name] = namedStore{s.requests + 1, s.made || made}
	r.named = append(r.named, e)
	return out, nil
}

// keepNamed registers the stores of a task that was made once more: another process may
// have found that nothing used them a moment before.
func (a *API) keepNamed(r *request) error {
	for _, e := range r.named {
		if _, _, err := a.control.EndpointAt(r.ctx(), r.who, e); err != nil {
			return err
		}
	}
	return nil
}

// leaveNamed ends what a request has to do with the stores it named, whether its client
// still waits or not.
func (a *API) leaveNamed(ctx context.Context, r *request) {
	n := &a.stores
	for _, e := range r.named {
		n.mu.Lock()
		name := storeName{r.who.Project, e.ID}
		s := n.all[name]
		if s.requests--; s.requests > 0 {
			n.all[name] = s
		} else {
			delete(n.all, name)
			if s.made {
				a.drop(context.WithoutCancel(ctx), r, e.ID)
			}
		}
		n.mu.Unlock()
	}
}

// drop takes a store away that no task uses.
func (a *API) drop(ctx context.Context, r *request, id task.EndpointID) {
	if err := a.control.DropEndpointAt(ctx, r.who, id); err != nil {
		a.log.WarnContext(ctx, "a store that a client named stays registered", "endpoint", id, "err", err)
	}
}
