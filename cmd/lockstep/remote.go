package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/client"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// remote is what commands that ask a running service share.
type remote struct {
	*cli
	url, profile string
	json         bool
}

// remoteCommands are all commands that need a running service.
func (c *cli) remoteCommands() []*cobra.Command {
	r := &remote{cli: c}
	all := []*cobra.Command{
		r.endpointCommand(), r.taskCommand(), r.eventCommand(), r.jobCommand(), r.manifestCommand(), r.retryCommand(),
		r.statusCommand(), r.explainCommand(), r.proveCommand(), r.auditCommand(), r.keyCommand(), r.appCommand(), r.externalCommand(),
	}
	for _, cmd := range all {
		f := cmd.PersistentFlags()
		f.StringVar(&r.url, "url", "", "address of the service (default LOCKSTEP_URL, the profile, "+client.DefaultURL+")")
		f.StringVar(&r.profile, "profile", "", "read address and access key from this profile instead of LOCKSTEP_… variables")
		f.BoolVar(&r.json, "json", false, "print the service's answer as it is")
	}
	return all
}

func (r *remote) client() (*client.Client, error) {
	cfg, err := client.Resolve(client.Config{URL: r.url}, r.profile, r.env)
	if err != nil {
		return nil, err
	}
	return client.New(cfg)
}

// run is what a command does with a client.
type run func(ctx context.Context, api *client.Client, args []string) error

// leaf makes a command that asks the service.
func (r *remote) leaf(use, short, example string, args cobra.PositionalArgs, do run) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Example: example, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		api, err := r.client()
		if err != nil {
			return err
		}
		ctx, release := interruptible(cmd.Context(), &screen{w: r.stderr})
		defer release()
		return do(ctx, api, args)
	}}
}

// commands makes a command of commands.
func commands(use, short string, of ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return usageError(cmd, fmt.Errorf("lockstep %s needs one of its commands", use))
	}}
	cmd.AddCommand(of...)
	return cmd
}

// show prints an answer: as it is with --json, else as human makes of it.
func show[T any](r *remote, answer json.RawMessage, human func(T) error) error {
	if r.json {
		_, err := fmt.Fprintln(r.stdout, strings.TrimSpace(string(answer)))
		return err
	}
	var v T
	if err := json.Unmarshal(answer, &v); err != nil {
		return err
	}
	return human(v)
}

// showList prints a list: a JSON array with --json, else a table.
func showList[T any](r *remote, items []json.RawMessage, head string, row func(T) []any) error {
	if r.json {
		if items == nil {
			items = []json.RawMessage{}
		}
		return json.NewEncoder(r.stdout).Encode(items)
	}
	t := table(r.stdout, head)
	for _, item := range items {
		var v T
		if err := json.Unmarshal(item, &v); err != nil {
			return err
		}
		t.row(row(v)...)
	}
	return t.Flush()
}

// columns is a table in the making.
type columns struct{ *tabwriter.Writer }

// table begins one; head names the columns, separated by spaces.
func table(w io.Writer, head string) columns {
	t := columns{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	if head != "" {
		fmt.Fprintln(t, strings.Join(strings.Fields(head), "\t"))
	}
	return t
}

func (t columns) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, c)
	}
	fmt.Fprintln(t)
}

// in makes a path of the API of parts that are escaped.
func in(format string, parts ...string) string {
	escaped := make([]any, len(parts))
	for i, p := range parts {
		escaped[i] = url.PathEscape(p)
	}
	return fmt.Sprintf(format, escaped...)
}

// ago says how long ago a time was.
func ago(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	d := time.Since(*t)
	if d < time.Second {
		return "now"
	}
	return formatDuration(d) + " ago"
}

// place reads ENDPOINT:bucket/prefix.
func place(arg string) (map[string]string, error) {
	endpoint, rest, ok := strings.Cut(arg, ":")
	bucket, prefix, _ := strings.Cut(rest, "/")
	if !ok || endpoint == "" || bucket == "" || strings.HasPrefix(rest, "//") {
		return nil, &task.Error{
			Kind: task.Invalid, Code: "BAD_PLACE", Text: fmt.Sprintf("%s is no ENDPOINT:bucket/prefix", printable(arg)),
			Next: "register the store with: lockstep endpoint add NAME …, and name it, e.g. NAME:photos/2026/",
		}
	}
	return map[string]string{"endpoint": endpoint, "bucket": bucket, "prefix": prefix}, nil
}
