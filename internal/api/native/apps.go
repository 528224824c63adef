package native

import (
	"context"
	"net/http"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// NewApp is an app to be registered.
type NewApp struct {
	DID  string `json:"did" doc:"The app's DID, with or without did:abt:"`
	Name string `json:"name,omitempty"`
}

// App is an app that reports its own syncs to the project.
type App struct {
	DID       string    `json:"did"`
	Name      string    `json:"name,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

func appOf(a task.App) App { return App{a.DID, a.Name, a.CreatedAt.UTC()} }

func (a *API) apps() {
	const tag = "apps"
	create := at(http.MethodPost, "/apps", "registerApp", "Let an app report its syncs through the DID Spaces API", tag)
	create.Description = "Registering an app again changes its name, if one is given, and nothing else."
	create.DefaultStatus = http.StatusCreated
	add(a, create, func(ctx context.Context, who control.Caller, in *body[NewApp]) (*body[App], error) {
		made, _, err := a.control.RegisterApp(ctx, who, in.Body.DID, in.Body.Name)
		return &body[App]{appOf(made)}, err
	})
	add(a, at(http.MethodGet, "/apps", "listApps", "The project's apps", tag),
		func(ctx context.Context, who control.Caller, _ *none) (*body[Page[App]], error) {
			all, err := a.control.Apps(ctx, who)
			return &body[Page[App]]{pageOf(all, len(all), appOf, nil)}, err
		})
	add(a, at(http.MethodDelete, "/apps/{did}", "removeApp", "Let an app report no more; what it reported stays", tag),
		func(ctx context.Context, who control.Caller, in *struct {
			DID string `path:"did"`
		},
		) (*none, error) {
			return &none{}, a.control.RemoveApp(ctx, who, in.DID)
		})
}
