package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// taskURL prints where programs that speak OMS send the events of a task: no answer of
// that API says it.
func (r *remote) taskURL() *cobra.Command {
	return r.leaf("url TASK", "The synchronization API URL of a task, for programs that send events as OMS has it",
		"  curl -X POST \"$(lockstep task url photos)\" -H \"X-Auth-Token: $(lockstep key token KEY)\" \\\n"+
			"    -H 'Content-Type: application/json' -d '{\"object_keys\":[\"2026%2Fa.jpg\"]}'", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			var answer json.RawMessage
			if err := api.Get(ctx, in("/tasks/%s", args[0]), &answer); err != nil {
				return err
			}
			var k native.Task
			if err := json.Unmarshal(answer, &k); err != nil {
				return err
			}
			address, err := r.eventsURL(k)
			if err != nil {
				return err
			}
			if r.json {
				return json.NewEncoder(r.stdout).Encode(map[string]string{"synchronization_api_url": address})
			}
			if _, err := fmt.Fprintln(r.stdout, address); err != nil {
				return err
			}
			return r.tellCurl(address)
		})
}

func (r *remote) eventsURL(k native.Task) (string, error) {
	cfg, err := client.Resolve(client.Config{URL: r.url}, r.profile, r.env)
	if err != nil {
		return "", err
	}
	base := cfg.URL
	if base == "" {
		base = client.DefaultURL
	}
	return strings.TrimSuffix(base, "/") + "/v2/" + string(k.Project) + "/sync-tasks/" + string(k.ID) + "/events", nil
}

// tellCurl writes a request that is ready to be sent, beside what scripts read.
func (r *remote) tellCurl(address string) error {
	_, err := fmt.Fprintf(r.stderr, "\n  curl -X POST '%s' \\\n    -H \"X-Auth-Token: $(lockstep key token %s)\" -H 'Content-Type: application/json' \\\n    -d '{\"object_keys\":[\"photos%%2Fa.jpg\"]}'\n",
		address, r.keyOr("KEY"))
	return err
}

// keyOr is the access key that the command uses.
func (r *remote) keyOr(def string) string {
	cfg, err := client.Resolve(client.Config{URL: r.url}, r.profile, r.env)
	if err != nil || cfg.AccessKey == "" {
		return def
	}
	return cfg.AccessKey
}

// tellURL writes where events of a task go that was made by OMS's API.
func (r *remote) tellURL(answer json.RawMessage) error {
	var k native.Task
	if err := json.Unmarshal(answer, &k); err != nil || k.Origin != task.OMS {
		return err
	}
	address, err := r.eventsURL(k)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(r.stderr, "\nsynchronization API URL: %s\n", address); err != nil {
		return err
	}
	return r.tellCurl(address)
}
