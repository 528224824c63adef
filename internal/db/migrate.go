package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/lockstep-sync/lockstep/internal/task"
)

//go:embed migrations
var migrations embed.FS

// bootLock is the advisory lock that one migrating node holds; any number will do
// that no other program on the server uses.
const bootLock = 0x6c6f636b73746570 // "lockstep"

var unsupportedBackup = &task.Error{
	Kind: task.Invalid, Code: "BACKUP_UNSUPPORTED",
	Text: "a PostgreSQL database is backed up with its own tools", Next: "use pg_dump or a base backup",
}

// Backup writes a copy of an SQLite database, as of now, to a new file.
func (s *Store) Backup(ctx context.Context, path string) error {
	return s.eng.translate(s.eng.backup(ctx, path))
}

func provider(dialect goose.Dialect, dir string, db *sql.DB) (*goose.Provider, error) {
	sub, err := fs.Sub(migrations, "migrations/"+dir)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(dialect, db, sub, goose.WithTableName("schema_version"))
}

// migrateSQLite brings the file up to date. One that holds data is copied first, to a
// file beside it that is named after its version.
func migrateSQLite(ctx context.Context, path string, now time.Time, log *slog.Logger) (err error) {
	unlock, err := lockFile(path + ".boot-lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	db, err := sql.Open("sqlite", sqliteURL(path, nil))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()

	p, err := provider(goose.DialectSQLite3, "sqlite", db)
	if err != nil {
		return err
	}
	river, err := rivermigrate.New(riversqlite.New(db), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	at, due, err := versions(ctx, p, river)
	if err != nil || !due {
		return err
	}
	if at > 0 {
		backup := fmt.Sprintf("%s.v%d-%s", path, at, now.UTC().Format("20060102T150405.000Z"))
		if err := backupBefore(ctx, db, backup); err != nil {
			return err
		}
		log.InfoContext(ctx, "database copied before its migration", "file", filepath.Base(backup))
	}
	return migrateUp(ctx, p, river)
}

func backupBefore(ctx context.Context, db *sql.DB, path string) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(vacuumInto(ctx, c, path), c.Close())
}

// migratePostgres brings the schema up to date. One that holds data is migrated only
// when allowed.
func migratePostgres(ctx context.Context, pool *pgxpool.Pool, allowed bool, log *slog.Logger) error {
	lock, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// The lock ends with its connection, so that one does not go back to the pool.
	conn := lock.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(bootLock)); err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }() // the pool is another's
	p, err := provider(goose.DialectPostgres, "postgres", db)
	if err != nil {
		return err
	}
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	at, due, err := versions(ctx, p, river)
	if err != nil || !due {
		return err
	}
	if at > 0 && !allowed {
		return &task.Error{
			Kind: task.Conflict, Code: "MIGRATION_NEEDED",
			Text: fmt.Sprintf("the database has schema version %d; this program needs a newer one", at),
			Next: "back it up, stop all other nodes, and start once with --migrate",
		}
	}
	log.InfoContext(ctx, "migrating the database", "from", at)
	return migrateUp(ctx, p, river)
}

// versions returns the schema's version, 0 for an empty one, and whether it is to be
// migrated. A schema newer than this program is an error.
func versions[T any](ctx context.Context, p *goose.Provider, river *rivermigrate.Migrator[T]) (at int64, due bool, err error) {
	at, target, err := p.GetVersions(ctx)
	if err != nil {
		return 0, false, err
	}
	if at > target {
		return 0, false, schemaTooNew(at, target)
	}
	if at < target {
		return at, true, nil
	}
	v, err := river.Validate(ctx, nil)
	if err != nil {
		return 0, false, err
	}
	return at, !v.OK, nil
}

func migrateUp[T any](ctx context.Context, p *goose.Provider, river *rivermigrate.Migrator[T]) error {
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the job tables: %w", err)
	}
	return nil
}

// lockFile waits for the lock that one booting process holds on path.
func lockFile(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f.Close, nil
}
