package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (r *remote) keyCommand() *cobra.Command {
	var role, name string
	var days int
	create := r.leaf("create --role ROLE", "Make an access key; its secret is printed this once", "  lockstep key create --role event-only --name 'camera 7'", cobra.NoArgs,
		func(ctx context.Context, api *client.Client, _ []string) error {
			body := map[string]any{"role": role, "name": name}
			if days < 0 {
				return &task.Error{Kind: task.Invalid, Code: "BAD_EXPIRY", Text: "the access key would have expired already", Next: "give --days a number above 0, or leave it out for a key that does not expire"}
			}
			if days > 0 {
				body["expires_at"] = time.Now().Add(time.Duration(days) * 24 * time.Hour).UTC()
			}
			var answer json.RawMessage
			if err := api.Post(ctx, "/keys", body, &answer); err != nil {
				return err
			}
			return show(r, answer, func(k native.AccessKey) error {
				_, err := fmt.Fprintf(r.stdout, "LOCKSTEP_ACCESS_KEY=%s\nLOCKSTEP_SECRET_KEY=%s\n", k.ID, k.Secret)
				return err
			})
		})
	create.Flags().StringVar(&role, "role", "", "viewer, event-only, operator, admin")
	create.Flags().StringVar(&name, "name", "", "what it is for")
	create.Flags().IntVar(&days, "days", 0, "days until it expires (default never)")
	_ = create.MarkFlagRequired("role")
	list := r.leaf("list", "The access keys of the project, without their secrets", "  lockstep key list", cobra.NoArgs,
		func(ctx context.Context, api *client.Client, _ []string) error {
			items, err := api.All(ctx, "/keys")
			if err != nil {
				return err
			}
			return showList(r, items, "ID ROLE NAME CREATED EXPIRES", func(k native.AccessKey) []any {
				expires := "never"
				if k.ExpiresAt != nil {
					expires = k.ExpiresAt.Local().Format(time.DateTime)
				}
				return []any{k.ID, k.Role, dash(k.Name), k.CreatedAt.Local().Format(time.DateTime), expires}
			})
		})
	remove := r.leaf("delete KEY", "Take an access key away; its requests are refused at once", "  lockstep key delete KEY", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			return api.Do(ctx, "DELETE", in("/keys/%s", args[0]), nil, nil)
		})
	return commands("key", "Makes and takes away access keys", create, list, remove, r.keyToken())
}

// keyToken makes what clients that cannot sign send instead of a signature.
func (r *remote) keyToken() *cobra.Command {
	var ttl time.Duration
	cmd := r.leaf("token KEY [--ttl 24h]", "Make a token that lets in as the access key does, for a time; it ends with the key",
		"  curl -H \"X-Auth-Token: $(lockstep key token KEY)\" $LOCKSTEP_URL/v2/PROJECT/sync-tasks", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			if ttl < time.Second {
				return &task.Error{Kind: task.Invalid, Code: "BAD_TTL", Text: "--ttl is less than a second", Next: "name a time like 24h or 30m"}
			}
			var answer json.RawMessage
			if err := api.Post(ctx, in("/keys/%s/token", args[0]), map[string]int64{"ttl_seconds": int64(ttl / time.Second)}, &answer); err != nil {
				return err
			}
			return show(r, answer, func(t native.Token) error {
				_, err := fmt.Fprintln(r.stdout, t.Token)
				if err == nil && r.terminal != nil {
					_, err = fmt.Fprintf(r.stderr, "good until %s\n", t.ExpiresAt.Local().Format(time.DateTime))
				}
				return err
			})
		})
	cmd.Flags().DurationVar(&ttl, "ttl", 24*time.Hour, "how long it is good, at most 366 days")
	return cmd
}
