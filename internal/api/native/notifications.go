package native

import (
	"context"
	"net/http"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// NewNotification says where to tell of trouble.
type NewNotification struct {
	URL    string             `json:"url" doc:"Where notices are posted to"`
	Events []task.NoticeEvent `json:"events,omitempty" nullable:"false" doc:"job.failed, guard.stopped, schedule.skipped, recovered; none: all"`
}

// Notification is one as clients get it. Secret is there once, when it was made.
type Notification struct {
	ID        string             `json:"id"`
	URL       string             `json:"url"`
	Events    []task.NoticeEvent `json:"events"`
	Secret    string             `json:"secret,omitempty" doc:"Notices are signed with it; shown this once"`
	CreatedAt time.Time          `json:"created_at"`
	SentAt    *time.Time         `json:"sent_at,omitempty" doc:"When the last notice arrived"`
	Error     string             `json:"error,omitempty" doc:"Why the last attempt failed"`
}

func notificationOf(n task.Notification) Notification {
	if n.Events == nil {
		n.Events = []task.NoticeEvent{}
	}
	return Notification{ID: n.ID, URL: n.URL, Events: n.Events, CreatedAt: n.CreatedAt.UTC(), SentAt: when(n.SentAt), Error: n.Error}
}

func (a *API) notifications() {
	const tag = "notifications"
	create := at(http.MethodPost, "/notifications", "createNotification", "Be told of trouble", tag)
	create.Description = "Lockstep-Signature is t=SECONDS,v1=HEX: the HMAC-SHA256, by the secret, of SECONDS, a dot and the body."
	create.DefaultStatus = http.StatusCreated
	add(a, create, func(ctx context.Context, who control.Caller, in *body[NewNotification]) (*body[Notification], error) {
		n, key, err := a.control.CreateNotification(ctx, who, in.Body.URL, in.Body.Events)
		out := notificationOf(n)
		out.Secret = key.Reveal()
		return &body[Notification]{out}, err
	})
	add(a, at(http.MethodGet, "/notifications", "listNotifications", "Where the project is told of trouble", tag),
		func(ctx context.Context, who control.Caller, _ *none) (*body[Page[Notification]], error) {
			all, err := a.control.Notifications(ctx, who)
			return &body[Page[Notification]]{pageOf(all, len(all), notificationOf, nil)}, err
		})
	add(a, at(http.MethodDelete, "/notifications/{id}", "deleteNotification", "Be told there no longer", tag),
		func(ctx context.Context, who control.Caller, in *struct {
			ID string `path:"id"`
		},
		) (*none, error) {
			return &none{}, a.control.DeleteNotification(ctx, who, in.ID)
		})
}
