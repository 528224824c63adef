package pinned

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Build makes p's executable with `go install` unless it is there, and returns
// its path. What it does, and what go says, goes to log. A second process that
// wants the same program waits for the first. An interrupted build leaves no
// executable behind.
func (p Program) Build(ctx context.Context, log io.Writer) (string, error) {
	path, err := p.Path()
	if err != nil {
		return "", err
	}
	if _, ok := p.Built(); ok {
		return path, nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "."+p.Name+".lock"))
	if err != nil {
		return "", fmt.Errorf("lock the build of %s: %w", p.Name, err)
	}
	defer unlock()
	if _, ok := p.Built(); ok { // by whoever held the lock
		return path, nil
	}
	if err := p.install(ctx, path, log); err != nil {
		return "", err
	}
	return path, nil
}

// install builds beside path and renames: whatever bears the final name is whole.
func (p Program) install(ctx context.Context, path string, log io.Writer) (err error) {
	tmp, err := os.MkdirTemp(filepath.Dir(path), ".building-")
	if err != nil {
		return fmt.Errorf("build %s: %w", p.Name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()

	began := time.Now()
	pkg := p.Package + "@" + p.Version
	say(log, "building %s, which takes about %s the first time", pkg, p.Takes)
	cmd := exec.CommandContext(ctx, "go", "install", "-ldflags=-s -w", pkg)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "GOBIN="+tmp, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go install %s: %w", pkg, err)
	}
	if err := os.Rename(filepath.Join(tmp, p.Name+exeSuffix()), path); err != nil {
		return fmt.Errorf("keep %s: %w", p.Name, err)
	}
	say(log, "built %s in %s", path, time.Since(began).Round(time.Second))
	return nil
}

// say tells the one who waits; that it could not be told is no reason to stop.
func say(log io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(log, format+"\n", args...) }
