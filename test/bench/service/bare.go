package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the engine that the service uses
)

// bareCommits writes groups of as many keys as the posters have under way into one table,
// each group durably, as fast as it can: what no service that keeps its word can beat
// with this engine on this disk.
func (b *bench) bareCommits(ctx context.Context, lasts time.Duration) (keysPerSecond float64, err error) {
	path := filepath.Join(b.dir, "bare.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "CREATE TABLE pending (task INT, shard INT, key BLOB, seq INT, PRIMARY KEY (task, shard, key)) WITHOUT ROWID"); err != nil {
		return 0, err
	}
	const group = posters * keysPerPost
	insert, err := db.PrepareContext(ctx, "INSERT INTO pending VALUES "+strings.TrimSuffix(strings.Repeat("(1, ?, ?, ?),", group), ",")+
		" ON CONFLICT (task, shard, key) DO UPDATE SET seq = excluded.seq")
	if err != nil {
		return 0, err
	}
	defer insert.Close()
	begun := time.Now()
	n := 0
	for time.Since(begun) < lasts {
		args := make([]any, 0, 3*group)
		for i := range group {
			args = append(args, n%16, fmt.Appendf(nil, "data/%02d/%06d-%d.parquet", i%posters, n/group, i%keysPerPost), n)
			n++
		}
		if _, err := insert.ExecContext(ctx, args...); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}
