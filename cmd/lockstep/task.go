package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (r *remote) taskCommand() *cobra.Command {
	cmd := commands("task", "Makes, changes, pauses and stops tasks", r.taskCreate(), r.taskList(), r.taskShow(), r.taskChange(), r.taskHook(), r.taskURL())
	for _, m := range []struct{ verb, short string }{
		{"pause", "Accept events and keep them, but do no work"},
		{"resume", "Work again after a pause"},
		{"stop", "Refuse events and do no work"},
		{"start", "Work again after a stop"},
	} {
		cmd.AddCommand(r.leaf(m.verb+" TASK", m.short, "  lockstep task "+m.verb+" photos", cobra.ExactArgs(1),
			func(ctx context.Context, api *client.Client, args []string) error {
				var answer json.RawMessage
				if err := api.Post(ctx, in("/tasks/%s/"+m.verb, args[0]), nil, &answer); err != nil {
					return err
				}
				return show(r, answer, func(k native.Task) error {
					_, err := fmt.Fprintf(r.stdout, "%s is %s\n", k.Name, k.State)
					return err
				})
			}))
	}
	cmd.AddCommand(r.leaf("delete TASK", "Take a stopped task away; its history stays", "  lockstep task delete photos", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			return api.Do(ctx, "DELETE", in("/tasks/%s", args[0]), nil, nil)
		}))
	return cmd
}

// taskOptions are the rules of a task as flags.
type taskOptions struct {
	rules   []string
	windows []string
	zone    string
	o       task.Options
}

func (t *taskOptions) flags(f *pflag.FlagSet) {
	f.Var(&ruleText{&t.rules, "include"}, "include", "rule for keys to sync; include and exclude stay in order, the first match decides; repeatable")
	f.Var(&ruleText{&t.rules, "exclude"}, "exclude", "rule for keys to leave alone: a glob (logs/**, *.tmp), prefix:logs/, size>10M, age<1h")
	f.StringVar(&t.o.Compare, "compare", "", "how two existing objects are compared: auto, size+mtime, checksum, always, never, oms")
	f.BoolVar(&t.o.Deletes, "delete", false, "delete at the destination what the source does not hold (guarded)")
	f.Int64Var(&t.o.Guard.MaxDeletes, "max-delete", 0, "most deletes of a scan, and of an hour of events (default 1,000; -1: no limit)")
	f.Float64Var(&t.o.Guard.MaxPercent, "max-delete-percent", 0, "most deletes of a scan, in percent of the destination (default 10; -1: no limit)")
	f.BoolVar(&t.o.ListUnchanged, "list-unchanged", false, "lists name unchanged objects too")
	f.BoolVar(&t.o.GoneIsFailed, "gone-is-failed", false, "a named key that the source does not hold is failed, not ignored")
	f.StringVar((*string)(&t.o.Verify), "verify", "", "check of copies once they are there: size_last_modified, crc64, transmission (default none that costs a request)")
	f.BoolVar(&t.o.Restore, "restore", false, "ask archived source objects back, and wait for each (serve --restore-wait: 3 minutes)")
	f.StringVar(&t.o.Encrypt, "encrypt", "", "how the destination is to encrypt what is written: aws:kms (default as its bucket says)")
	f.IntVar(&t.o.Concurrency, "concurrency", 0, "most objects in flight (default adapts)")
	f.StringVar(&t.o.Schedule.Cron, "schedule", "", "when to scan, as cron's five fields, e.g. '0 3 * * *'")
	f.StringVar(&t.zone, "zone", "", "time zone of --schedule and --bandwidth, e.g. Europe/Berlin (default UTC)")
	f.StringVar(&t.o.Schedule.Missed, "missed", "", "a start that was missed: run (once, at once) or skip (default run)")
	f.StringArrayVar(&t.windows, "bandwidth", nil, "FROM-TO=RATE: most bytes a second in a part of the day, both ends inside, e.g. 08:00-18:00=10MiB; repeatable; '' drops all windows")
}

// ruleText collects rules of both flags in one order.
type ruleText struct {
	rules *[]string
	verb  string
}

func (f *ruleText) String() string { return "" }
func (f *ruleText) Type() string   { return "RULE" }
func (f *ruleText) Set(s string) error {
	text := f.verb + " " + s
	if _, err := plan.ParseRule(text); err != nil {
		return err
	}
	*f.rules = append(*f.rules, text)
	return nil
}

func (r *remote) taskCreate() *cobra.Command {
	var opt taskOptions
	var description, state string
	var shards int
	cmd := r.leaf("create NAME SRC DST [flags]", "Make a task, and print its id; SRC and DST are ENDPOINT:bucket/prefix",
		`  lockstep task create photos frankfurt:photos dr:photos-copy
  lockstep task create logs disk:logs frankfurt:logs/host1/ --exclude '*.tmp' --schedule '0 3 * * *' --zone Europe/Berlin`, cobra.ExactArgs(3),
		func(ctx context.Context, api *client.Client, args []string) error {
			src, err := place(args[1])
			if err != nil {
				return err
			}
			dst, err := place(args[2])
			if err != nil {
				return err
			}
			opt.o.Filter = opt.rules
			if opt.o.Bandwidth, err = parseWindows(opt.windows, opt.zone); err != nil {
				return err
			}
			if opt.o.Schedule.Cron != "" || opt.o.Bandwidth == nil {
				opt.o.Schedule.Zone = opt.zone
			}
			in := map[string]any{"name": args[0], "description": description, "source": src, "destination": dst, "options": opt.o, "shards": shards}
			if state != "" {
				in["state"] = state
			}
			var answer json.RawMessage
			if err := api.Post(ctx, "/tasks", in, &answer); err != nil {
				return err
			}
			return show(r, answer, func(k native.Task) error {
				_, err := fmt.Fprintf(r.stdout, "%s\n", k.ID)
				if err == nil && r.terminal != nil {
					_, err = fmt.Fprintf(r.stderr, "next: lockstep job start %s --wait\n", k.Name)
				}
				return err
			})
		})
	opt.flags(cmd.Flags())
	cmd.Flags().StringVar(&description, "description", "", "what the task is for")
	cmd.Flags().StringVar(&state, "state", "", "first state: active, paused, stopped (default active)")
	cmd.Flags().IntVar(&shards, "shards", 0, "number of lanes, fixed for good (default 16)")
	return cmd
}

func (r *remote) taskList() *cobra.Command {
	return r.leaf("list", "The tasks, oldest first", "  lockstep task list", cobra.NoArgs,
		func(ctx context.Context, api *client.Client, _ []string) error {
			items, err := api.List(ctx, "/tasks", nil, 0)
			if err != nil {
				return err
			}
			return showList(r, items, "NAME STATE SOURCE DESTINATION ID", func(k native.Task) []any {
				return []any{printable(k.Name), k.State, placeOf(k.Source), placeOf(k.Destination), k.ID}
			})
		})
}

func placeOf(l native.Location) string {
	at := l.Endpoint + ":" + l.Bucket
	if prefix := l.Prefix + string(l.PrefixBase64); prefix != "" {
		at += "/" + prefix
	}
	return printable(at)
}

func (r *remote) taskShow() *cobra.Command {
	return r.leaf("show TASK", "One task with its options", "  lockstep task show photos", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			var answer json.RawMessage
			if err := api.Get(ctx, in("/tasks/%s", args[0]), &answer); err != nil {
				return err
			}
			if err := r.pretty(answer); err != nil || r.json {
				return err
			}
			return r.tellURL(answer)
		})
}

// taskChange changes the options that are named and leaves the others as they are.
func (r *remote) taskChange() *cobra.Command {
	var opt taskOptions
	var name, description string
	var noRules bool
	var flags *pflag.FlagSet
	cmd := r.leaf("change TASK [flags]", "Change what is named by flags; a new include or exclude replaces all rules",
		"  lockstep task change photos --compare checksum\n  lockstep task change photos --no-rules --schedule '*/30 * * * *'", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			var was native.Task
			if err := api.Get(ctx, in("/tasks/%s", args[0]), &was); err != nil {
				return err
			}
			options, err := opt.merged(was.Options, flags, noRules)
			if err != nil {
				return err
			}
			change := map[string]any{"version": was.Version, "options": options}
			if flags.Changed("name") {
				change["name"] = name
			}
			if flags.Changed("description") {
				change["description"] = description
			}
			var answer json.RawMessage
			if err := api.Do(ctx, "PATCH", in("/tasks/%s", args[0]), change, &answer); err != nil {
				return err
			}
			return r.pretty(answer)
		})
	flags = cmd.Flags()
	opt.flags(flags)
	flags.StringVar(&name, "name", "", "its new name")
	flags.StringVar(&description, "description", "", "what the task is for")
	flags.BoolVar(&noRules, "no-rules", false, "drop all include and exclude rules")
	return cmd
}

// merged is was with what flags changed.
func (t *taskOptions) merged(was task.Options, flags *pflag.FlagSet, noRules bool) (task.Options, error) {
	if len(t.rules) > 0 || noRules {
		was.Filter = t.rules
	}
	for name, take := range map[string]func(){
		"compare": func() { was.Compare = t.o.Compare }, "delete": func() { was.Deletes = t.o.Deletes },
		"max-delete": func() { was.Guard.MaxDeletes = t.o.Guard.MaxDeletes }, "max-delete-percent": func() { was.Guard.MaxPercent = t.o.Guard.MaxPercent },
		"list-unchanged": func() { was.ListUnchanged = t.o.ListUnchanged }, "gone-is-failed": func() { was.GoneIsFailed = t.o.GoneIsFailed },
		"verify": func() { was.Verify = t.o.Verify }, "restore": func() { was.Restore = t.o.Restore }, "encrypt": func() { was.Encrypt = t.o.Encrypt },
		"concurrency": func() { was.Concurrency = t.o.Concurrency }, "schedule": func() { was.Schedule.Cron = t.o.Schedule.Cron },
		"missed": func() { was.Schedule.Missed = t.o.Schedule.Missed },
	} {
		if flags.Changed(name) {
			take()
		}
	}
	return was, t.mergeClock(&was, flags)
}
