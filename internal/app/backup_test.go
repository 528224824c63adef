package app

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func serviceIn(t *testing.T, data string) *Service {
	t.Helper()
	s, err := NewService(t.Context(), ServeConfig{Serve: config.Serve{Data: data, Listen: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRestore(t *testing.T) {
	t.Parallel()
	data, elsewhere := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "new")
	file := filepath.Join(t.TempDir(), "backup.db")
	s := serviceIn(t, data)
	key := s.FirstKey().ID
	b, err := BackupData(t.Context(), data, file)
	if err != nil || b.Seal == "" {
		t.Fatalf("%+v, %v", b, err)
	}
	_, err = RestoreData(t.Context(), file, data, time.Now())
	var told *task.Error
	if !errors.As(err, &told) || told.Code != "DATA_IN_USE" {
		t.Errorf("over a running service: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// Into a new directory: its secrets need the key of the old one.
	b, err = RestoreData(t.Context(), file, elsewhere, time.Now())
	if err != nil || !b.SealMissing || b.Replaced != "" {
		t.Fatalf("%+v, %v", b, err)
	}
	seal, err := os.ReadFile(filepath.Join(data, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(elsewhere, "seal.key"), seal, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err = RestoreData(t.Context(), file, elsewhere, time.Now())
	if err != nil || b.SealMissing || b.Replaced == "" {
		t.Fatalf("%+v, %v", b, err)
	}
	if _, err := os.Stat(b.Replaced); err != nil {
		t.Errorf("the one before is gone: %v", err)
	}
	s = serviceIn(t, elsewhere)
	if got := s.FirstKey(); got.ID != key || got.Made {
		t.Errorf("the restored service has key %v, not %v", got.ID, key)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// What is no backup changes nothing.
	if err := os.WriteFile(file, []byte("no backup"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = RestoreData(t.Context(), file, elsewhere, time.Now()); !errors.As(err, &told) || told.Code != "NOT_A_BACKUP" {
		t.Errorf("%v", err)
	}
	s = serviceIn(t, elsewhere)
	if s.FirstKey().Made {
		t.Error("the database is gone")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
