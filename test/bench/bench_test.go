//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test executable be what the harness starts as servers and steps.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && steps[os.Args[1]] != nil {
		main()
		return
	}
	os.Exit(m.Run())
}

// run runs the harness as the command line would and returns the lines of -json.
func run(t *testing.T, ctx context.Context, args ...string) (samples []sample, out string, err error) {
	t.Helper()
	data, lines := t.TempDir(), filepath.Join(t.TempDir(), "lines")
	opt, err := parseOptions(append(args, "-scale", ".01", "-data", data, "-json", lines))
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	err = runBench(ctx, opt, &printed)
	if left, readErr := os.ReadDir(data); readErr != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, readErr)
	}
	text, readErr := os.ReadFile(lines)
	if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
		t.Fatal(readErr)
	}
	for line := range bytes.Lines(text) {
		var s sample
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		samples = append(samples, s)
	}
	return samples, printed.String(), err
}

// script makes an executable for -lockstep.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLimitOnEveryKindOfStart(t *testing.T) {
	t.Parallel()
	samples, out, err := run(t, t.Context(), "-w", "W1,W2,W4,delay,same", "-runs", "2", "-tools", "limit")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(samples) != 10 {
		t.Errorf("%d samples, want 10", len(samples))
	}
	for _, s := range samples {
		if !s.OK || s.CPU <= 0 || s.Wall <= 0 || s.Peak <= 0 {
			t.Errorf("%+v", s)
		}
		if s.Workload == "W1" && (s.Requests["get"] != 200 || s.Requests["put"] != 200 || s.Requests["list"] != 1) {
			t.Errorf("W1 took %v requests, want 200 get, 200 put and 1 list", s.Requests)
		}
		// Each of 30 objects takes two requests of 10 ms; 16 go at once.
		if s.Workload == "delay" && s.Wall < .04 {
			t.Errorf("delay took %.3f s", s.Wall)
		}
	}
}

// A tool that does nothing must not pass, and must not spoil the runs of others.
func TestIdleToolFailsAlone(t *testing.T) {
	t.Parallel()
	idle := script(t, "exit 0")
	samples, out, err := run(t, t.Context(), "-w", "W1,W4", "-runs", "2", "-tools", "lockstep,limit", "-lockstep", idle)
	if err == nil {
		t.Errorf("no error although the tool did nothing\n%s", out)
	}
	for _, s := range samples {
		if want := s.Tool == toolLimit; s.OK != want {
			t.Errorf("%s run %d of %s: ok is %t, %s", s.Workload, s.Run, s.Tool, s.OK, s.Said)
		}
	}
}

func TestFailingToolIsQuoted(t *testing.T) {
	t.Parallel()
	broken := script(t, "echo no such luck >&2; exit 3")
	samples, _, err := run(t, t.Context(), "-w", "W1", "-runs", "1", "-tools", "lockstep", "-lockstep", broken)
	if err == nil || len(samples) != 1 || samples[0].OK || !strings.Contains(samples[0].Said, "exit status 3: no such luck") {
		t.Errorf("%v, %+v", err, samples)
	}
}

func TestCancelEndsEverything(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	endless := script(t, "sleep 600 & echo $! > "+pidFile+".new; mv "+pidFile+".new "+pidFile+"; wait")
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by the test")
	started := make(chan int, 1)
	go func() {
		pid := awaitPID(t, pidFile)
		cancel(stopped)
		started <- pid
	}()
	if _, _, err := run(t, ctx, "-w", "W1", "-runs", "1", "-tools", "lockstep", "-lockstep", endless); !errors.Is(err, stopped) {
		t.Errorf("error %v, want %v", err, stopped)
	}
	pid := <-started
	// The child of the tool was killed with it; somebody else reaps it.
	for tick := time.Tick(5 * time.Millisecond); alive(pid); <-tick {
		if t.Context().Err() != nil {
			t.Fatal("the tool's child lives on")
		}
	}
}

// awaitPID returns the number in a file as soon as it is there.
func awaitPID(t *testing.T, path string) int {
	for tick := time.Tick(5 * time.Millisecond); t.Context().Err() == nil; <-tick {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Error(err)
		}
		return pid
	}
	return 0
}

// alive takes a process that waits to be reaped for dead.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}
