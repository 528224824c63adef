package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (r *remote) eventCommand() *cobra.Command {
	return commands("event", "Names keys that changed", r.eventSend())
}

// eventBatch is the most keys of one request.
const eventBatch = task.MaxBatchKeys

func (r *remote) eventSend() *cobra.Command {
	var null bool
	cmd := r.leaf("send TASK KEY…", "Say that keys changed; when it returns they are on disk at the service",
		`  lockstep event send photos 2026/a.jpg 2026/b.jpg
  find . -type f -newer last -printf '%P\0' | lockstep event send photos --null -     keys from standard input`, cobra.MinimumNArgs(2),
		func(ctx context.Context, api *client.Client, args []string) error {
			keys := args[1:]
			if len(keys) == 1 && keys[0] == "-" {
				return r.sendLines(ctx, api, args[0], null)
			}
			var sent native.Accepted
			for len(keys) > 0 {
				n := min(len(keys), eventBatch)
				if err := r.send(ctx, api, args[0], keys[:n], &sent); err != nil {
					return err
				}
				keys = keys[n:]
			}
			return r.showAccepted(sent)
		})
	cmd.Flags().BoolVar(&null, "null", false, "keys from standard input end in a zero byte, not a line feed")
	return cmd
}

// sendLines sends the keys of standard input, in batches.
func (r *remote) sendLines(ctx context.Context, api *client.Client, name string, null bool) error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	if null {
		lines.Split(splitNull)
	}
	var sent native.Accepted
	var keys []string
	flush := func() error {
		if len(keys) == 0 {
			return nil
		}
		err := r.send(ctx, api, name, keys, &sent)
		keys = keys[:0]
		return err
	}
	for lines.Scan() {
		if keys = append(keys, lines.Text()); len(keys) == eventBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	return r.showAccepted(sent)
}

func splitNull(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// send sends one batch and adds what became of it to sum.
func (r *remote) send(ctx context.Context, api *client.Client, name string, keys []string, sum *native.Accepted) error {
	body := map[string]any{}
	var texts []string
	var others []map[string]string
	for _, k := range keys {
		if utf8.ValidString(k) {
			texts = append(texts, k)
		} else {
			others = append(others, map[string]string{"key_base64": base64.StdEncoding.EncodeToString([]byte(k))})
		}
	}
	if texts != nil {
		body["keys"] = texts
	}
	if others != nil {
		body["events"] = others
	}
	var got native.Accepted
	if err := api.Post(ctx, in("/tasks/%s/events", name), body, &got); err != nil {
		if sum.Keys > 0 {
			err = fmt.Errorf("after %d keys were accepted: %w", sum.Keys, err)
		}
		return err
	}
	got.Keys, got.Skipped = got.Keys+sum.Keys, got.Skipped+sum.Skipped
	*sum = got
	return nil
}

func (r *remote) showAccepted(sent native.Accepted) error {
	if r.json {
		return json.NewEncoder(r.stdout).Encode(sent)
	}
	job := ""
	if sent.Job != "" {
		job = ", job " + string(sent.Job)
	}
	_, err := fmt.Fprintf(r.stdout, "%s accepted%s\n", plural(int64(sent.Keys), "key"), job)
	if sent.Skipped > 0 {
		fmt.Fprintf(r.stdout, "%s of lists that Lockstep itself writes left out\n", plural(int64(sent.Skipped), "key"))
	}
	return err
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return formatCount(n) + " " + noun + "s"
}

func (r *remote) manifestCommand() *cobra.Command {
	return commands("manifest", "Names any number of keys by a file", r.manifestSend())
}

func (r *remote) manifestSend() *cobra.Command {
	var format string
	var wait bool
	cmd := r.leaf("send TASK FILE", "Sync the keys that a CSV or JSON lines file names (- is standard input)",
		"  lockstep manifest send photos keys.csv --wait", cobra.ExactArgs(2),
		func(ctx context.Context, api *client.Client, args []string) error {
			var file io.ReadCloser = os.Stdin
			if args[1] != "-" {
				f, err := os.Open(args[1])
				if err != nil {
					return &task.Error{Kind: task.Invalid, Code: "NO_FILE", Text: err.Error(), Next: "check the path"}
				}
				file = f
			}
			defer file.Close()
			kind := map[string]string{"csv": "text/csv", "jsonl": "application/jsonl"}[format]
			if format == "" {
				kind = map[string]string{".jsonl": "application/jsonl", ".ndjson": "application/jsonl"}[filepath.Ext(args[1])]
				if kind == "" {
					kind = "text/csv"
				}
			}
			var answer json.RawMessage
			if err := api.Upload(ctx, in("/tasks/%s/manifest", args[0]), kind, file, &answer); err != nil {
				return err
			}
			return r.follow(ctx, api, answer, wait)
		})
	cmd.Flags().StringVar(&format, "format", "", "csv or jsonl (default by the file's name)")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the job ends")
	return cmd
}
