package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cli runs a client command against the service and returns what it printed.
func (s *service) cli(wantCode int, stdin string, args ...string) string {
	s.Helper()
	cmd := s.command(args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code != wantCode {
		s.Fatalf("lockstep %s: exit %d, want %d\n%s", strings.Join(args, " "), code, wantCode, out.String())
	}
	return out.String()
}

// waitsForPaused waits for a job of a paused task: that it waits for the task is said, and
// the task is resumed then.
func (s *service) waitsForPaused(name string) {
	s.Helper()
	cmd := s.command("job", "start", name, "--wait")
	said, err := cmd.StderrPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil || !strings.Contains(line, "the task is paused: the job goes on after lockstep task resume") {
		s.Errorf("it said %q, %v", line, err)
	}
	s.cli(0, "", "task", "resume", name)
	if err := cmd.Wait(); err != nil {
		s.Errorf("job start --wait: %v", err)
	}
}

// command is a client command of the operator's.
func (s *service) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "LOCKSTEP_URL=http://"+s.address, "LOCKSTEP_ACCESS_KEY="+serviceKey, "LOCKSTEP_SECRET_KEY="+serviceSecret)
	return cmd
}

// wants fails unless text holds every part.
func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

// TestServiceByCommandLine does with client commands alone what an operator does.
func TestServiceByCommandLine(t *testing.T) {
	t.Parallel()
	s := newService(t)
	store := t.TempDir()
	for key, text := range map[string]string{"source/a.txt": "1", "source/a+b.txt": "22", "source/x.tmp": "3", "source/blocked": "4", "destination/blocked/inside": "5"} {
		path := filepath.Join(store, key)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, s.cli(1, "", "status"), "SERVICE_UNREACHABLE", "lockstep serve")
	s.start()
	wants(t, s.cli(0, "", "status"), "no task yet", "lockstep endpoint add")
	wants(t, s.cli(0, "", "endpoint", "add", "disk", "--provider", "file", "--url", "file://"+store), "lockstep endpoint check disk")
	wants(t, s.cli(0, "", "endpoint", "check", "disk", "--bucket", "destination", "--write"), "✓ list", "✓ multipart")
	wants(t, s.cli(1, "", "endpoint", "check", "disk", "--bucket", "nowhere"), "✗ list", "BUCKET_NOT_FOUND")
	wants(t, s.cli(0, "", "endpoint", "list"), "disk  file")
	wants(t, s.cli(1, "", "endpoint", "rotate", "disk"), "NO_STORE_KEYS", "--anonymous")
	wants(t, s.cli(0, "", "endpoint", "rotate", "disk", "--anonymous", "--json"), `"version":2`)
	wants(t, s.cli(1, "", "task", "create", "t", "source", "disk:destination"), "BAD_PLACE", "ENDPOINT:bucket/prefix")
	wants(t, s.cli(1, "", "task", "create", "t", "nowhere:source", "disk:destination"), "ENDPOINT_UNKNOWN", "lockstep endpoint add")
	id := strings.TrimSpace(s.cli(0, "", "task", "create", "t", "disk:source", "disk:destination", "--exclude", "*.tmp"))
	wants(t, s.cli(0, "", "task", "show", "t"), id, `"exclude *.tmp"`)
	wants(t, s.cli(0, "", "status"), "Nothing yet")
	wants(t, s.cli(2, "", "job", "start", "t", "--wait"), "scan done", "requested 4 = synced 2 + ignored 1 + failed 1 + pending 0")
	wants(t, s.cli(2, "", "status", "t"), "Needs you: 1 record failed", "KEY_NOT_REPRESENTABLE", "blocked", "requested 4 = synced 2 + ignored 1 + failed 1 + pending 0")
	wants(t, s.cli(0, "", "explain", "t", "x.tmp"), "EXCLUDED_BY_RULE", "rule 1: exclude *.tmp")
	if err := os.RemoveAll(filepath.Join(store, "destination/blocked")); err != nil {
		t.Fatal(err)
	}
	wants(t, s.cli(1, "", "retry", "t", "--reason", "KEY_NOT_PRESENTABLE"), `UNKNOWN_REASON`, `"KEY_NOT_PRESENTABLE"`, "KEY_NOT_REPRESENTABLE, TOO_LARGE")
	wants(t, s.cli(0, "", "retry", "t", "--wait"), "retry done", "requested 1 = synced 1")
	wants(t, s.cli(0, "", "status", "t"), "In sync", "requested 4 = synced 3 + ignored 1 + failed 0 + pending 0")
	wants(t, s.cli(0, "", "prove", "t"), "records = counters = list lines ✓")

	if err := os.WriteFile(filepath.Join(store, "source/a+b.txt"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	wants(t, s.cli(0, "", "event", "send", "t", "a+b.txt"), "1 key accepted")
	wants(t, s.cli(0, "a.txt\x00gone.txt\x00", "event", "send", "t", "--null", "-"), "2 keys accepted")
	wants(t, s.cli(0, "key\na.txt\n", "manifest", "send", "t", "-", "--wait"), "manifest done", "requested 1 =")
	wants(t, s.cli(1, "", "manifest", "send", "t", store), "INPUT_UNREADABLE", "is a directory")
	if text := s.cli(0, "", "event", "send", "t", "-"); text != "0 keys accepted\n" {
		t.Errorf("no key is accepted as %q", text)
	}
	s.settled("t")
	if got, err := os.ReadFile(filepath.Join(store, "destination/a+b.txt")); err != nil || string(got) != "changed" {
		t.Errorf("the destination holds %q, %v", got, err)
	}
	wants(t, s.cli(0, "", "job", "list", "t"), "scan", "events", "manifest", "retry")
	wants(t, s.cli(0, "", "task", "change", "t", "--compare", "checksum"), `"compare": "checksum"`, `"exclude *.tmp"`)
	wants(t, s.cli(0, "", "task", "pause", "t"), "t is paused")
	wants(t, s.cli(0, "", "event", "send", "t", "a.txt"), "1 key accepted")
	wants(t, s.cli(0, "", "status", "t"), "The task is paused: 1 key waiting")
	s.waitsForPaused("t")
	s.settled("t")
	wants(t, s.cli(0, "", "task", "stop", "t"), "t is stopped")
	wants(t, s.cli(1, "", "event", "send", "t", "a.txt"), "TASK_STOPPED")
	s.cli(0, "", "task", "delete", "t")
	wants(t, s.cli(0, "", "key", "create", "--role", "viewer", "--name", "eyes"), "LOCKSTEP_SECRET_KEY=")
	wants(t, s.cli(0, "", "key", "list"), "eyes", "viewer")
	wants(t, s.cli(1, "", "key", "create", "--role", "viewer", "--days", "-3"), "BAD_EXPIRY")
	wants(t, s.cli(0, "", "key", "token", serviceKey, "--ttl", "1h"), "lst1.")
	wants(t, s.cli(0, "", "key", "token", serviceKey, "--json"), `"expires_at":`)
	wants(t, s.cli(1, "", "key", "token", "LSNOBODY"), "KEY_NOT_FOUND", "lockstep key list")
	wants(t, s.cli(1, "", "key", "token", serviceKey, "--ttl", "0s"), "BAD_TTL")
	wants(t, s.cli(0, "", "audit", "list"), "task.delete", "endpoint.create")
	wants(t, s.cli(0, "", "audit", "verify"), "✓")
	s.cli(0, "", "endpoint", "remove", "disk")
	s.stop()
}
