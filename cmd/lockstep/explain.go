package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (r *remote) explainCommand() *cobra.Command {
	return r.leaf("explain TASK KEY", "Both sides of one key, the verdict, the rule, and what was tried",
		"  lockstep explain photos 2026/a+b.jpg", cobra.ExactArgs(2),
		func(ctx context.Context, api *client.Client, args []string) error {
			body := map[string]string{"key": args[1]}
			if !utf8.ValidString(args[1]) {
				body = map[string]string{"key_base64": base64.StdEncoding.EncodeToString([]byte(args[1]))}
			}
			var answer json.RawMessage
			if err := api.Post(ctx, in("/tasks/%s/explain", args[0]), body, &answer); err != nil {
				return err
			}
			return show(r, answer, r.showExplanation)
		})
}

func (r *remote) showExplanation(e native.Explanation) error {
	fmt.Fprintf(r.stdout, "%s\n", verdictLine(e))
	t := table(r.stdout, "")
	for _, s := range []struct {
		name string
		native.Side
	}{{"source", e.Source}, {"destination", e.Destination}} {
		switch {
		case s.Code != "":
			t.row("  "+s.name, "cannot be read:", s.Code, oneLine(s.Error))
		case !s.Exists:
			t.row("  "+s.name, "-", "does not have it")
		default:
			t.row("  "+s.name, formatCount(s.Size)+" B", moment(s.ModTime), "etag "+dash(s.ETag))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if w := e.Waiting; w != nil {
		fmt.Fprintf(r.stdout, "waiting: accepted %s by %s, next try %s, %s so far", ago(&w.AcceptedAt), w.By, moment(&w.NextAt), plural(int64(w.Attempts), "attempt"))
		if w.Reason != "" {
			fmt.Fprintf(r.stdout, ", the last ended %s", w.Reason)
		}
		fmt.Fprintln(r.stdout)
	}
	for _, f := range e.Failures {
		fmt.Fprintf(r.stdout, "failed %s after %s: %s %s\n  %s\n", moment(&f.LastAt), plural(int64(f.Attempts), "attempt"), f.Reason, means(f.Reason), oneLine(f.Cause))
	}
	return nil
}

func verdictLine(e native.Explanation) string {
	line := strings.ToUpper(e.Verdict)
	if e.Reason != "" {
		line += " " + string(e.Reason)
	}
	if e.Rule > 0 {
		line += fmt.Sprintf("  rule %d: %s", e.Rule, printable(e.RuleText))
	}
	return line + "  what a scan would do now"
}

func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05.000")
}

func (r *remote) proveCommand() *cobra.Command {
	return r.leaf("prove TASK|JOB", "Count every record again, and print the equality", "  lockstep prove photos", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			path := in("/tasks/%s/prove", args[0])
			if task.JobID(args[0]).Valid() {
				path = in("/jobs/%s/prove", args[0])
			}
			var answer json.RawMessage
			if err := api.Post(ctx, path, nil, &answer); err != nil {
				return err
			}
			var p native.Proof
			if err := json.Unmarshal(answer, &p); err != nil {
				return err
			}
			if !p.OK {
				r.code = exitError
			}
			return show(r, answer, r.showProof)
		})
}

func (r *remote) showProof(p native.Proof) error {
	mark := "✓"
	if !p.OK {
		mark = "✗"
	}
	fmt.Fprintf(r.stdout, "%s %s\n", countsLine(p.Counts.Counts), mark)
	t := table(r.stdout, "COUNTED-AGAIN WAITING IN-LISTS UPLOADED")
	rows, in := p.Rows, p.Rows.Stored
	t.row("records waiting", formatCount(rows.Waiting), "", "")
	t.row("deletes that wait for the guard", formatCount(rows.Staged), "", "")
	for _, l := range []struct {
		name            string
		stored, shipped int64
	}{
		{"received", in.Received, rows.Uploaded.Received},
		{"synced", in.Synced, rows.Uploaded.Synced},
		{"failed", in.Failed, rows.Uploaded.Failed},
		{"ignored", in.Ignored, rows.Uploaded.Ignored},
		{"retried", in.Retried, rows.Uploaded.Retried},
	} {
		t.row("lines of "+l.name, "", formatCount(l.stored), formatCount(l.shipped))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(r.stdout, "%s ignored that no list names (unchanged)\n", formatCount(rows.Unlisted))
	if p.OK {
		_, err := fmt.Fprintln(r.stdout, "records = counters = list lines ✓")
		return err
	}
	_, err := fmt.Fprintf(r.stdout, "broken: %s\n", oneLine(p.Broken))
	return err
}

func (r *remote) auditCommand() *cobra.Command {
	var limit int
	list := r.leaf("list", "Who changed what, newest first", "  lockstep audit list --limit 20", cobra.NoArgs,
		func(ctx context.Context, api *client.Client, _ []string) error {
			items, err := api.List(ctx, "/audit", url.Values{}, limit)
			if err != nil {
				return err
			}
			return showList(r, items, "NUM AT KEY ADDRESS ACTION SUBJECT", func(e native.AuditEntry) []any {
				return []any{e.Num, moment(&e.At), dash(string(e.Actor.Key)), dash(e.Actor.Address), e.Action, printable(e.Subject)}
			})
		})
	list.Flags().IntVar(&limit, "limit", 50, "how many; 0: all")
	verify := r.leaf("verify", "Walk the whole chain of entries", "  lockstep audit verify", cobra.NoArgs,
		func(ctx context.Context, api *client.Client, _ []string) error {
			var answer json.RawMessage
			if err := api.Post(ctx, "/audit/verify", nil, &answer); err != nil {
				return err
			}
			var v native.Verified
			if err := json.Unmarshal(answer, &v); err != nil {
				return err
			}
			if !v.OK {
				r.code = exitError
			}
			return show(r, answer, func(v native.Verified) error {
				if v.OK {
					_, err := fmt.Fprintf(r.stdout, "entries: %s, each hashed over the one before ✓\n", formatCount(v.Entries))
					return err
				}
				_, err := fmt.Fprintf(r.stdout, "entry %d does not fit what is before it: the chain was changed ✗\n", v.Broken)
				return err
			})
		})
	return commands("audit", "Who changed what, and whether the record is whole", list, verify)
}
