package native

import (
	"context"
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/control"
)

// NewHook says whether a hook that is there is replaced.
type NewHook struct {
	Rotate bool `json:"rotate,omitempty" doc:"Replace the token the task has, which then opens nothing"`
}

// Hook is where a store tells of changes of a task. It is shown this once.
type Hook struct {
	Token string `json:"token" doc:"Shown this once; may be sent to /hooks/s3 as Authorization: Bearer instead"`
	Path  string `json:"path" doc:"Below the address of the service"`
}

func (a *API) hooks() {
	const tag = "hooks"
	create := at(http.MethodPost, "/tasks/{task}/hook", "putHook", "Make an address for S3 event notifications", tag)
	create.DefaultStatus = http.StatusCreated
	add(a, create, func(ctx context.Context, who control.Caller, in *struct {
		ByTask
		Body *NewHook
	},
	) (*body[Hook], error) {
		_, token, err := a.control.PutHook(ctx, who, in.Task, in.Body != nil && in.Body.Rotate)
		return &body[Hook]{Hook{token.Reveal(), "/hooks/s3/" + token.Reveal()}}, err
	})
	add(a, at(http.MethodDelete, "/tasks/{task}/hook", "deleteHook", "Take that address away", tag),
		func(ctx context.Context, who control.Caller, in *ByTask) (*none, error) {
			return &none{}, a.control.DeleteHook(ctx, who, in.Task)
		})
}
