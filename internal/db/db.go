// Package db keeps everything that must survive a crash, on SQLite or PostgreSQL:
// pending keys and the leases on them, outcomes and counters, list lines, jobs, the
// audit chain and the registry. All SQL is here. What the methods promise is said
// by the contracts of queue and history and by the dbtest suite, which runs over
// both engines.
//
// Most statements are shared; the few hot ones have a form for each engine
// (pending_sqlite.go, pending_postgres.go). Inside a transaction only the
// transaction is used: SQLite has one writer, and waiting for it twice never ends.
package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Config says which database to open. A zero value but for Path or URL will do.
type Config struct {
	Path string // of the SQLite file; its directory exists
	URL  string // postgres://…; wins over Path

	// Migrate allows a PostgreSQL schema that holds data to be migrated. SQLite is
	// always migrated, after a backup.
	Migrate bool
	// Readers is how many SQLite reads run at a time; 0: 4. For PostgreSQL it is how many
	// connections there are; 0: 12.
	Readers int
	// MaxScanPending is how many records of a scan may wait before its pages do; 0: 50,000.
	MaxScanPending int64
	// BeginLimit is how long a transaction waits to begin before it is an error; 0: for
	// ever. Tests set it to find transactions inside transactions.
	BeginLimit time.Duration
	// Volatile leaves it to the system when a commit of SQLite reaches the disk: it outlives
	// the process, not the machine. Simulations set it, which crash processes alone.
	Volatile bool
	// Now is the clock; nil: time.Now. Leases on PostgreSQL go by the server's clock
	// unless it is set.
	Now func() time.Time
	Log *slog.Logger // nil: none
}

// Store is an open database.
type Store struct {
	cfg  Config
	eng  engine
	log  *slog.Logger
	wake queue.Wake

	settling *settlements

	// The numbers of tasks never change, so they are remembered.
	nums sync.Map // task.ID → int64
}

var (
	_ queue.GroupAcceptor = (*Store)(nil)
	_ queue.Lanes         = (*Store)(nil)
	_ queue.Partitions    = (*Store)(nil)
	_ queue.Jobs          = (*Store)(nil)
	_ queue.Outbox        = (*Store)(nil)
)

// Open opens the database and brings its schema up to date.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{cfg: cfg, log: cfg.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.MaxScanPending == 0 {
		s.cfg.MaxScanPending = 50_000
	}
	var err error
	switch {
	case strings.HasPrefix(cfg.URL, "postgres://"), strings.HasPrefix(cfg.URL, "postgresql://"):
		s.eng, err = openPostgres(ctx, s)
	case cfg.URL != "":
		return nil, task.Errorf(task.Invalid, "a database URL begins with postgres://")
	case cfg.Path != "":
		s.eng, err = openSQLite(ctx, s)
		err = notOpened(err)
	default:
		return nil, task.Errorf(task.Invalid, "neither a database file nor a URL is given")
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s.settling = newSettlements(s, s.eng.writers())
	return s, nil
}

// Close closes the database. Nothing may use it any more.
func (s *Store) Close() error { return s.eng.close() }

// Run listens for what other nodes accept, until ctx ends. SQLite has no other nodes.
func (s *Store) Run(ctx context.Context) error { return s.eng.run(ctx) }

// Wake is where lanes hear of keys that were accepted.
func (s *Store) Wake() *queue.Wake { return &s.wake }

// Ping says whether the database can write, for /readyz.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		_, err := t.exec(ctx, "UPDATE audit_head SET num = num WHERE one = 1")
		return err
	})
}

// now is the time a row is stamped with, in microseconds.
func (s *Store) now() time.Time {
	if s.cfg.Now != nil {
		return s.cfg.Now().Truncate(time.Microsecond)
	}
	return time.Now().Truncate(time.Microsecond)
}

// txn is one transaction.
type txn struct {
	conn
	s *Store
	e engine
	// woken are told after the commit.
	woken map[queue.LaneID]struct{}
}

// wakeLane notes a lane that has new keys.
func (t *txn) wakeLane(l queue.LaneID) {
	if t.woken == nil {
		t.woken = make(map[queue.LaneID]struct{}, 16)
	}
	t.woken[l] = struct{}{}
}

// maxTries is how often a transaction is run that others keep interrupting.
const maxTries = 10

// errAgain asks write to run the function again from the beginning.
var errAgain = errors.New("db: run the transaction again")

// write runs f in a transaction that writes. f may run several times, so it begins
// afresh each time and keeps nothing. Once begun, the end of ctx does not interrupt
// it: transactions are short, and half of one is of no use.
func (s *Store) write(ctx context.Context, f func(context.Context, *txn) error) error {
	for try := 1; ; try++ {
		err := s.tryWrite(ctx, f)
		if err == nil {
			return nil
		}
		again := errors.Is(err, errAgain) || s.eng.interrupted(err)
		if !again || try == maxTries {
			return s.eng.translate(err)
		}
		pause := time.NewTimer(rand.N(time.Duration(try) * 4 * time.Millisecond))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

func (s *Store) tryWrite(ctx context.Context, f func(context.Context, *txn) error) error {
	c, err := s.acquire(ctx, true)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	t := &txn{conn: c, s: s, e: s.eng}
	if err := c.begin(ctx, true); err != nil {
		s.eng.release(c, true)
		return err
	}
	err = f(ctx, t)
	if err == nil {
		err = c.commit(ctx)
	}
	if err != nil {
		s.eng.release(c, c.rollback(ctx) != nil)
		return err
	}
	s.eng.release(c, false)
	if len(t.woken) > 0 {
		lanes := make([]queue.LaneID, 0, len(t.woken))
		for l := range t.woken {
			lanes = append(lanes, l)
		}
		s.wake.Notify(lanes...)
		s.eng.announce(lanes)
	}
	return nil
}

// read runs f on one snapshot of the database.
func (s *Store) read(ctx context.Context, f func(context.Context, *txn) error) error {
	c, err := s.acquire(ctx, false)
	if err != nil {
		return s.eng.translate(err)
	}
	t := &txn{conn: c, s: s, e: s.eng}
	if err := c.begin(ctx, false); err != nil {
		s.eng.release(c, true)
		return s.eng.translate(err)
	}
	err = f(ctx, t)
	s.eng.release(c, c.rollback(context.WithoutCancel(ctx)) != nil)
	return s.eng.translate(err)
}

// peek runs f without a transaction, for a few short reads that need not agree.
func (s *Store) peek(ctx context.Context, f func(context.Context, *txn) error) error {
	c, err := s.acquire(ctx, false)
	if err == nil {
		err = f(context.WithoutCancel(ctx), &txn{conn: c, s: s, e: s.eng})
		s.eng.release(c, false)
	}
	return s.eng.translate(err)
}

func (s *Store) acquire(ctx context.Context, writer bool) (conn, error) {
	if s.cfg.BeginLimit == 0 {
		return s.eng.acquire(ctx, writer)
	}
	limited, cancel := context.WithTimeout(ctx, s.cfg.BeginLimit)
	defer cancel()
	c, err := s.eng.acquire(limited, writer)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return nil, fmt.Errorf("no connection within %v: is a transaction used inside another?", s.cfg.BeginLimit)
	}
	return c, err
}
