package db_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func TestBackupOfADatabaseInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, to := filepath.Join(dir, "a b%?.db"), filepath.Join(dir, "copy ?.db")
	s := open1(t, path)
	if _, err := s.CreateTask(t.Context(), task.Task{Project: "p", Name: "n"}, task.Actor{}); err != nil {
		t.Fatal(err)
	}
	snap, err := db.BackupFile(t.Context(), path, to)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(to)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != snap.Bytes || snap.Schema < 1 || snap.Sealed != nil {
		t.Errorf("%+v, %v, %v", snap, info, err)
	}
	_, err = db.BackupFile(t.Context(), path, to)
	wantCode(t, err, "BACKUP_EXISTS")
	_, err = db.BackupFile(t.Context(), path, filepath.Join(dir, "no", "where.db"))
	wantCode(t, err, "BACKUP_UNWRITABLE")
	_, err = db.BackupFile(t.Context(), filepath.Join(dir, "none.db"), filepath.Join(dir, "x.db"))
	wantCode(t, err, "NO_DATABASE")
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("a database was made")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantTask(t, open1(t, to))
}

func TestBackupsThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "lockstep.db")
	fill(t, open1(t, path))
	good := filepath.Join(dir, "good.db")
	if _, err := db.BackupFile(t.Context(), path, good); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, body []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, body, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	check := func(path, code string) {
		t.Helper()
		_, err := db.CheckFile(t.Context(), path)
		wantCode(t, err, code)
	}
	check(filepath.Join(dir, "none"), "NO_BACKUP")
	check(write("empty", nil), "NOT_A_BACKUP")
	check(write("text", []byte("this is no database, but long enough")), "NOT_A_BACKUP")
	check(write("half", whole[:len(whole)/2]), "BACKUP_DAMAGED")
	hit := append([]byte{}, whole...)
	for i := len(hit) / 3; i < len(hit)/3+4096; i++ {
		hit[i] ^= 0xff
	}
	check(write("hit", hit), "BACKUP_DAMAGED")
	other := func(name, sqlText string, from []byte) string {
		p := write(name, from)
		conn, err := sql.Open("sqlite", p)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.ExecContext(t.Context(), sqlText); err != nil {
			t.Fatal(err)
		}
		return p
	}
	check(other("other", "CREATE TABLE x (y INT)", nil), "NOT_A_BACKUP")
	check(other("newer", "INSERT INTO schema_version (version_id, is_applied) VALUES (99999, 1)", whole), "SCHEMA_TOO_NEW")
}

func FuzzCheckFile(f *testing.F) {
	f.Add([]byte("SQLite format 3\x00"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, body []byte) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := db.CheckFile(t.Context(), path); err == nil {
			t.Fatal("something is taken for a backup")
		}
	})
}
