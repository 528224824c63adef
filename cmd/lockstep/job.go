package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (r *remote) jobCommand() *cobra.Command {
	return commands("job", "Starts, follows and cancels jobs", r.jobStart(), r.jobList(), r.jobShow(), r.jobCancel())
}

func (r *remote) jobStart() *cobra.Command {
	var wait bool
	cmd := r.leaf("start TASK", "Start a scan: compare both sides and sync what differs", "  lockstep job start photos --wait", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			var answer json.RawMessage
			if err := api.Post(ctx, in("/tasks/%s/scan", args[0]), nil, &answer); err != nil {
				return err
			}
			return r.follow(ctx, api, answer, wait)
		})
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it ends; the exit code says how")
	return cmd
}

// follow prints a job, after waiting for its end when asked. Ctrl-C ends the waiting,
// not the job. A task that does not work now is told of once: its job may wait for days.
func (r *remote) follow(ctx context.Context, api *client.Client, answer json.RawMessage, wait bool) error {
	var j native.Job
	if err := json.Unmarshal(answer, &j); err != nil {
		return err
	}
	screen := &screen{w: r.stderr, terminal: r.terminal}
	told := false
	for looks := 0; wait && !j.State.Ended(); looks++ {
		if !told && looks%10 == 9 {
			told = r.tellIdle(ctx, api, &j, screen)
		}
		if r.terminal != nil {
			screen.draw([]string{fmt.Sprintf("%s %s  %s", j.Kind, j.State, countsLine(j.Counts.Counts))})
		}
		if err := sleep(ctx, 300*time.Millisecond); err != nil {
			screen.clear()
			return waitEnded(j.ID, err)
		}
		if err := api.Get(ctx, in("/jobs/%s", string(j.ID)), &answer); err != nil {
			screen.clear()
			return err
		}
		if err := json.Unmarshal(answer, &j); err != nil {
			return err
		}
	}
	if r.terminal != nil {
		screen.clear()
	}
	if wait {
		r.code = exitOf(j)
	}
	return show(r, answer, r.showJob)
}

// tellIdle says that the task of a job that is waited for does no work, if that is so.
func (r *remote) tellIdle(ctx context.Context, api *client.Client, j *native.Job, screen *screen) (told bool) {
	var k native.Task
	if err := api.Get(ctx, in("/tasks/%s", string(j.Task)), &k); err != nil || k.State == task.Active {
		return false
	}
	again := "resume"
	if k.State == task.Stopped {
		again = "start"
	}
	screen.say(fmt.Sprintf("the task is %s: the job goes on after lockstep task %s %s", k.State, again, k.ID))
	return true
}

// waitEnded is the error of waiting for a job that goes on by itself: the command that
// began it would begin another.
func waitEnded(id task.JobID, err error) error {
	if !errors.Is(err, errInterrupted) {
		return fmt.Errorf("job %s goes on: %w", id, err)
	}
	return &task.Error{
		Kind: errInterrupted.Kind, Code: errInterrupted.Code, Text: fmt.Sprintf("job %s goes on: only the waiting has ended", id),
		Next: fmt.Sprintf("see how it goes with: lockstep job show %s", id),
	}
}

// exitOf is the exit code that a job's end stands for.
func exitOf(j native.Job) int {
	switch {
	case j.State == task.JobStopped:
		return exitGuard
	case j.State == task.JobFailed || j.State == task.JobCancelled:
		return exitError
	case j.Counts.Failed > 0:
		return exitFailures
	}
	return exitInStep
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *remote) showJob(j native.Job) error {
	_, err := fmt.Fprintf(r.stdout, "%s  %s %s\n%s\n", j.ID, j.Kind, j.State, countsLine(j.Counts.Counts))
	if j.Why != "" {
		_, err = fmt.Fprintf(r.stdout, "why: %s\n", oneLine(j.Why))
	}
	return err
}

func (r *remote) jobList() *cobra.Command {
	var kind string
	var limit int
	cmd := r.leaf("list [TASK]", "Jobs, newest first", "  lockstep job list photos --kind scan", cobra.MaximumNArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			q := url.Values{}
			if len(args) > 0 {
				q.Set("task", args[0])
			}
			if kind != "" {
				q.Set("kind", kind)
			}
			items, err := api.List(ctx, "/jobs", q, limit)
			if err != nil {
				return err
			}
			return showList(r, items, "ID KIND STATE STARTED REQUESTED SYNCED IGNORED FAILED PENDING", func(j native.Job) []any {
				n := j.Counts
				return []any{
					j.ID, j.Kind, j.State, j.StartedAt.Local().Format(time.DateTime),
					formatCount(n.Requested), formatCount(n.Synced), formatCount(n.Ignored), formatCount(n.Failed), formatCount(n.Pending),
				}
			})
		})
	cmd.Flags().StringVar(&kind, "kind", "", "scan, events, manifest, retry, verify, external")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many; 0: all")
	return cmd
}

func (r *remote) jobShow() *cobra.Command {
	return r.leaf("show JOB", "One job with its counts", "  lockstep job show JOB", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			var answer json.RawMessage
			if err := api.Get(ctx, in("/jobs/%s", args[0]), &answer); err != nil {
				return err
			}
			return show(r, answer, r.showJob)
		})
}

func (r *remote) jobCancel() *cobra.Command {
	return r.leaf("cancel JOB", "End what waits of a job, ignored CANCELLED", "  lockstep job cancel JOB", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			var answer json.RawMessage
			if err := api.Post(ctx, in("/jobs/%s/cancel", args[0]), nil, &answer); err != nil {
				return err
			}
			return show(r, answer, r.showJob)
		})
}

func (r *remote) retryCommand() *cobra.Command {
	var job, reason, key string
	var wait bool
	cmd := r.leaf("retry TASK", "Try failed records again: all, of a job, with a reason, or of one key",
		"  lockstep retry photos --reason DST_DENIED --wait", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			body := map[string]string{}
			for name, v := range map[string]string{"job": job, "reason": reason, "key": key} {
				if v != "" {
					body[name] = v
				}
			}
			var answer json.RawMessage
			if err := api.Post(ctx, in("/tasks/%s/retry", args[0]), body, &answer); err != nil {
				return err
			}
			return r.follow(ctx, api, answer, wait)
		})
	f := cmd.Flags()
	f.StringVar(&job, "job", "", "only those of this job")
	f.StringVar(&reason, "reason", "", "only those with this reason, e.g. DST_DENIED")
	f.StringVar(&key, "key", "", "only that of this key")
	f.BoolVar(&wait, "wait", false, "wait until the job ends; the exit code says how")
	return cmd
}
