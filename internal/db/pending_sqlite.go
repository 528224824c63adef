package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// One prepared statement for each row, below database/sql, is the cheapest form with
// this driver: rows of VALUES, RETURNING and IN lists all cost more per row.

// rawStmt is a statement in a hot loop.
type rawStmt struct {
	st   driver.Stmt
	args []driver.NamedValue
}

// loop runs f with a prepared statement of n parameters.
func (c *sqliteConn) loop(query string, n int, f func(*rawStmt) error) error {
	return c.c.Raw(func(dc any) error {
		st := c.raw[query]
		if st == nil {
			var err error
			if st, err = dc.(driver.Conn).Prepare(query); err != nil {
				return fmt.Errorf("%w in %q", err, query)
			}
			c.raw[query] = st
		}
		r := &rawStmt{st: st, args: make([]driver.NamedValue, n)}
		for i := range r.args {
			r.args[i].Ordinal = i + 1
		}
		return f(r)
	})
}

func (r *rawStmt) set(values ...driver.Value) {
	for i, v := range values {
		r.args[i].Value = v
	}
}

func (r *rawStmt) exec(ctx context.Context) (changed int64, err error) {
	res, err := r.st.(driver.StmtExecContext).ExecContext(ctx, r.args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// each calls f for each row of the answer, which f must not keep.
func (r *rawStmt) each(ctx context.Context, f func([]driver.Value) (more bool)) error {
	rs, err := r.st.(driver.StmtQueryContext).QueryContext(ctx, r.args)
	if err != nil {
		return err
	}
	values := make([]driver.Value, len(rs.Columns()))
	for more := true; more; {
		err := rs.Next(values)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(err, rs.Close())
		}
		more = f(values)
	}
	return rs.Close()
}

const sqliteInsert = `INSERT INTO pending
	(seq, task, shard, key, rank, next_at, job, class, accepted_at, attempts, missed, retry, failed_seq, known, shared)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (task, shard, key) DO NOTHING`

func (e *sqliteEngine) insert(ctx context.Context, t *txn, rs []row) (kept []bool, err error) {
	first, err := sqliteSeq(ctx, t, len(rs))
	if err != nil {
		return nil, err
	}
	kept = make([]bool, len(rs))
	err = t.conn.(*sqliteConn).loop(sqliteInsert, 15, func(st *rawStmt) error {
		for i := range rs {
			r := &rs[i]
			var known driver.Value
			if r.known != nil {
				known = r.known
			}
			st.set(first+int64(i), r.task, int64(r.shard), []byte(r.key), int64(r.rank), r.nextAt, r.job, int64(r.class),
				r.acceptedAt, int64(r.attempts), bit(r.missed), r.retry, r.failedSeq, known, bit(r.shared))
			n, err := st.exec(ctx)
			if err != nil {
				return err
			}
			kept[i] = n == 1
		}
		return nil
	})
	return kept, err
}

// sqliteSeq takes n numbers from the sequence and returns the first.
func sqliteSeq(ctx context.Context, t *txn, n int) (first int64, err error) {
	var last int64
	err = one(ctx, t, "UPDATE pending_seq SET value = value + $1 WHERE one = 1 RETURNING value", []any{n}, &last)
	return last - int64(n) + 1, err
}

// upsert inserts, and replaces what was in the way: with one writer nothing comes
// between the two.
func (e *sqliteEngine) upsert(ctx context.Context, t *txn, rs []row) ([]displaced, error) {
	kept, err := e.insert(ctx, t, rs)
	if err != nil {
		return nil, err
	}
	var again []row
	for i, k := range kept {
		if !k {
			again = append(again, rs[i])
		}
	}
	if len(again) == 0 {
		return nil, nil
	}
	var old []displaced
	err = t.conn.(*sqliteConn).loop(`DELETE FROM pending WHERE task = ? AND shard = ? AND key = ?
		RETURNING job, accepted_at, class, retry, known, shared`, 3, func(st *rawStmt) error {
		for i := range again {
			r := &again[i]
			st.set(r.task, int64(r.shard), []byte(r.key))
			err := st.each(ctx, func(v []driver.Value) bool {
				d := displaced{
					laneNum: r.laneNum, key: r.key, job: v[0].(int64), acceptedAt: v[1].(int64),
					class: queue.Class(v[2].(int64)), retry: v[3].(int64), shared: v[5].(int64) != 0,
				}
				known, _ := v[4].([]byte)
				r.inherit(d, slices.Clone(known))
				old = append(old, d)
				return true
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	_, err = e.insert(ctx, t, again)
	return old, err
}

func (e *sqliteEngine) remove(ctx context.Context, t *txn, rs []removal) (removed []bool, err error) {
	removed = make([]bool, len(rs))
	err = t.conn.(*sqliteConn).loop(`DELETE FROM pending
		WHERE seq = ? AND task = ? AND shard = ? AND key = ? AND job = ? AND accepted_at = ?`, 6, func(st *rawStmt) error {
		for i := range rs {
			r := &rs[i]
			st.set(r.seq, r.task, int64(r.shard), []byte(r.key), r.job, r.acceptedAt)
			n, err := st.exec(ctx)
			if err != nil {
				return err
			}
			removed[i] = n == 1
		}
		return nil
	})
	return removed, err
}

func (e *sqliteEngine) postpone(ctx context.Context, t *txn, rs []removal, later []delay) (postponed []bool, err error) {
	postponed = make([]bool, len(rs))
	err = t.conn.(*sqliteConn).loop(`UPDATE pending SET attempts = attempts + ?, next_at = ?, reason = ?, restoring_at = ?
		WHERE seq = ? AND task = ? AND shard = ? AND key = ? AND job = ? AND accepted_at = ?`, 10, func(st *rawStmt) error {
		for i := range rs {
			r := &rs[i]
			d := &later[i]
			st.set(d.tried, d.nextAt, string(d.reason), d.restoringAt, r.seq, r.task, int64(r.shard), []byte(r.key), r.job, r.acceptedAt)
			n, err := st.exec(ctx)
			if err != nil {
				return err
			}
			postponed[i] = n == 1
		}
		return nil
	})
	return postponed, err
}

// The index is named: while it weighs a partial one like pending_late, SQLite prepares
// a statement anew at every binding.
const sqliteSlice = `SELECT next_at, seq, key, class, accepted_at, attempts, reason, missed, known, job, retry, failed_seq, restoring_at
	FROM pending INDEXED BY pending_due WHERE task = ? AND shard = ? AND rank = ? ORDER BY next_at, seq`

func (e *sqliteEngine) slice(ctx context.Context, t *txn, l laneNum, rank int, now int64, limit int, skip map[string]struct{}) (
	rs []queue.Record, next int64, err error,
) {
	if limit == 0 {
		return nil, 0, nil
	}
	var damaged error
	err = t.conn.(*sqliteConn).loop(sqliteSlice, 3, func(st *rawStmt) error {
		st.set(l.task, int64(l.shard), int64(rank))
		return st.each(ctx, func(v []driver.Value) bool {
			if at := v[0].(int64); at > now {
				next = at
				return false
			}
			key := string(v[2].([]byte))
			if _, busy := skip[key]; busy {
				return true
			}
			r := queue.Record{
				NextAt: fromMicros(v[0].(int64)), Seq: v[1].(int64), Key: key, Class: queue.Class(v[3].(int64)),
				AcceptedAt: fromMicros(v[4].(int64)), Attempts: int(v[5].(int64)), Reason: task.Reason(v[6].(string)),
				Missed: v[7].(int64) != 0, JobNum: v[9].(int64), RetryNum: v[10].(int64), FailedSeq: v[11].(int64),
				RestoringAt: fromMicros(v[12].(int64)),
			}
			if known, ok := v[8].([]byte); ok {
				r.Known, damaged = queue.ParseKnown(known)
			}
			rs = append(rs, r)
			return damaged == nil && len(rs) < limit
		})
	})
	if err == nil {
		err = damaged
	}
	return rs, next, err
}
