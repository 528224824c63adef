package db_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/db/dbtest/pgserver"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// The figures of DESIGN.md, Engine: all durable, fsync on. Run them with
// -benchtime=5s; keys/s is the figure.

const (
	posters   = 64
	batchKeys = 10
)

// durable runs a benchmark on both engines. Bare gets a URL or a path, for comparison.
func durable(b *testing.B, f func(b *testing.B, s *db.Store), bare func(b *testing.B, path, url string)) {
	b.Run("sqlite", func(b *testing.B) { f(b, openSQLite(b, db.Config{})) })
	if bare != nil {
		b.Run("sqlite-bare", func(b *testing.B) { bare(b, filepath.Join(b.TempDir(), "bare.db"), "") })
	}
	server := pgserver.Start(b, pgserver.Options{Durable: true})
	b.Run("postgres", func(b *testing.B) { f(b, open(b, db.Config{URL: server.Database(b)})) })
	if bare != nil {
		b.Run("postgres-bare", func(b *testing.B) { bare(b, "", server.Database(b)) })
	}
}

// BenchmarkAccept is 64 posters with batches of 10 keys.
func BenchmarkAccept(b *testing.B) {
	durable(b, func(b *testing.B, s *db.Store) {
		k := benchTask(b, s)
		post(b, s, func(i int64) queue.Batch { return benchBatch(k.ID, i) })
	}, func(b *testing.B, path, url string) {
		g := bareStore(b, path, url)
		post(b, g, func(i int64) queue.Batch { return benchBatch("x", i) })
	})
}

func benchTask(b *testing.B, s *db.Store) task.Task {
	b.Helper()
	k, err := s.CreateTask(b.Context(), task.Task{Project: "p", Name: "bench"}, task.Actor{})
	if err != nil {
		b.Fatal(err)
	}
	return k
}

func benchBatch(id task.ID, i int64) queue.Batch {
	es := make([]queue.Entry, batchKeys)
	for j := range es {
		n := uint64(i*batchKeys+int64(j)) * 0x9e3779b97f4a7c15
		es[j].Key = fmt.Sprintf("photos/%04x/%012x.jpg", n>>48, n&0xffffffffffff)
	}
	return queue.Batch{Task: id, Entries: es}
}

// post sends b.N batches from all posters through a committer.
func post(b *testing.B, s queue.GroupAcceptor, batch func(i int64) queue.Batch) {
	b.Helper()
	c := queue.NewCommitter(s, queue.CommitterConfig{})
	ctx, cancel := context.WithCancel(b.Context())
	var committer, clients sync.WaitGroup
	committer.Go(func() { _ = c.Run(ctx) })
	defer func() { cancel(); committer.Wait() }()
	for {
		if _, err := c.Accept(ctx, queue.Batch{Task: task.NewID(), Entries: []queue.Entry{{Key: "x"}}}); task.KindOf(err) != task.Unavailable {
			break
		}
	}
	var next atomic.Int64
	waits := make([]time.Duration, b.N)
	cpu := cpuTime()
	b.ReportAllocs()
	b.ResetTimer()
	for range posters {
		clients.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				start := time.Now()
				if _, err := c.Accept(ctx, batch(i)); err != nil {
					b.Error(err)
					return
				}
				waits[i-1] = time.Since(start)
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	perSecond(b, b.N*batchKeys, cpu)
	percentiles(b, waits)
}

// BenchmarkDrain settles keys with a transfer that does nothing, in slices of 1,000, by
// as many lanes as there are.
func BenchmarkDrain(b *testing.B) {
	durable(b, func(b *testing.B, s *db.Store) {
		k := benchTask(b, s)
		const step = task.MaxBatchKeys / batchKeys
		for i := int64(0); i < int64(b.N); i += step {
			var bs queue.Batch
			for j := range int64(step) {
				bs.Entries = append(bs.Entries, benchBatch(k.ID, i+j).Entries...)
			}
			bs.Task = k.ID
			answers := make([]queue.Answer, 1)
			if err := s.AcceptGroup(b.Context(), []queue.Batch{bs}, answers); err != nil || answers[0].Err != nil {
				b.Fatal(err, answers[0].Err)
			}
		}
		total, err := s.Total(b.Context(), k.ID, false)
		if err != nil {
			b.Fatal(err)
		}
		cpu := cpuTime()
		b.ReportAllocs()
		b.ResetTimer()
		lanes, err := s.ClaimLanes(b.Context(), "node", 1000, time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, l := range lanes {
			wg.Go(func() { drainLane(b, s, l) })
		}
		wg.Wait()
		b.StopTimer()
		after, err := s.Total(b.Context(), k.ID, false)
		if err != nil || after.Pending() != 0 || after.Synced != total.Pending() {
			b.Fatalf("drained to %+v, %v", after, err)
		}
		perSecond(b, int(after.Synced), cpu)
		p, err := s.ProveTask(b.Context(), k.ID)
		if err == nil {
			err = p.Check()
		}
		if err != nil {
			b.Fatal(err)
		}
	}, nil)
}

func drainLane(b *testing.B, s *db.Store, l queue.Lane) {
	for {
		slice, err := s.Slice(b.Context(), l.LaneID, 1000, nil)
		if err != nil {
			b.Error(err)
			return
		}
		if len(slice.Records) == 0 {
			return
		}
		done := make([]queue.Settlement, len(slice.Records))
		for i, r := range slice.Records {
			done[i] = queue.Settlement{Record: r, Outcome: task.Synced, Reason: task.Copied, Size: 4096}
		}
		if _, err := s.Settle(b.Context(), l, done); err != nil {
			b.Error(err)
			return
		}
	}
}

// BenchmarkOne is one key at a time from accept to settled: what an event costs when
// nothing shares its transactions.
func BenchmarkOne(b *testing.B) {
	durable(b, func(b *testing.B, s *db.Store) {
		k := benchTask(b, s)
		answers := make([]queue.Answer, 1)
		accept := func(i int) {
			batch := benchBatch(k.ID, int64(i))
			batch.Entries = batch.Entries[:1]
			if err := s.AcceptGroup(b.Context(), []queue.Batch{batch}, answers); err != nil {
				b.Fatal(err)
			}
		}
		for i := range 200 {
			accept(-i) // so that all lanes can be claimed
		}
		lanes, err := s.ClaimLanes(b.Context(), "node", 1000, time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		cpu := cpuTime()
		i := 0
		for b.Loop() {
			accept(i)
			drainLane(b, s, lanes[i%len(lanes)])
			i++
		}
		b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(i), "cpu-µs/event")
	}, nil)
}

// perSecond reports keys/s, which other work on the machine lowers, and the time this
// process used per key since it had used cpu, which it does not.
func perSecond(b *testing.B, keys int, cpu time.Duration) {
	b.Helper()
	b.ReportMetric(float64(keys)/b.Elapsed().Seconds(), "keys/s")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(keys)/1000, "cpu-µs/key")
	b.ReportMetric(0, "ns/op")
}

// bare is a group commit with nothing but the rows: no counters, no list lines, no
// jobs. The distance to it is the price of exactness.
type bare struct {
	db *sql.DB
	pg *pgx.Conn
}

func bareStore(b *testing.B, path, url string) *bare {
	b.Helper()
	const table = "CREATE TABLE pending (task BIGINT, shard INT, key %s, seq BIGINT, job BIGINT, accepted_at BIGINT, next_at BIGINT, PRIMARY KEY (task, shard, key))"
	g := &bare{}
	var err error
	if url != "" {
		if g.pg, err = pgx.Connect(b.Context(), url); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = g.pg.Close(context.WithoutCancel(b.Context())) })
		_, err = g.pg.Exec(b.Context(), fmt.Sprintf(table, "BYTEA"))
	} else {
		if g.db, err = sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)"); err != nil {
			b.Fatal(err)
		}
		g.db.SetMaxOpenConns(1)
		b.Cleanup(func() { _ = g.db.Close() })
		_, err = g.db.ExecContext(b.Context(), fmt.Sprintf(table, "BLOB"))
	}
	if err != nil {
		b.Fatal(err)
	}
	return g
}

func (g *bare) AcceptGroup(ctx context.Context, group []queue.Batch, _ []queue.Answer) error {
	if g.pg != nil {
		return g.postgres(ctx, group)
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := g.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	st, err := tx.PrepareContext(ctx, "INSERT INTO pending VALUES (1, ?, ?, 1, 1, 1, 1) ON CONFLICT (task, shard, key) DO UPDATE SET seq = excluded.seq")
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	for _, batch := range group {
		for _, e := range batch.Entries {
			if _, err := st.ExecContext(ctx, task.ShardOf(e.Key, 16), []byte(e.Key)); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

func (g *bare) postgres(ctx context.Context, group []queue.Batch) error {
	seen := map[string]bool{}
	var shards []int32
	var keys [][]byte
	for _, batch := range group {
		for _, e := range batch.Entries {
			if !seen[e.Key] {
				seen[e.Key] = true
				shards, keys = append(shards, int32(task.ShardOf(e.Key, 16))), append(keys, []byte(e.Key))
			}
		}
	}
	_, err := g.pg.Exec(context.WithoutCancel(ctx), `INSERT INTO pending SELECT 1, u.*, 1, 1, 1, 1 FROM unnest($1::int[], $2::bytea[]) u
		ON CONFLICT (task, shard, key) DO UPDATE SET seq = excluded.seq`, shards, keys)
	return err
}
