// Package e2e runs the lockstep binary as users do: against real S3 servers and
// directories, killed in the middle, and measured.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// binary is the lockstep executable under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lockstep-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "lockstep")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "../../cmd/lockstep")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// counts is the last line of --json.
type counts struct {
	Requested, Synced, Failed, Ignored, Bytes int64
	Deleted                                   int64
}

// outcome is how one run of the command ended.
type outcome struct {
	code           int
	stdout, stderr string
	counts         counts
	maxRSS         int64 // KiB
}

// side is one end of a run as the command line names it.
type side struct {
	url       string
	endpoint  string
	provider  string
	accessKey string
	secretKey string
}

func dirSide(dir string) side { return side{url: "file://" + dir} }

// command makes `lockstep sync SRC DST --json flags…`.
func command(ctx context.Context, src, dst side, flags ...string) *exec.Cmd {
	args := []string{"sync", src.url, dst.url, "--json"}
	env := os.Environ()
	for _, s := range []struct {
		name, flag string
		side
	}{{"SRC", "src", src}, {"DST", "dst", dst}} {
		if s.endpoint != "" {
			args = append(args, "--"+s.flag+"-endpoint", s.endpoint)
		}
		if s.provider != "" {
			args = append(args, "--"+s.flag+"-provider", s.provider)
		}
		if s.accessKey != "" {
			env = append(env, "LOCKSTEP_"+s.name+"_ACCESS_KEY="+s.accessKey, "LOCKSTEP_"+s.name+"_SECRET_KEY="+s.secretKey)
		}
	}
	cmd := exec.CommandContext(ctx, binary, append(args, flags...)...)
	cmd.Env = env
	return cmd
}

// syncOnce runs the command to its end.
func syncOnce(t *testing.T, src, dst side, flags ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := command(ctx, src, dst, flags...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	peak := watchPeak(cmd.Process.Pid)
	err := cmd.Wait()
	maxRSS := peak()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	out := outcome{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), maxRSS: maxRSS}
	lines := strings.Split(strings.TrimSpace(out.stdout), "\n")
	if last := lines[len(lines)-1]; last != "" {
		if err := json.Unmarshal([]byte(last), &out.counts); err != nil {
			t.Fatalf("last line %q: %v", last, err)
		}
	}
	return out
}

// wantSync runs the command and fails unless it ends with code and these counts.
func wantSync(t *testing.T, src, dst side, code int, want counts, flags ...string) outcome {
	t.Helper()
	out := syncOnce(t, src, dst, flags...)
	if out.code != code || out.counts != want {
		t.Fatalf("exit %d, %+v; want exit %d, %+v\nstderr: %s", out.code, out.counts, code, want, out.stderr)
	}
	return out
}
