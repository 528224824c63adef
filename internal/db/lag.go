package db

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// lagTime is the time that Watermarks.Lag is of.
const lagTime = time.Hour

// AddLag adds to how long records took. Tasks that are no more are left out.
func (s *Store) AddLag(ctx context.Context, counts []history.LagCount) error {
	if len(counts) == 0 {
		return nil
	}
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		args := make([][]any, 0, len(counts))
		for _, c := range counts {
			num, err := s.taskNum(ctx, t, c.Task)
			if task.KindOf(err) == task.NotFound {
				continue
			}
			if err != nil {
				return err
			}
			args = append(args, []any{num, c.At.UnixMicro(), c.Bucket, c.N})
		}
		slices.SortFunc(args, func(a, b []any) int { // one order for all nodes
			return cmp.Or(cmp.Compare(a[0].(int64), b[0].(int64)), cmp.Compare(a[1].(int64), b[1].(int64)), cmp.Compare(a[2].(int), b[2].(int)))
		})
		return t.many(ctx, `INSERT INTO lag_counts (task, at, bucket, n) VALUES ($1, $2, $3, $4)
			ON CONFLICT (task, at, bucket) DO UPDATE SET n = lag_counts.n + excluded.n`, args)
	})
}

// lag is how long records of a task took that came to be visible within lagTime.
func lag(ctx context.Context, t *txn, num int64) (history.Lag, error) {
	buckets := map[int]int64{}
	since := t.s.now().Add(-lagTime).UnixMicro()
	err := each(ctx, t, "SELECT bucket, CAST(sum(n) AS BIGINT) FROM lag_counts WHERE task = $1 AND at >= $2 GROUP BY bucket", []any{num, since}, func(r rows) error {
		var bucket int
		var n int64
		err := r.Scan(&bucket, &n)
		buckets[bucket] = n
		return err
	})
	return history.LagOf(buckets), err
}
