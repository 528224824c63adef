package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// sqliteEngine is one file with one writing connection and a few that read.
type sqliteEngine struct {
	s       *Store
	db      *sql.DB
	writer  chan *sqliteConn // holds the writer while nobody has it
	readers chan *sqliteConn
	all     []*sqliteConn
}

// sqliteURL opens path with synchronous FULL, so that a commit is on disk when it
// returns, and a log of some megabytes between checkpoints.
func sqliteURL(path string, extra url.Values) string {
	q := url.Values{}
	for _, p := range []string{
		"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "wal_autocheckpoint(16000)",
		"journal_size_limit(134217728)", "temp_store(MEMORY)",
	} {
		q.Add("_pragma", p)
	}
	for k, vs := range extra {
		for _, v := range vs {
			q.Add(k, v)
		}
	}
	return fileURL(path, q)
}

func openSQLite(ctx context.Context, s *Store) (engine, error) {
	if err := makePrivate(s.cfg.Path); err != nil {
		return nil, err
	}
	if err := migrateSQLite(ctx, s.cfg.Path, s.now(), s.log); err != nil {
		return nil, err
	}
	readers := s.cfg.Readers
	if readers == 0 {
		readers = 4
	}
	e := &sqliteEngine{s: s, writer: make(chan *sqliteConn, 1), readers: make(chan *sqliteConn, readers)}
	var err error
	if e.db, err = sql.Open("sqlite", sqliteURL(s.cfg.Path, nil)); err != nil {
		return nil, err
	}
	for i := range readers + 1 {
		c, err := e.connect(ctx, i == 0)
		if err != nil {
			return nil, errors.Join(err, e.close())
		}
		if e.all = append(e.all, c); i == 0 {
			e.writer <- c
		} else {
			e.readers <- c
		}
	}
	return e, nil
}

// makePrivate creates the file, readable by its owner alone, when there is none.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (e *sqliteEngine) connect(ctx context.Context, writing bool) (*sqliteConn, error) {
	c, err := e.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	pragma := "PRAGMA cache_size(-2048); PRAGMA query_only(1)"
	if writing {
		pragma = "PRAGMA cache_size(-16384)"
	}
	if e.s.cfg.Volatile {
		pragma += "; PRAGMA synchronous(OFF)"
	}
	if _, err := c.ExecContext(ctx, pragma); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	sc := &sqliteConn{c: c, stmts: map[string]*sql.Stmt{}, raw: map[string]driver.Stmt{}}
	return sc, nil
}

func (e *sqliteEngine) acquire(ctx context.Context, writing bool) (conn, error) {
	from := e.readers
	if writing {
		from = e.writer
	}
	select {
	case c := <-from:
		c.writing = writing
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *sqliteEngine) release(c conn, broken bool) {
	sc := c.(*sqliteConn)
	if broken {
		// The transaction may still be open. A last try ends it; SQLite itself rolls back
		// on the errors that leave no choice.
		_, _ = sc.c.ExecContext(context.Background(), "ROLLBACK") //nolint:forbidigo // nobody waits for it
	}
	if sc.writing {
		e.writer <- sc
	} else {
		e.readers <- sc
	}
}

func (e *sqliteEngine) close() error {
	var errs []error
	for _, c := range e.all {
		errs = append(errs, c.close())
	}
	return errors.Join(append(errs, e.db.Close())...)
}

func (e *sqliteEngine) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (e *sqliteEngine) announce([]queue.LaneID) {}
func (e *sqliteEngine) lock(string) string      { return "" }
func (e *sqliteEngine) writers() int            { return 1 }
func (e *sqliteEngine) counterShard(int) int    { return 0 }
func (e *sqliteEngine) interrupted(err error) bool {
	return sqliteCode(err) == sqlite3.SQLITE_BUSY_SNAPSHOT
}

func (e *sqliteEngine) leaseTime(context.Context, *txn) (time.Time, error) { return e.s.now(), nil }

// SQLite hands the order of a union to its parts by itself.
func (e *sqliteEngine) ordered(query, _ string, _ int) string   { return query }
func (e *sqliteEngine) walkIndexes(context.Context, *txn) error { return nil }

func sqliteCode(err error) int {
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		return se.Code()
	}
	return 0
}

func (e *sqliteEngine) translate(err error) error {
	if err == nil {
		return nil
	}
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY,
		sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM:
		return unavailable(err)
	}
	return err
}

// notOpened is why a file could not be opened, to the operator who starts the process:
// there is no log yet to refer to.
func notOpened(err error) error {
	switch code := sqliteCode(err) & 0xff; code {
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return &task.Error{
			Kind: task.Unavailable, Code: "DATABASE_DAMAGED", Text: "the database file is damaged, or is none",
			Next: "put the latest backup in its place: lockstep restore FILE --data DIR", Err: err,
		}
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return &task.Error{
			Kind: task.Unavailable, Code: "DATABASE_UNAVAILABLE", Text: "the database file cannot be written",
			Next: "see that its disk has room and that this user may write to it and its directory, then start again", Err: err,
		}
	}
	return err
}

// backup writes a copy of the database, as of now, to a new file.
func (e *sqliteEngine) backup(ctx context.Context, path string) error {
	c, err := e.db.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(vacuumInto(ctx, c, path), c.Close())
}

func vacuumInto(ctx context.Context, c *sql.Conn, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return errors.Join(fmt.Errorf("copy the database to %s: %w", path, err), f.Close(), os.Remove(path))
	}
	return errors.Join(f.Sync(), f.Close())
}

// sqliteConn keeps every statement it has seen prepared.
type sqliteConn struct {
	c       *sql.Conn
	writing bool
	stmts   map[string]*sql.Stmt
	raw     map[string]driver.Stmt // prepared below database/sql, for the hot loops
	closing sync.Once
}

func (c *sqliteConn) begin(ctx context.Context, writing bool) error {
	sql := "BEGIN"
	if writing {
		sql = "BEGIN IMMEDIATE"
	}
	_, err := c.exec(ctx, sql)
	return err
}

func (c *sqliteConn) commit(ctx context.Context) error {
	_, err := c.exec(ctx, "COMMIT")
	return err
}

func (c *sqliteConn) rollback(ctx context.Context) error {
	_, err := c.exec(ctx, "ROLLBACK")
	return err
}

func (c *sqliteConn) exec(ctx context.Context, query string, args ...any) (int64, error) {
	st, err := c.prepare(ctx, query) //nolint:sqlclosecheck // kept until the connection is closed
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c *sqliteConn) query(ctx context.Context, query string, args ...any) (rows, error) {
	st, err := c.prepare(ctx, query) //nolint:sqlclosecheck // kept until the connection is closed
	if err != nil {
		return nil, err
	}
	rs, err := st.QueryContext(ctx, args...) //nolint:rowserrcheck // the caller asks
	if err != nil {
		return nil, err
	}
	return sqlRows{rs}, nil
}

func (c *sqliteConn) many(ctx context.Context, query string, args [][]any) error {
	for _, a := range args {
		if _, err := c.exec(ctx, query, a...); err != nil {
			return err
		}
	}
	return nil
}

func (c *sqliteConn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if st := c.stmts[query]; st != nil {
		return st, nil
	}
	st, err := c.c.PrepareContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil, fmt.Errorf("%w in %q", err, query)
	}
	c.stmts[query] = st
	return st, nil
}

func (c *sqliteConn) close() (err error) {
	c.closing.Do(func() {
		for _, st := range c.stmts {
			err = errors.Join(err, st.Close())
		}
		err = errors.Join(err, c.c.Raw(func(any) error {
			var errs []error
			for _, st := range c.raw {
				errs = append(errs, st.Close())
			}
			return errors.Join(errs...)
		}), c.c.Close())
	})
	return err
}

// sqlRows is sql.Rows with the Close of rows.
type sqlRows struct{ *sql.Rows }

func (r sqlRows) Close() { _ = r.Rows.Close() }
