package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// taskHook prints the address for a store's notifications, which is a secret.
func (r *remote) taskHook() *cobra.Command {
	var rotate, remove bool
	cmd := r.leaf("hook TASK [--rotate | --remove]", "Make an address for the source's S3 event notifications, and print it this once",
		"  lockstep task hook photos\n  lockstep task hook photos --rotate", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			switch {
			case rotate && remove:
				return &task.Error{Kind: task.Invalid, Code: "BAD_FLAGS", Text: "--rotate and --remove exclude each other", Next: "give one of them"}
			case remove:
				return api.Do(ctx, "DELETE", in("/tasks/%s/hook", args[0]), nil, nil)
			}
			var answer json.RawMessage
			if err := api.Post(ctx, in("/tasks/%s/hook", args[0]), native.NewHook{Rotate: rotate}, &answer); err != nil {
				return err
			}
			return show(r, answer, func(h native.Hook) error {
				_, err := fmt.Fprintln(r.stdout, api.Address()+h.Path)
				if err == nil && r.terminal != nil {
					_, err = fmt.Fprintln(r.stderr, "next: give it to the store (docs/triggers.md); who knows it can name keys of this task")
				}
				return err
			})
		})
	cmd.Flags().BoolVar(&rotate, "rotate", false, "replace the address the task has, which then opens nothing")
	cmd.Flags().BoolVar(&remove, "remove", false, "take the address away")
	return cmd
}
