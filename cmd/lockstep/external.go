package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
)

func (r *remote) externalCommand() *cobra.Command {
	list := r.leaf("list", "Connectors and apps that report, and whether they are late", "  lockstep external list", cobra.NoArgs,
		func(ctx context.Context, api *client.Client, _ []string) error {
			var page struct{ Items []json.RawMessage }
			if err := api.Get(ctx, "/external?"+url.Values{"limit": {"1000"}}.Encode(), &page); err != nil {
				return err
			}
			return showList(r, page.Items, "REPORTS THROUGH STATUS", func(e native.External) []any {
				return []any{printable(externalName(e)), e.Origin, externalStatus(e)}
			})
		})
	return commands("external", "Shows what other programs sync and report", list)
}

func externalName(e native.External) string {
	if e.Name != "" {
		return e.Name
	}
	return e.Subject
}

// externalStatus says when the last sync was, and whether that is too long ago.
func externalStatus(e native.External) string {
	text := "last synced " + ago(e.SucceededAt)
	if e.SucceededAt == nil {
		text = "never synced"
	}
	if e.Every > 0 {
		text += ", expected every " + formatDuration(time.Duration(e.Every*float64(time.Second)))
	}
	if e.Late {
		text += ": late"
	}
	return text
}

// statusExternal names what other programs should have synced by now.
func (r *remote) statusExternal(ctx context.Context, api *client.Client) error {
	var page native.Page[native.External]
	if err := api.Get(ctx, "/external", &page); err != nil {
		return err
	}
	for _, e := range page.Items {
		if e.Late {
			fmt.Fprintf(r.stdout, "%s (%s): %s\n", printable(externalName(e)), e.Origin, externalStatus(e))
		}
	}
	return nil
}
