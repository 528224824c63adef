package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (r *remote) statusCommand() *cobra.Command {
	return r.leaf("status [TASK]", "Is my data in sync, how far behind, what failed", "  lockstep status\n  lockstep status photos", cobra.MaximumNArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			if len(args) == 0 {
				if err := r.statusAll(ctx, api); err != nil || r.json {
					return err
				}
				return r.statusExternal(ctx, api)
			}
			var answer json.RawMessage
			if err := api.Get(ctx, in("/tasks/%s/status", args[0]), &answer); err != nil {
				return err
			}
			return show(r, answer, func(s native.Status) error { return r.statusOne(ctx, api, s) })
		})
}

// sentence answers for one task.
func sentence(s native.Status) string {
	var b strings.Builder
	heard := ago(s.Heard)
	switch n := s.Counts; {
	case s.Open > 0:
		fmt.Fprintf(&b, "Needs you: %s failed", plural(s.Open, "record"))
		if n.Pending > 0 {
			fmt.Fprintf(&b, ", %s waiting", formatCount(n.Pending))
		}
	case n.Pending > 0 && s.State != task.Active:
		fmt.Fprintf(&b, "The task is %s: %s waiting", s.State, plural(n.Pending, "key"))
	case n.Pending > 0:
		fmt.Fprintf(&b, "Behind %s: %s waiting", formatDuration(time.Duration(s.Behind*float64(time.Second))), plural(n.Pending, "key"))
	case n.Requested == 0 && s.Broken != "":
		b.WriteString("Needs you: no event was sent, and the last scan did not end well")
	case n.Requested == 0 && s.Scan != "":
		b.WriteString("Nothing yet: the first scan has begun")
	case n.Requested == 0:
		b.WriteString("Nothing yet: no event was sent and no scan has run")
	case s.Broken != "":
		b.WriteString("In sync as far as events tell; the last scan did not end well")
	case s.State == task.Stopped:
		b.WriteString("The task is stopped: nothing waits, and what changes is not heard of")
		heard = "until it was"
	case s.State == task.Paused:
		b.WriteString("The task is paused: nothing waits")
	case s.Proven == nil && s.Scan != "":
		b.WriteString("In sync so far: the first scan goes on")
	case s.Proven == nil:
		b.WriteString("In sync as far as events tell: no scan has proven it")
	default:
		b.WriteString("In sync as of " + s.At.Local().Format(time.TimeOnly))
	}
	if s.Counts.Requested > 0 {
		fmt.Fprintf(&b, "; heard by events %s, proven by scan %s", heard, ago(s.Proven))
	}
	if s.Scan != "" && s.Proven != nil {
		b.WriteString("; a scan goes on")
	}
	return b.String() + "."
}

func (r *remote) statusOne(ctx context.Context, api *client.Client, s native.Status) error {
	fmt.Fprintf(r.stdout, "%s\n%s\n", sentence(s), countsLine(s.Counts.Counts))
	if n := s.Counts; n.Unchanged+n.Deleted+n.Missed+n.Bytes > 0 {
		fmt.Fprintf(r.stdout, "of these %s unchanged, %s deleted; %s copied\n", formatCount(n.Unchanged), formatCount(n.Deleted), formatBytes(n.Bytes))
	}
	if l := s.Lag; l != nil {
		fmt.Fprintf(r.stdout, "accepted → visible, last hour: p50 %s, p99 %s, max %s (%s)\n", formatLag(l.P50), formatLag(l.P99), formatLag(l.Max), plural(l.Records, "record"))
	}
	if s.Missed > 0 {
		fmt.Fprintf(r.stdout, "%.2g %% of the changes before the last scan came without an event\n", 100*s.Missed)
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Delayed)) {
		fmt.Fprintf(r.stdout, "  to be tried again: %s %s %s\n", formatCount(s.Delayed[reason]), reason, means(reason))
	}
	if s.Obstacle != "" {
		fmt.Fprintf(r.stdout, "  nothing can be tried: %s\n", oneLine(s.Obstacle))
	}
	if s.Broken != "" {
		r.code = exitFailures
		fmt.Fprintf(r.stdout, "  the last scan did not end well: %s\n", oneLine(s.Broken))
	}
	statusClock(r.stdout, s.Clock)
	if s.Open > 0 {
		return r.statusFailures(ctx, api, s)
	}
	return nil
}

// statusClock says when the schedule starts the next scan, and what kept it from the last.
func statusClock(w io.Writer, c *native.Clock) {
	if c == nil {
		return
	}
	if c.Last == "skipped" {
		fmt.Fprintf(w, "the scan that was due %s was skipped: %s\n", ago(c.LastDue), oneLine(c.Why))
	}
	if c.Next != nil {
		fmt.Fprintf(w, "next scan %s (in %s)\n", c.Next.Local().Format("2006-01-02 15:04 MST"), formatDuration(time.Until(*c.Next)))
	}
}

// statusFailures names the reasons of what failed, most first, and what to do.
func (r *remote) statusFailures(ctx context.Context, api *client.Client, s native.Status) error {
	r.code = exitFailures
	var counts native.ReasonCounts
	if err := api.Get(ctx, in("/tasks/%s/reasons", string(s.Task)), &counts); err != nil {
		return err
	}
	var reasons []task.Reason
	for reason := range counts.Failed {
		reasons = append(reasons, reason)
	}
	slices.SortFunc(reasons, func(a, b task.Reason) int {
		if d := counts.Failed[b] - counts.Failed[a]; d != 0 {
			return int(d)
		}
		return strings.Compare(string(a), string(b))
	})
	t := table(r.stdout, "")
	for _, reason := range reasons {
		if n := counts.Failed[reason]; n > 0 {
			t.row("  failed", formatCount(n), reason, means(reason))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	items, err := api.List(ctx, in("/tasks/%s/failures", string(s.Task)), url.Values{"open": {"true"}}, 3)
	if err != nil {
		return err
	}
	for _, item := range items {
		var f native.Failure
		if err := json.Unmarshal(item, &f); err != nil {
			return err
		}
		fmt.Fprintf(r.stdout, "  e.g. %s: %s\n", printable(f.Key.Key+string(f.Base64)), oneLine(f.Cause))
	}
	_, err = fmt.Fprintf(r.stdout, "next: lockstep explain %s KEY; lockstep retry %s\n", s.Name, s.Name)
	return err
}

// statusAll answers for all tasks in a sentence, then line by line, worst first.
func (r *remote) statusAll(ctx context.Context, api *client.Client) error {
	items, err := api.List(ctx, "/status", nil, 0)
	if err != nil {
		return err
	}
	if r.json {
		return showList(r, items, "", func(native.Status) []any { return nil })
	}
	all := make([]native.Status, len(items))
	var sum task.Counts
	for i, item := range items {
		if err := json.Unmarshal(item, &all[i]); err != nil {
			return err
		}
		sum.Add(all[i].Counts.Counts)
	}
	if slices.ContainsFunc(all, func(s native.Status) bool { return s.Open > 0 || s.Broken != "" }) {
		r.code = exitFailures
	}
	slices.SortStableFunc(all, func(a, b native.Status) int { return worse(b) - worse(a) })
	switch {
	case len(all) == 0:
		_, err := fmt.Fprintln(r.stdout, "There is no task yet.\nnext: lockstep endpoint add NAME …, then lockstep task create NAME SRC DST")
		return err
	case len(all) == 1:
		return r.statusOne(ctx, api, all[0])
	case worse(all[0]) == 0:
		fmt.Fprintf(r.stdout, "%s\n%s\n\n", sentenceOfAll(all), countsLine(sum))
	default:
		fmt.Fprintf(r.stdout, "%s: %s\n%s\n\n", printable(all[0].Name), sentence(all[0]), countsLine(sum))
	}
	t := table(r.stdout, "TASK STATE PENDING FAILED HEARD PROVEN")
	for _, s := range all {
		t.row(printable(s.Name), s.State, formatCount(s.Counts.Pending), formatCount(s.Open), ago(s.Heard), ago(s.Proven))
	}
	return t.Flush()
}

// sentenceOfAll answers for tasks of which none has failures or a backlog. One that does no
// work may be in sync; nobody knows.
func sentenceOfAll(all []native.Status) string {
	var active []native.Status
	unproven := int64(0)
	for _, s := range all {
		if s.State != task.Active {
			continue
		}
		active = append(active, s)
		if s.Proven == nil {
			unproven++
		}
	}
	rest := ""
	if idle := len(all) - len(active); idle > 0 {
		rest = fmt.Sprintf("; %s paused or stopped", plural(int64(idle), "task"))
	}
	many := plural(int64(len(active)), "task")
	switch {
	case len(active) == 0:
		return "Nothing is kept in sync" + rest + "."
	case unproven > 0:
		return fmt.Sprintf("In sync as far as events tell: all of %s; no scan has proven %s of them%s.", many, formatCount(unproven), rest)
	}
	return fmt.Sprintf("In sync as of %s: all of %s%s.", active[0].At.Local().Format(time.TimeOnly), many, rest)
}

// worse orders tasks: failures before backlogs before peace.
func worse(s native.Status) int {
	switch {
	case s.Open > 0:
		return 2
	case s.Counts.Pending > 0, s.Broken != "":
		return 1
	}
	return 0
}
