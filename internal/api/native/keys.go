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

// NewToken asks for a token of an access key.
type NewToken struct {
	TTLSeconds int64 `json:"ttl_seconds,omitempty" minimum:"0" maximum:"31622400" doc:"0: 24 hours; never longer than the key"`
}

// Token lets a client in with one header, for a time.
type Token struct {
	Token     string    `json:"token" doc:"For X-Auth-Token; shown this once"`
	ExpiresAt time.Time `json:"expires_at"`
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
	token := at(http.MethodPost, "/keys/{id}/token", "issueToken", "Make a token that lets in as an access key does, for a time", tag)
	token.DefaultStatus = http.StatusCreated
	add(a, token, func(ctx context.Context, who control.Caller, in *struct {
		ID   string `path:"id"`
		Body NewToken
	},
	) (*body[Token], error) {
		t, expires, err := a.control.IssueToken(ctx, who, task.KeyID(in.ID), time.Duration(in.Body.TTLSeconds)*time.Second)
		return &body[Token]{Token{Token: t, ExpiresAt: expires}}, err
	})
}
