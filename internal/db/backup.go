package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Snapshot is what a file of a database holds.
type Snapshot struct {
	Schema int64 // version
	Bytes  int64
	// Sealed is one of its sealed secrets, nil when it has none: it tells which sealing
	// key the database needs.
	Sealed []byte
}

// BackupFile writes a copy of the SQLite database at path, as of now, to a new file that
// only its owner can read. A process may be serving the database. NotFound: there is none;
// Conflict: the new file exists.
func BackupFile(ctx context.Context, path, to string) (Snapshot, error) {
	if _, err := os.Stat(path); err != nil {
		return Snapshot{}, &task.Error{
			Kind: task.NotFound, Code: "NO_DATABASE", Text: "there is no database " + path,
			Next: "give --data the directory that lockstep serve has", Err: err,
		}
	}
	db, err := sql.Open("sqlite", fileURL(path, url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(10000)"}}))
	if err != nil {
		return Snapshot{}, err
	}
	err = backupTo(ctx, db, to)
	if err = errors.Join(err, db.Close()); err != nil {
		return Snapshot{}, err
	}
	snap, err := CheckFile(ctx, to)
	if err != nil {
		err = errors.Join(err, os.Remove(to))
	}
	return snap, err
}

func backupTo(ctx context.Context, db *sql.DB, to string) error {
	err := backupBefore(ctx, db, to)
	if errors.Is(err, fs.ErrExist) {
		return &task.Error{Kind: task.Conflict, Code: "BACKUP_EXISTS", Text: to + " exists", Next: "name a new file", Err: err}
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return &task.Error{Kind: task.Invalid, Code: "BACKUP_UNWRITABLE", Text: "the backup cannot be written: " + pathErr.Error(), Next: "name a file where this user may write", Err: err}
	}
	return err
}

// CheckFile says whether a file that nobody writes is a whole database of Lockstep that
// this program can serve. It reads all of it and changes nothing. Errors are Invalid with code
// NOT_A_BACKUP or BACKUP_DAMAGED, or Conflict with SCHEMA_TOO_NEW.
func CheckFile(ctx context.Context, path string) (snap Snapshot, err error) {
	if err := checkHeader(path); err != nil {
		return snap, err
	}
	db, err := sql.Open("sqlite", fileURL(path, url.Values{"mode": {"ro"}, "immutable": {"1"}}))
	if err != nil {
		return snap, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkWhole(ctx, db, path); err != nil {
		return snap, err
	}
	if err := db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM schema_version WHERE is_applied").Scan(&snap.Schema); err != nil || snap.Schema == 0 {
		return snap, notABackup(path, err)
	}
	known, err := newestSchema()
	if err != nil {
		return snap, err
	}
	if snap.Schema > known {
		return snap, schemaTooNew(snap.Schema, known)
	}
	err = db.QueryRowContext(ctx, "SELECT sealed FROM access_keys UNION ALL SELECT sealed FROM endpoints WHERE length(sealed) > 0 LIMIT 1").Scan(&snap.Sealed)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return snap, notABackup(path, err)
	}
	info, err := os.Stat(path)
	if err == nil {
		snap.Bytes = info.Size()
	}
	return snap, err
}

// checkHeader reads what every SQLite database begins with
// (sqlite.org/fileformat.html, 1.3.1).
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return &task.Error{Kind: task.NotFound, Code: "NO_BACKUP", Text: "the backup cannot be read: " + err.Error(), Next: "check the path", Err: err}
	}
	defer func() { _ = f.Close() }() // nothing was written
	var head [16]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:]) != "SQLite format 3\x00" {
		return notABackup(path, err)
	}
	return nil
}

func checkWhole(ctx context.Context, db *sql.DB, path string) error {
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check(3)")
	if err != nil {
		return damaged(path, err)
	}
	defer func() { _ = rows.Close() }()
	var said []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return damaged(path, err)
		}
		said = append(said, s)
	}
	if err := rows.Err(); err != nil {
		return damaged(path, err)
	}
	if len(said) != 1 || said[0] != "ok" {
		return damaged(path, errors.New(strings.Join(said, "; ")))
	}
	return nil
}

func damaged(path string, err error) error {
	return &task.Error{Kind: task.Invalid, Code: "BACKUP_DAMAGED", Text: path + " is damaged", Next: "use another backup", Err: err}
}

func notABackup(path string, err error) error {
	return &task.Error{Kind: task.Invalid, Code: "NOT_A_BACKUP", Text: path + " is no database of Lockstep", Next: "name a file that lockstep backup wrote", Err: err}
}

func schemaTooNew(at, known int64) error {
	return &task.Error{
		Kind: task.Conflict, Code: "SCHEMA_TOO_NEW",
		Text: fmt.Sprintf("the database has schema version %d; this program knows %d", at, known),
		Next: "use the program that migrated it, or restore the backup made before",
	}
}

// newestSchema is the version that this program migrates to.
func newestSchema() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/sqlite/*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, name := range names {
		v, err := goose.NumericComponent(name)
		if err != nil {
			return 0, err
		}
		newest = max(newest, v)
	}
	return newest, nil
}

func fileURL(path string, q url.Values) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}
