package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// on runs a command on the data directory of the service.
func (s *service) on(wantCode int, env string, args ...string) string {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), binary, args...)
	cmd.Env = append(os.Environ(), env)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		s.Fatal(err)
	}
	if code := cmd.ProcessState.ExitCode(); code != wantCode {
		s.Fatalf("lockstep %s: exit %d, want %d\n%s", strings.Join(args, " "), code, wantCode, out.String())
	}
	return out.String()
}

// TestBackupAndRestore takes a backup while events come in, loses the data directory but
// for the sealing key, and goes on from the backup.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	s := newService(t)
	store := t.TempDir()
	for i := range 200 {
		path := filepath.Join(store, "source", fmt.Sprintf("o%03d", i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(store, "destination"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.call(http.MethodPost, "/endpoints", map[string]any{"name": "disk", "provider": "file", "url": "file://" + store}, nil)
	s.newTask("t", "disk:source", "disk:destination", nil)
	file := filepath.Join(t.TempDir(), "backup.db")
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			s.event("t", fmt.Sprintf("o%03d", i))
		}
	})
	s.until("some events are settled", func() bool { return s.counts("t").Synced > 20 })
	wants(t, s.on(0, "", "backup", "--data", s.data, file), "whole ✓", "seal.key")
	wants(t, s.on(1, "", "backup", "--data", s.data, file), "BACKUP_EXISTS")
	wants(t, s.on(1, "", "restore", "--data", s.data, file), "DATA_IN_USE")
	wg.Wait()
	for _, secret := range []string{serviceSecret} {
		if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte(secret)) {
			t.Errorf("the backup holds a secret in clear, or cannot be read: %v", err)
		}
	}
	seal, err := os.ReadFile(filepath.Join(s.data, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, seal) {
		t.Errorf("the backup holds the sealing key: %v", err)
	}
	s.kill()
	if err := os.RemoveAll(s.data); err != nil {
		t.Fatal(err)
	}
	wants(t, s.on(0, "", "restore", "--data", s.data, file), "is now the database", "seal.key", "lockstep job start")
	if err := os.WriteFile(filepath.Join(s.data, "seal.key"), seal, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.settled("t")
	s.prove("t")
	if j := s.scanned("t"); j.State != "done" || j.Counts.Failed != 0 {
		t.Errorf("the scan after the restore: %+v", j)
	}
	s.settled("t")
	s.prove("t")
	for i := range 200 {
		if _, err := os.Stat(filepath.Join(store, "destination", fmt.Sprintf("o%03d", i))); err != nil {
			t.Error(err)
		}
	}
	s.stop()
	wants(t, s.on(0, "", "restore", "--data", s.data, "--json", file), `"replaced":`)
	postgres := "LOCKSTEP_DATABASE=postgres://u:p4ssw0rd@h/d"
	out := s.on(1, postgres, "backup", "--data", s.data, file+"2") + s.on(1, postgres, "restore", "--data", s.data, file)
	wants(t, out, "BACKUP_UNSUPPORTED", "pg_dump", "pg_restore")
	if strings.Contains(out, "p4ssw0rd") {
		t.Error("a password is printed")
	}
}
