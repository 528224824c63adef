package control

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// nobodysSecret stands in for that of an unknown access key.
var nobodysSecret = secret.New("no access key has this secret")

// AuthenticateSigned says who signed a request: the owner of the access key, when verify
// holds for its secret. For an unknown id verify is asked too, so that it takes the same
// time. Only requests that verify count towards the rate of the key: strangers who know
// an id cannot use it up. Errors are those of Authenticate.
func (c *Control) AuthenticateSigned(ctx context.Context, id task.KeyID, verify func(secret.String) bool) (Caller, error) {
	k, err := c.keys.get(ctx, id)
	if err != nil {
		return Caller{}, err
	}
	s := nobodysSecret
	if k != nil {
		s = k.secret
	}
	if !verify(s) || k == nil {
		return Caller{}, errBadCredentials
	}
	return c.enter(k)
}
