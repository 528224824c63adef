// Package elastic runs the official clients of Elasticsearch, as they are published,
// against a lockstep service.
package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/test/clients/npm"
)

const (
	accessKey = "LSTESTTESTTESTTEST00"
	secretKey = "a secret that only these tests know"
)

func TestGo9(t *testing.T) { t.Parallel(); runGo(t, "go9") }

func TestGo8Interop(t *testing.T) { t.Parallel(); interop(t); runGo(t, "go8") }

func TestJS9(t *testing.T) { t.Parallel(); runJS(t, npm.Node, "js9") }

func TestJS8Interop(t *testing.T) { t.Parallel(); runJS(t, npm.Interop, "js8") }

// interop leaves a slow test to `make interop`, which asks for it by name.
func interop(t *testing.T) {
	t.Helper()
	if !strings.Contains(os.Getenv("LOCKSTEP_REQUIRE"), npm.Interop) {
		t.Skipf("LOCKSTEP_REQUIRE does not name %s", npm.Interop)
	}
}

func runGo(t *testing.T, dir string) {
	if testing.Short() {
		t.Skip("builds a large client")
	}
	program := filepath.Join(t.TempDir(), dir)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", dir, err, out)
	}
	drive(t, exec.CommandContext(t.Context(), program))
}

// runJS runs the one program for both clients, which do the same.
func runJS(t *testing.T, word, dir string) {
	installed := npm.Install(t, word, dir)
	cmd := exec.CommandContext(t.Context(), "node", "main.mjs")
	cmd.Dir = "js9"
	cmd.Env = append(os.Environ(), "LOCKSTEP_ELASTIC_CLIENT="+installed)
	drive(t, cmd)
}

// drive runs a client program against a service of its own.
func drive(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	s := serve(t)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "LOCKSTEP_URL="+s.url, "LOCKSTEP_ACCESS_KEY="+accessKey, "LOCKSTEP_SECRET_KEY="+secretKey, "LOCKSTEP_TASK="+s.task())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "ok") {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// service is a lockstep process.
type service struct {
	*testing.T
	url, disk string
}

func serve(t *testing.T) *service {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "lockstep")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../../cmd/lockstep")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := &service{t, "http://" + address, filepath.Join(dir, "disk")}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, binary, "serve", "--data", filepath.Join(dir, "data"), "--listen", address, "--allow-dir", s.disk)
	cmd.Env = append(os.Environ(), "LOCKSTEP_ACCESS_KEY="+accessKey, "LOCKSTEP_SECRET_KEY="+secretKey)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if text := log.String(); t.Failed() {
			t.Logf("the end of the log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for give := time.After(2 * time.Minute); ; {
		if status, _ := s.try(http.MethodGet, "/readyz", nil); status == http.StatusOK {
			return s
		}
		select {
		case <-tick.C:
		case <-give:
			t.Fatal("the service is not ready within two minutes")
		}
	}
}

func (s *service) try(method, path string, in any) (status int, body []byte) {
	s.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		s.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.Context(), method, s.url+path, bytes.NewReader(text))
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(accessKey, secretKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return resp.StatusCode, body
}

// task makes a task with three objects to copy, and returns its id.
func (s *service) task() string {
	s.Helper()
	for _, bucket := range []string{"from", "to"} {
		if err := os.MkdirAll(filepath.Join(s.disk, bucket), 0o755); err != nil {
			s.Fatal(err)
		}
	}
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(s.disk, "from", fmt.Sprint("object-", i)), []byte("some bytes"), 0o644); err != nil {
			s.Fatal(err)
		}
	}
	if status, body := s.try(http.MethodPost, "/api/v1/endpoints", map[string]any{"name": "disk", "provider": "file", "url": "file://" + s.disk}); status/100 != 2 {
		s.Fatalf("endpoint: %d %s", status, body)
	}
	status, body := s.try(http.MethodPost, "/api/v1/tasks", map[string]any{
		"name": "books", "source": map[string]string{"endpoint": "disk", "bucket": "from"}, "destination": map[string]string{"endpoint": "disk", "bucket": "to"},
	})
	var k struct{ ID string }
	if err := json.Unmarshal(body, &k); err != nil || status/100 != 2 || k.ID == "" {
		s.Fatalf("task: %d %s", status, body)
	}
	return k.ID
}
