package native

import (
	"context"
	"net/http"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// NewKey is an access key to be made.
type NewKey struct {
	Name      string     `json:"name,omitempty"`
	Role      task.Role  `json:"role" enum:"viewer,event-only,operator,admin"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

func (a *API) keys() {
	const tag = "keys"
	create := at(http.MethodPost, "/keys", "createKey", "Make an access key; its secret is shown this once", tag)
	create.DefaultStatus = http.StatusCreated
	add(a, create, func(ctx context.Context, who control.Caller, in *body[NewKey]) (*body[AccessKey], error) {
		n := control.NewKey{Name: in.Body.Name, Role: in.Body.Role}
		if in.Body.ExpiresAt != nil {
			n.ExpiresAt = *in.Body.ExpiresAt
		}
		k, secret, err := a.control.CreateKey(ctx, who, n)
		out := accessKeyOf(k)
		out.Secret = secret.Reveal()
		return &body[AccessKey]{out}, err
	})
	add(a, at(http.MethodGet, "/keys", "listKeys", "The project's access keys", tag),
		func(ctx context.Context, who control.Caller, _ *none) (*body[Page[AccessKey]], error) {
			all, err := a.control.Keys(ctx, who)
			return &body[Page[AccessKey]]{pageOf(all, len(all), accessKeyOf, nil)}, err
		})
	add(a, at(http.MethodDelete, "/keys/{id}", "deleteKey", "Take an access key away", tag),
		func(ctx context.Context, who control.Caller, in *struct {
			ID string `path:"id"`
		},
		) (*none, error) {
			return &none{}, a.control.DeleteKey(ctx, who, task.KeyID(in.ID))
		})
}
