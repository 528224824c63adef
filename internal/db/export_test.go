package db

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// MigrateTo makes a database as an older program left it.
func MigrateTo(ctx context.Context, cfg Config, version int64) (err error) {
	dialect, dir := goose.DialectSQLite3, "sqlite"
	var d *sql.DB
	if cfg.URL == "" {
		if d, err = sql.Open("sqlite", sqliteURL(cfg.Path, nil)); err != nil {
			return err
		}
	} else {
		pool, err := pgxpool.New(ctx, cfg.URL)
		if err != nil {
			return err
		}
		defer pool.Close()
		dialect, dir, d = goose.DialectPostgres, "postgres", stdlib.OpenDBFromPool(pool)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	p, err := provider(dialect, dir, d)
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, version)
	return err
}

// Exec runs a statement, for tests that need rows nobody would report one by one.
func (s *Store) Exec(ctx context.Context, sql string) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		_, err := t.exec(ctx, sql)
		return err
	})
}

// OnWriter runs a statement on the one connection of SQLite that writes, outside of any
// transaction: for PRAGMAs.
func (s *Store) OnWriter(ctx context.Context, sql string) error {
	c, err := s.acquire(ctx, true)
	if err != nil {
		return err
	}
	defer s.eng.release(c, false)
	_, err = c.(*sqliteConn).c.ExecContext(ctx, sql)
	return err
}
