package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/lockstep-sync/lockstep/test/bench/workload"
)

// place is where a run happens.
type place struct {
	src, dst string // endpoints
	work     string // an empty folder
	same     bool   // both buckets are on one server
}

// tool is something to measure. It returns its arguments, without the executable,
// and what it wants in its environment; ok is false when it sits a workload out.
type tool struct {
	name    string
	program string
	command func(w workload.Workload, at place) (args, env []string, ok bool)
}

// prepareTools builds or finds what is to be measured, in the order of the table.
func prepareTools(ctx context.Context, opt options, self, dir string) ([]tool, error) {
	var tools []tool
	for _, name := range opt.tools {
		t := tool{name: name, command: lockstepCommand}
		var err error
		switch name {
		case toolLimit:
			t.program, t.command = self, limitCommand
		case toolBaseline:
			t.program, err = filepath.Abs(opt.baseline)
		default:
			t.program, err = lockstepProgram(ctx, opt, dir)
		}
		if err != nil {
			return nil, err
		}
		tools = append(tools, t)
	}
	for _, name := range opt.peers {
		peer, err := peerTools[name](ctx)
		if err != nil {
			return nil, err
		}
		tools = slices.Concat(tools, peer)
	}
	return tools, nil
}

// lockstepProgram builds this module's command, unless another one was named.
func lockstepProgram(ctx context.Context, opt options, dir string) (string, error) {
	if opt.lockstep != "" {
		return filepath.Abs(opt.lockstep)
	}
	path := filepath.Join(dir, "lockstep")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/lockstep-sync/lockstep/cmd/lockstep")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", errors.Join(fmt.Errorf("build lockstep (run this inside its module, or name one with -lockstep): %w", err), ctx.Err())
	}
	return path, nil
}

func lockstepCommand(_ workload.Workload, at place) (args, env []string, ok bool) {
	return []string{
		"sync", "s3://" + srcBucket, "s3://" + dstBucket,
		"--src-endpoint", at.src, "--dst-endpoint", at.dst,
	}, nil, true
}

// limitCommand gives the limit what it needs to know to do as little as it can:
// an empty destination is not listed, equal sides are only listed.
func limitCommand(w workload.Workload, at place) (args, env []string, ok bool) {
	concurrency := 16
	switch {
	case w.Delayed:
		concurrency = 64 // waits cost nothing
	case w.Data == workload.Big:
		concurrency = 4
	}
	args = []string{"limit", "-src", at.src, "-dst", at.dst, "-c", strconv.Itoa(concurrency)}
	switch w.Start {
	case workload.Fresh:
		args = append(args, "-no-dst-list")
	case workload.Equal:
		args = append(args, "-list-only")
	case workload.Changed:
	}
	if at.same {
		args = append(args, "-server-side")
	}
	return args, nil, true
}
