package native

import (
	"context"
	"net/http"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// External is what another program syncs and reports: a connector, an app.
type External struct {
	Origin      task.Dialect `json:"origin" doc:"The API through which it is reported"`
	Subject     string       `json:"subject"`
	Name        string       `json:"name,omitempty"`
	Every       float64      `json:"every_seconds,omitempty" doc:"How often it is expected to sync; none when nobody said"`
	CreatedAt   time.Time    `json:"created_at"`
	ReportedAt  *time.Time   `json:"reported_at,omitempty" doc:"The last report of any kind"`
	SucceededAt *time.Time   `json:"succeeded_at,omitempty" doc:"The last sync that succeeded"`
	Late        bool         `json:"late" doc:"A sync is overdue by half of every_seconds, or more"`
}

func (a *API) externals() {
	add(a, at(http.MethodGet, "/external", "listExternal", "What other programs sync; those that reported last first", "results"),
		func(ctx context.Context, who control.Caller, in *struct {
			Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most items"`
		},
		) (*body[Page[External]], error) {
			all, err := a.control.ExternalSubjects(ctx, who, in.Limit)
			now := time.Now()
			return &body[Page[External]]{pageOf(all, len(all), func(s history.ExternalSubject) External {
				return External{
					Origin: s.Origin, Subject: s.ID, Name: s.Name, Every: s.Every.Seconds(), CreatedAt: s.CreatedAt.UTC(),
					ReportedAt: when(s.ReportedAt), SucceededAt: when(s.SucceededAt), Late: s.Late(now),
				}
			}, nil)}, err
		})
}
