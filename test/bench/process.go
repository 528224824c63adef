package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// cost is what a finished process used, with the children it waited for.
type cost struct {
	Wall time.Duration
	User time.Duration
	Sys  time.Duration
	Peak float64 // resident memory, MiB; 0 where the system does not say
}

func (c cost) cpu() time.Duration { return c.User + c.Sys }

// runLimit bounds one run of a tool.
const runLimit = 10 * time.Minute

// command is a program to run.
type command struct {
	args []string // args[0] is the executable
	env  []string // all of it
	dir  string
}

// timed runs a command to its end and says what it used. When ctx ends or the run
// takes longer than runLimit, the command and its children are killed.
func timed(ctx context.Context, c command, log io.Writer) (cost, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, fmt.Errorf("not finished after %s", runLimit))
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env, cmd.Dir = c.env, c.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownSession()
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = 5 * time.Second
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = errors.Join(cause, err)
	}
	if cmd.ProcessState == nil {
		return cost{}, err
	}
	return cost{
		Wall: wall,
		User: cmd.ProcessState.UserTime(),
		Sys:  cmd.ProcessState.SystemTime(),
		Peak: peakMemory(cmd.ProcessState),
	}, err
}

// baseEnv is what every process gets: nothing of the user's settings but PATH.
func baseEnv(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home,
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_REGION=us-east-1",
	}
}
