package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the engine that the service uses
)

// bareCommits writes groups of as many keys as the posters have under way into one table,
// each group durably, as fast as it can: what no service that keeps its word can beat
// with this engine on this disk.
func (b *bench) bareCommits(ctx context.Context, lasts time.Duration) (keysPerSecond float64, err error) {
	commit, done, err := b.bareTable(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, done()) }()
	const group = posters * keysPerPost
	begun := time.Now()
	n := 0
	for time.Since(begun) < lasts {
		rows := make([]bareRow, group)
		for i := range rows {
			rows[i] = bareRow{n % 16, fmt.Appendf(nil, "data/%02d/%06d-%d.parquet", i/keysPerPost, n/group, i%keysPerPost), n}
			n++
		}
		if err := commit(rows); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}

type bareRow struct {
	shard int
	key   []byte
	seq   int
}

// bareTable makes a table in the engine of this run, and returns what commits a group.
func (b *bench) bareTable(ctx context.Context) (commit func([]bareRow) error, done func() error, err error) {
	if b.postgres != nil {
		return b.barePostgres(ctx)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "CREATE TABLE pending (task INT, shard INT, key BLOB, seq INT, PRIMARY KEY (task, shard, key)) WITHOUT ROWID"); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	insert, err := db.PrepareContext(ctx, "INSERT INTO pending VALUES "+strings.TrimSuffix(strings.Repeat("(1, ?, ?, ?),", posters*keysPerPost), ",")+
		" ON CONFLICT (task, shard, key) DO UPDATE SET seq = excluded.seq")
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	commit = func(rows []bareRow) error {
		args := make([]any, 0, 3*len(rows))
		for _, r := range rows {
			args = append(args, r.shard, r.key, r.seq)
		}
		_, err := insert.ExecContext(ctx, args...)
		return err
	}
	return commit, func() error { return errors.Join(insert.Close(), db.Close()) }, nil
}

func (b *bench) barePostgres(ctx context.Context) (commit func([]bareRow) error, done func() error, err error) {
	url, err := b.postgres.NewDatabase(ctx)
	if err != nil {
		return nil, nil, err
	}
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	done = func() error { return c.Close(ctx) }
	if _, err := c.Exec(ctx, "CREATE TABLE pending (task INT, shard INT, key BYTEA, seq BIGINT, PRIMARY KEY (task, shard, key))"); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	commit = func(rows []bareRow) error {
		shards, keys, seqs := make([]int32, len(rows)), make([][]byte, len(rows)), make([]int64, len(rows))
		for i, r := range rows {
			shards[i], keys[i], seqs[i] = int32(r.shard), r.key, int64(r.seq)
		}
		_, err := c.Exec(ctx, `INSERT INTO pending SELECT 1, u.* FROM unnest($1::int[], $2::bytea[], $3::bigint[]) u
			ON CONFLICT (task, shard, key) DO UPDATE SET seq = excluded.seq`, shards, keys, seqs)
		return err
	}
	return commit, done, nil
}
