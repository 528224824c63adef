package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDemo runs the demo as a newcomer does, and every command it names as it is printed.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	demo := exec.CommandContext(t.Context(), binary, "demo", "--listen", "127.0.0.1:0", "--dir", dir)
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	demo.Stderr = &said
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = demo.Process.Kill() })
	var counts, env string
	var commands []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.Contains(line, "requested "):
			counts = line
		case strings.HasPrefix(line, "  export "):
			env = line
		case strings.HasPrefix(line, "  "):
			commands = append(commands, line)
		}
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	wants(t, counts, "requested 1,000 = synced 981 + ignored 16 + failed 3 + pending 0")
	if env == "" || len(commands) != 6 {
		t.Fatalf("the demo names %q", commands)
	}
	go func() {
		for lines.Scan() { //nolint:revive // what it prints on is read, and the pipe does not fill
		}
	}()
	for _, c := range []struct {
		part string
		code int
		says string
	}{
		{" status demo", 2, "Needs you: 3 records failed"},
		{"explain demo photos/a+b.jpg", 0, "IGNORE UP_TO_DATE"},
		{"explain demo photos/2024/999.jpg", 0, "KEY_NOT_REPRESENTABLE"},
		{"rm -r", 0, ""},
		{"retry demo --wait", 0, "synced 3"},
		{"prove demo", 0, "records = counters = list lines ✓"},
	} {
		line := commands[0]
		commands = commands[1:]
		if !strings.Contains(line, c.part) {
			t.Fatalf("%q is not %q", line, c.part)
		}
		sh := exec.CommandContext(t.Context(), "sh", "-c", env+"\n"+line)
		text, err := sh.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if code := sh.ProcessState.ExitCode(); code != c.code {
			t.Errorf("%s\nexit %d, want %d\n%s", line, code, c.code, text)
		}
		wants(t, string(text), c.says)
	}
	if err := demo.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("the demo ended with %v\n%s", err, said.String())
	}
	// The next start has another address, and no secret to show.
	again, err := exec.CommandContext(t.Context(), binary, "demo", "--listen", "127.0.0.1:0", "--dir", dir, "--for", "4s").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, again)
	}
	wants(t, string(again), "export LOCKSTEP_URL=http://127.0.0.1:", "the access key that the first start printed")
}
