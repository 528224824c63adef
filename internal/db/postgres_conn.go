package db

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pgConn leaves preparing and caching of statements to pgx. Statements whose answer
// nobody waits for travel with the next one, or with the commit: a transaction costs
// as many round trips as it has questions.
type pgConn struct {
	c      *pgxpool.Conn
	queued *pgx.Batch // sent with the next statement
}

func (c *pgConn) begin(_ context.Context, writing bool) error {
	sql := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	if writing {
		sql = "BEGIN ISOLATION LEVEL READ COMMITTED"
	}
	c.queued = &pgx.Batch{}
	c.queued.Queue(sql)
	return nil
}

// commit fails when the server rolled back instead, as it does after an error.
func (c *pgConn) commit(ctx context.Context) error {
	n := c.queued.Len()
	c.queued.Queue("COMMIT")
	r := c.send(ctx)
	for range n {
		if _, err := r.Exec(); err != nil {
			_ = r.Close() // tells the same
			return err
		}
	}
	tag, err := r.Exec()
	if err == nil && tag.String() != "COMMIT" {
		err = errors.New("db: the server rolled the transaction back")
	}
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (c *pgConn) rollback(ctx context.Context) error {
	if c.c.Conn().IsClosed() {
		return errors.New("db: connection lost")
	}
	c.queued = &pgx.Batch{}
	_, err := c.c.Exec(ctx, "ROLLBACK")
	return err
}

// send sends what is queued.
func (c *pgConn) send(ctx context.Context) pgx.BatchResults {
	b := c.queued
	c.queued = &pgx.Batch{}
	return c.c.SendBatch(ctx, b)
}

func (c *pgConn) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	rs, err := c.query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	rs.Close()
	return rs.(*pgRows).Rows.CommandTag().RowsAffected(), rs.Err()
}

func (c *pgConn) query(ctx context.Context, sql string, args ...any) (rows, error) {
	n := c.queued.Len()
	c.queued.Queue(sql, args...)
	r := c.send(ctx)
	for range n {
		if _, err := r.Exec(); err != nil {
			_ = r.Close() // tells the same
			return nil, err
		}
	}
	rs, err := r.Query()
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return &pgRows{Rows: rs, batch: r}, nil
}

func (c *pgConn) many(_ context.Context, sql string, args [][]any) error {
	for _, a := range args {
		c.queued.Queue(sql, a...)
	}
	return nil
}

// pgRows are the answer to the last statement of a batch.
type pgRows struct {
	pgx.Rows
	batch pgx.BatchResults
	err   error
}

func (r *pgRows) Close() {
	r.Rows.Close()
	if r.batch != nil {
		r.err = r.batch.Close()
		r.batch = nil
	}
}

func (r *pgRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.err
}
