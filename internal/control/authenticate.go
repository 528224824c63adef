package control

import (
	"bytes"
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// staleKeys is how long access keys are believed while the database cannot be read.
const staleKeys = 5 * time.Minute

// strangersWait bounds how often an unknown id makes the keys be read again: it may have
// been made on another node just now, or be a stranger's guess.
const strangersWait = time.Second

// keyring holds all access keys in memory, so that a request costs no read of the
// database. It is read again when it is older than Config.KeysFresh.
type keyring struct {
	c *Control

	mu     sync.RWMutex
	keys   map[task.KeyID]*ringKey
	readAt time.Time // zero: never

	reading sync.Mutex // one reader of the database at a time
}

type ringKey struct {
	task.AccessKey
	secret  secret.String
	limiter *rate.Limiter // nil: no limit
}

func (r *keyring) init(c *Control) { r.c = c }

// get returns the key of an id, nil when there is none.
func (r *keyring) get(ctx context.Context, id task.KeyID) (*ringKey, error) {
	k, age, read := r.look(id)
	limit := r.c.cfg.KeysFresh
	if k == nil {
		limit = min(limit, strangersWait)
	}
	if read && age < limit {
		return k, nil
	}
	err := r.refresh(ctx, limit)
	if k, age, read = r.look(id); err != nil && (!read || age > staleKeys) {
		return nil, &task.Error{
			Kind: task.Unavailable, Code: "KEYS_UNAVAILABLE", Text: "access keys cannot be read now",
			Next: "try again in a few seconds", Err: err,
		}
	}
	return k, nil
}

func (r *keyring) look(id task.KeyID) (k *ringKey, age time.Duration, read bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[id], r.c.cfg.Now().Sub(r.readAt), !r.readAt.IsZero()
}

// refresh reads the keys unless somebody did within age.
func (r *keyring) refresh(ctx context.Context, age time.Duration) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	if _, since, read := r.look(""); read && since < age {
		return nil
	}
	now := r.c.cfg.Now()
	all, err := r.c.store.Keys(ctx, "")
	if err != nil {
		return err
	}
	r.mu.RLock()
	old := r.keys
	r.mu.RUnlock()
	next := make(map[task.KeyID]*ringKey, len(all))
	for _, k := range all {
		if was := old[k.ID]; was != nil && bytes.Equal(was.Sealed, k.Sealed) && was.Role == k.Role && was.ExpiresAt.Equal(k.ExpiresAt) {
			next[k.ID] = was
		} else if n, err := r.c.openKey(k); err == nil {
			next[k.ID] = n
		} // else it was sealed with another key, and opens nothing
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.readAt = next, now
	return nil
}

// forget makes the next request read the keys.
func (r *keyring) forget() {
	r.reading.Lock() // a reader that began before the change ends first
	defer r.reading.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readAt = time.Time{}
}

func (c *Control) openKey(k task.AccessKey) (*ringKey, error) {
	plain, err := c.cfg.Box.Open(keyPurpose(k.ID), k.Sealed)
	if err != nil {
		return nil, err
	}
	n := &ringKey{AccessKey: k, secret: secret.New(string(plain))}
	if c.cfg.KeyRate > 0 {
		n.limiter = rate.NewLimiter(rate.Limit(c.cfg.KeyRate), max(1, int(2*c.cfg.KeyRate)))
	}
	return n, nil
}

var errBadCredentials = &task.Error{
	Kind: task.Denied, Code: CodeBadCredentials, Text: "the access key is unknown, expired, or its secret is wrong",
	Next: "check LOCKSTEP_ACCESS_KEY and LOCKSTEP_SECRET_KEY",
}

// Authenticate says who has this access key. It takes the same time for a wrong secret
// as for an unknown id. Denied: nobody has, or it has expired; Unavailable: the key
// makes too many requests, or keys cannot be read.
func (c *Control) Authenticate(ctx context.Context, id, given string) (Caller, error) {
	k, err := c.keys.get(ctx, task.KeyID(id))
	if err != nil {
		return Caller{}, err
	}
	var want secret.String
	if k != nil {
		want = k.secret
	}
	if !want.Matches(given) || k == nil {
		return Caller{}, errBadCredentials
	}
	return c.enter(k)
}

// enter lets a key in that is neither expired nor over its rate.
func (c *Control) enter(k *ringKey) (Caller, error) {
	now := c.cfg.Now()
	if k.expired(now) {
		return Caller{}, errBadCredentials
	}
	if k.limiter != nil && !k.limiter.AllowN(now, 1) {
		return Caller{}, &task.Error{
			Kind: task.Unavailable, Code: CodeRateLimited, Text: "this access key makes too many requests",
			Next: "try again in a second, with more keys in each request",
		}
	}
	return Caller{Project: k.Project, Role: k.Role, Actor: task.Actor{Key: k.ID}}, nil
}
