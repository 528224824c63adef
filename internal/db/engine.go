package db

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// conn is one connection, used by one transaction at a time. Statements use $1, $2, …
type conn interface {
	begin(ctx context.Context, writing bool) error
	commit(ctx context.Context) error
	rollback(ctx context.Context) error

	exec(ctx context.Context, sql string, args ...any) (changed int64, err error)
	query(ctx context.Context, sql string, args ...any) (rows, error)
	// many runs one statement for each row of arguments, in order, in one round trip.
	many(ctx context.Context, sql string, args [][]any) error
}

// rows are the answer of a query, to be closed. Err is asked after the last Next.
type rows interface {
	Next() bool
	Scan(dst ...any) error
	Err() error
	Close()
}

// engine is what differs between SQLite and PostgreSQL.
type engine interface {
	acquire(ctx context.Context, writing bool) (conn, error)
	release(c conn, broken bool)
	close() error
	run(ctx context.Context) error
	// announce tells other nodes of lanes with new keys. It does not wait.
	announce(lanes []queue.LaneID)

	// interrupted says that a transaction failed because of others and may be repeated.
	interrupted(err error) bool
	// translate gives an error of the database its task.Kind, and leaves others alone.
	translate(err error) error

	// lock is the clause that locks selected rows; SQLite needs none.
	lock(clause string) string
	// leaseTime is the clock that leases go by.
	leaseTime(ctx context.Context, t *txn) (time.Time, error)
	// counterShard is the shard under which a lane counts.
	counterShard(shard int) int
	// writers is how many transactions that settle are worth running at a time.
	writers() int

	// ordered writes a query that is one of several in a UNION ALL such that an index gives
	// its rows in an order, and the union merges them. most is more than anybody reads.
	ordered(query, order string, most int) string
	// walkIndexes has a reading transaction read in the order of its indexes, and never sort.
	walkIndexes(ctx context.Context, t *txn) error

	// upsert enqueues rows, which are sorted and without equal keys, each with a new
	// seq, and returns the records they displaced.
	upsert(ctx context.Context, t *txn, rs []row) ([]displaced, error)
	// insert enqueues those rows whose key is not pending; kept says which.
	insert(ctx context.Context, t *txn, rs []row) (kept []bool, err error)
	// remove deletes the rows of a lane that still have the given seq; removed says which.
	remove(ctx context.Context, t *txn, rs []removal) (removed []bool, err error)
	// postpone sets the next attempt of such rows; postponed says which were there.
	postpone(ctx context.Context, t *txn, rs []removal, later []delay) (postponed []bool, err error)
	// slice reads due rows of one rank, in order; next is when the first later one is due, 0
	// for none or when the limit came first.
	slice(ctx context.Context, t *txn, l laneNum, rank int, now int64, limit int, skip map[string]struct{}) (rs []queue.Record, next int64, err error)

	backup(ctx context.Context, path string) error
}

// laneNum is a lane by the store's own number of its task.
type laneNum struct {
	task  int64
	shard int
}

func (l laneNum) compare(m laneNum) int {
	return cmp.Or(cmp.Compare(l.task, m.task), cmp.Compare(l.shard, m.shard))
}

// row is a record to be enqueued.
type row struct {
	laneNum
	key        string
	class      queue.Class
	rank       int
	job        int64
	acceptedAt int64 // microseconds
	nextAt     int64
	attempts   int
	missed     bool
	retry      int64
	failedSeq  int64
	known      []byte // nil: nothing is known
	shared     bool   // it took the place of a record of another job
}

// displaced is a record that a new one of the same key took the place of.
type displaced struct {
	laneNum
	key        string
	class      queue.Class
	job        int64
	acceptedAt int64
	retry      int64
	shared     bool
}

// removal names a version of a row, with what the lane read of it.
type removal struct {
	laneNum
	key        string
	seq        int64
	job        int64
	acceptedAt int64
}

// delay is what a row that is to be tried again gets.
type delay struct {
	nextAt      int64
	reason      task.Reason
	restoringAt int64
	tried       int64 // 1 for an attempt that failed, 0 for a look at what is not there yet
}

// Ranks: the order in which a lane takes its keys.
const (
	rankEvents = 0
	rankRest   = 1
)

func rankOf(c queue.Class) int {
	if c == queue.ByEvent {
		return rankEvents
	}
	return rankRest
}

// errNoRow is what one returns when there is no row.
var errNoRow = errors.New("db: no row")

// one scans the first row of a query into dst; errNoRow when there is none.
func one(ctx context.Context, c conn, sql string, args []any, dst ...any) error {
	rs, err := c.query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rs.Close()
	if !rs.Next() {
		if err := rs.Err(); err != nil {
			return err
		}
		return errNoRow
	}
	if err := rs.Scan(dst...); err != nil {
		return err
	}
	rs.Close()
	return rs.Err()
}

// ignoreNoRow makes nothing of the absence of a row.
func ignoreNoRow(err error) error {
	if errors.Is(err, errNoRow) {
		return nil
	}
	return err
}

// each calls f for each row of a query.
func each(ctx context.Context, c conn, sql string, args []any, f func(rows) error) error {
	rs, err := c.query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rs.Close()
	for rs.Next() {
		if err := f(rs); err != nil {
			return err
		}
	}
	return rs.Err()
}

// micros is t as it is stored: 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the reverse of micros.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// unavailable wraps an error of a database that cannot be reached or written now.
func unavailable(err error) error {
	return &task.Error{
		Kind: task.Unavailable, Code: "DATABASE_UNAVAILABLE",
		Text: "the database cannot be used now", Next: "see the server's log", Err: err,
	}
}
