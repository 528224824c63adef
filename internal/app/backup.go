package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Backup is a file that holds all that a service knows, but not the sealing key.
type Backup struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	Schema int64  `json:"schema"`
	// Seal is the id of the sealing key that its secrets need; "" when it has none.
	Seal string `json:"seal_key_id,omitempty"`
	// SealMissing says that the data directory it was restored to has no such key, or
	// another.
	SealMissing bool `json:"seal_key_missing,omitempty"`
	// Replaced is where the database went that was there before; "" when none was.
	Replaced string `json:"replaced,omitempty"`
}

// BackupData writes a copy of the database of a data directory, whose service may be
// running, to a new file.
func BackupData(ctx context.Context, data, file string) (Backup, error) {
	snap, err := db.BackupFile(ctx, filepath.Join(data, databaseFile), file)
	return backupOf(file, snap), err
}

func backupOf(file string, snap db.Snapshot) Backup {
	b := Backup{File: file, Bytes: snap.Bytes, Schema: snap.Schema}
	if id, ok := secret.SealedWith(snap.Sealed); ok {
		b.Seal = id.String()
	}
	return b
}

// RestoreData makes a backup the database of a data directory that no process uses. The
// file is copied and checked before anything changes; a database that was there is kept
// beside it.
func RestoreData(ctx context.Context, file, data string, now time.Time) (_ Backup, err error) {
	lock, err := lockData(data, true)
	if err != nil {
		return Backup{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, err := db.CheckFile(ctx, file); err != nil {
		return Backup{}, err
	}
	next := filepath.Join(data, ".restoring.db")
	if err := copyFile(file, next); err != nil {
		return Backup{}, errors.Join(&task.Error{
			Kind: task.Unavailable, Code: "RESTORE_FAILED", Text: "the backup cannot be copied: " + err.Error(),
			Next: "make room in " + data, Err: err,
		}, os.RemoveAll(next))
	}
	snap, err := db.CheckFile(ctx, next)
	if err != nil {
		return Backup{}, errors.Join(err, os.Remove(next))
	}
	b := backupOf(file, snap)
	b.SealMissing = !hasSealKey(data, snap.Sealed)
	if b.Replaced, err = moveAside(data, now); err != nil {
		return b, err
	}
	if err := os.Rename(next, filepath.Join(data, databaseFile)); err != nil {
		return b, err
	}
	return b, syncDir(data)
}

// hasSealKey says whether the data directory's own key opens a sealed secret, or none is
// needed.
func hasSealKey(data string, sealed []byte) bool {
	id, ok := secret.SealedWith(sealed)
	if !ok {
		return true
	}
	path := filepath.Join(data, "seal.key")
	if _, err := os.Stat(path); err != nil {
		return false // reading would make one
	}
	key, err := secret.Load("", path)
	return err == nil && key.ID() == id
}

// moveAside gives a database that is there another name, with its log, without which it
// would not be whole.
func moveAside(data string, now time.Time) (string, error) {
	path := filepath.Join(data, databaseFile)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	aside := fmt.Sprintf("%s.replaced-%s", path, now.UTC().Format("20060102T150405.000Z"))
	for _, part := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(path+part, aside+part); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}

func copyFile(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Sync(), dst.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
