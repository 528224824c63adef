package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
)

func (r *remote) appCommand() *cobra.Command {
	var name string
	create := r.leaf("add DID", "Let an app report its syncs through the DID Spaces API", "  lockstep app add did:abt:zNK… --name Photos", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			var answer json.RawMessage
			if err := api.Post(ctx, "/apps", map[string]any{"did": args[0], "name": name}, &answer); err != nil {
				return err
			}
			return show(r, answer, func(a native.App) error {
				_, err := fmt.Fprintf(r.stdout, "%s may report its syncs; its client's endpoint is ADDRESS/api/space/SPACE/app/%s/object/\n", a.DID, a.DID)
				return err
			})
		})
	create.Flags().StringVar(&name, "name", "", "what people call it")
	list := r.leaf("list", "The apps that may report", "  lockstep app list", cobra.NoArgs,
		func(ctx context.Context, api *client.Client, _ []string) error {
			items, err := api.All(ctx, "/apps")
			if err != nil {
				return err
			}
			return showList(r, items, "DID NAME REGISTERED", func(a native.App) []any {
				return []any{a.DID, dash(a.Name), a.CreatedAt.Local().Format(time.DateTime)}
			})
		})
	remove := r.leaf("remove DID", "Let an app report no more; what it reported stays", "  lockstep app remove zNK…", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			return api.Do(ctx, "DELETE", in("/apps/%s", args[0]), nil, nil)
		})
	return commands("app", "Registers apps that sync by themselves and report it", create, list, remove)
}
