package db

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgresEngine is a pool of connections.
type postgresEngine struct {
	s    *Store
	pool *pgxpool.Pool
	bell chan struct{} // see notify_postgres.go
	told announcements
}

func openPostgres(ctx context.Context, s *Store) (engine, error) {
	cfg, err := pgxpool.ParseConfig(s.cfg.URL)
	if err != nil {
		return nil, err // pgx leaves the password out
	}
	cfg.MaxConns = int32(s.cfg.Readers)
	if s.cfg.Readers == 0 {
		cfg.MaxConns = 12
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	params := cfg.ConnConfig.RuntimeParams
	setDefault(params, "application_name", "lockstep")
	// A connection that dies in the middle of a transaction must not keep its locks.
	setDefault(params, "idle_in_transaction_session_timeout", "60000")
	setDefault(params, "statement_timeout", "120000")
	// What was acknowledged is on disk, whatever the server's default.
	params["synchronous_commit"] = "on"
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	e := &postgresEngine{s: s, pool: pool, bell: make(chan struct{}, 1)}
	if err := migratePostgres(ctx, pool, s.cfg.Migrate, s.log); err != nil {
		pool.Close()
		return nil, e.translate(err)
	}
	return e, nil
}

func setDefault(m map[string]string, key, value string) {
	if _, ok := m[key]; !ok {
		m[key] = value
	}
}

func (e *postgresEngine) acquire(ctx context.Context, _ bool) (conn, error) {
	c, err := e.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return &pgConn{c: c, queued: &pgx.Batch{}}, nil
}

func (e *postgresEngine) release(c conn, broken bool) {
	pc := c.(*pgConn)
	if broken {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second) //nolint:forbidigo // nobody waits for it
		defer cancel()
		_ = pc.c.Hijack().Close(ctx)
		return
	}
	pc.c.Release()
}

func (e *postgresEngine) close() error {
	e.pool.Close()
	return nil
}

func (e *postgresEngine) lock(clause string) string  { return " " + clause }
func (e *postgresEngine) writers() int               { return 4 }
func (e *postgresEngine) counterShard(shard int) int { return shard }

func (e *postgresEngine) leaseTime(ctx context.Context, t *txn) (time.Time, error) {
	if e.s.cfg.Now != nil {
		return e.s.now(), nil
	}
	var us int64
	err := one(ctx, t, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", nil, &us)
	return fromMicros(us), err
}

// interrupted: serialization failure, deadlock, lock not available.
func (e *postgresEngine) interrupted(err error) bool {
	switch pgCode(err) {
	case "40001", "40P01", "55P03":
		return true
	}
	return false
}

func pgCode(err error) string {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code
	}
	return ""
}

func (e *postgresEngine) translate(err error) error {
	if err == nil {
		return nil
	}
	var connect *pgconn.ConnectError
	var network net.Error
	switch code := pgCode(err); {
	case errors.As(err, &connect), errors.As(err, &network) && !errors.Is(err, context.Canceled),
		pgconn.SafeToRetry(err), e.interrupted(err):
		return unavailable(err)
	case code == "":
		return err
	// Connection, insufficient resources, operator intervention, system error, read-only.
	case code[:2] == "08", code[:2] == "53", code[:2] == "57", code[:2] == "58", code == "25006":
		return unavailable(err)
	}
	return err
}

func (e *postgresEngine) backup(context.Context, string) error {
	return unsupportedBackup
}

// ordered implements engine. PostgreSQL knows the order of an index behind columns that are
// constant only in a query that is planned by itself.
func (e *postgresEngine) ordered(query, order string, most int) string {
	return "(" + query + " ORDER BY " + order + " LIMIT " + strconv.Itoa(most) + ")"
}

// walkIndexes implements engine. The planner does not know that a page is short, since its
// length is a parameter, and would sort all rows that fit.
func (e *postgresEngine) walkIndexes(ctx context.Context, t *txn) error {
	_, err := t.exec(ctx, `SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true),
		set_config('enable_seqscan', 'off', true), set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)`)
	return err
}
