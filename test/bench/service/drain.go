package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
)

// drainLine is what the benchmark of package db prints for an engine.
var drainLine = regexp.MustCompile(`BenchmarkDrain/(\w+)\S*\s+\d+\s+([\d.]+) cpu-µs/key\s+([\d.]+) keys/s`)

// drain settles keys with a transfer that does nothing, counters and list lines exact: the
// benchmark of package db, which is within the database and so cannot be run from here.
func drain(ctx context.Context, b *bench) error {
	times, engine := "60000x", "sqlite"
	if b.quick {
		times = "300x"
	}
	if b.postgres != nil {
		engine = "postgres"
	}
	// A batch of the benchmark is ten keys.
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkDrain$/^"+engine+"$", "-benchtime", times,
		"github.com/lockstep-sync/lockstep/internal/db")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	m := drainLine.FindSubmatch(out)
	if m == nil {
		return errors.New("the benchmark of package db printed no figure:\n" + string(out))
	}
	b.result("drain", fmt.Sprintf("%s keys/s settled with exact counters and list lines; CPU %s µs a key", m[3], m[2]), "≥ 60,000")
	return nil
}
