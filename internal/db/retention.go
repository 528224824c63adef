package db

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Retention says for how long things are kept after they ended; 0 or less: for ever.
// Totals and months of a task are kept for ever, and so is the audit chain.
type Retention struct {
	Jobs      time.Duration // ended jobs with all that belongs to them, reported ones too
	Failures  time.Duration // failed records whose key has ended otherwise since
	Intervals time.Duration // 5-minute statistics
	Lists     time.Duration // lists that could not be uploaded
}

// retireStep is how many rows one transaction of retention removes.
const retireStep = 1000

// Retire removes some of what is older than it is to be kept, in a few short
// transactions, and says whether there may be more. What stays still adds up: removed
// rows are counted in retired. These stay whatever their age: failures that are open, since
// they are to be retried and hold the watermarks back; jobs that have some, or lists that
// wait for their upload; and the last two complete scans of a task, which the watermarks
// and the rate of missed events rest on.
func (s *Store) Retire(ctx context.Context, keep Retention) (more bool, err error) {
	now := s.now()
	for _, step := range []struct {
		age time.Duration
		do  func(context.Context, int64) (bool, error)
	}{
		{keep.Lists, s.retireLists},
		{keep.Failures, s.retireFailures},
		{keep.Intervals, s.retireIntervals},
		{keep.Jobs, s.retireExternal},
		{keep.Jobs, func(ctx context.Context, before int64) (bool, error) {
			lists := int64(0)
			if keep.Lists > 0 {
				lists = now.Add(-keep.Lists).UnixMicro()
			}
			return s.retireJobs(ctx, before, lists)
		}},
	} {
		if step.age <= 0 {
			continue
		}
		again, err := step.do(ctx, now.Add(-step.age).UnixMicro())
		if err != nil {
			return false, err
		}
		more = more || again
	}
	return more, s.forgetDeleteHours(ctx, now)
}

// forgetDeleteHours drops the counts by which deletes of an hour are limited, once the
// hour is over for every clock.
func (s *Store) forgetDeleteHours(ctx context.Context, now time.Time) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		_, err := t.exec(ctx, "DELETE FROM delete_hours WHERE hour < $1", now.Unix()/3600-48)
		return err
	})
}

// retired collects what one transaction takes away.
type retired map[retiredKey]int64

type retiredKey struct {
	task, job int64
	what      string
	num       int64
	reason    string
}

const (
	retiredFailure = "failure"
	retiredNamed   = "named"
	retiredLine    = "line"
	retiredReason  = "reason"
)

func (r retired) flush(ctx context.Context, t *txn) error {
	var args [][]any
	for _, k := range slices.SortedFunc(maps.Keys(r), func(a, b retiredKey) int {
		return cmp.Or(cmp.Compare(a.task, b.task), cmp.Compare(a.job, b.job), cmp.Compare(a.what, b.what), cmp.Compare(a.num, b.num), cmp.Compare(a.reason, b.reason))
	}) {
		args = append(args, []any{k.task, k.job, k.what, k.num, k.reason, r[k]})
	}
	return t.many(ctx, `INSERT INTO retired (task, job, what, num, reason, n) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (task, job, what, num, reason) DO UPDATE SET n = retired.n + excluded.n`, args)
}

// retireFailures removes failed records that are not open. Those of a task that is no more
// are open to nobody.
func (s *Store) retireFailures(ctx context.Context, before int64) (more bool, err error) {
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		if _, err := t.exec(ctx, "UPDATE failures SET open = 0 WHERE num IN (SELECT f.num FROM tasks k JOIN failures f ON f.task = k.num AND f.open = 1 AND f.last_at < $1"+
			" WHERE k.deleted_at <> 0 LIMIT "+strconv.Itoa(retireStep)+")", before); err != nil {
			return err
		}
		n, err := dropFailures(ctx, t, "open = 0 AND last_at < $1", before)
		more = n == retireStep
		return err
	})
	return more, err
}

func dropFailures(ctx context.Context, t *txn, where string, arg int64) (n int, err error) {
	gone := retired{}
	err = each(ctx, t, "DELETE FROM failures WHERE num IN (SELECT num FROM failures WHERE "+where+" ORDER BY num LIMIT "+
		strconv.Itoa(retireStep)+") AND open = 0 RETURNING task, job", []any{arg}, func(r rows) error {
		k := retiredKey{what: retiredFailure}
		err := r.Scan(&k.task, &k.job)
		gone[k]++
		n++
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, gone.flush(ctx, t)
}

// retireLists removes sealed lists that nobody could upload, oldest first, one at a time.
func (s *Store) retireLists(ctx context.Context, before int64) (more bool, err error) {
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		more = false
		var file int64
		k := retiredKey{what: retiredLine}
		var lines int64
		err := one(ctx, t, "SELECT num, task, job, kind, lines FROM list_files WHERE uploaded_at = 0 AND sealed_at < $1 ORDER BY num LIMIT 1"+
			t.e.lock("FOR UPDATE"), []any{before}, &file, &k.task, &k.job, &k.num, &lines)
		if err != nil {
			return ignoreNoRow(err)
		}
		more = true
		if _, err := t.exec(ctx, "DELETE FROM outbox WHERE file = $1 AND file <> 0", file); err != nil {
			return err
		}
		if _, err := t.exec(ctx, "DELETE FROM list_files WHERE num = $1", file); err != nil {
			return err
		}
		return retired{k: lines}.flush(ctx, t)
	})
	return more, err
}

// retireIntervals removes statistics, an hour of a task at a time. Rows that may still
// change stay: of records that wait, or are failed and open.
func (s *Store) retireIntervals(ctx context.Context, before int64) (more bool, err error) {
	var tasks []int64
	if err := s.read(ctx, func(ctx context.Context, t *txn) error {
		tasks = nil
		return each(ctx, t, "SELECT num FROM tasks ORDER BY num", nil, func(r rows) error {
			var num int64
			err := r.Scan(&num)
			tasks = append(tasks, num)
			return err
		})
	}); err != nil {
		return false, err
	}
	for _, num := range tasks {
		again, err := s.retireHour(ctx, num, before)
		if err != nil {
			return false, err
		}
		more = more || again
	}
	return more, nil
}

const settledInterval = ` AND requested = synced + failed + ignored AND NOT EXISTS (SELECT 1 FROM failures f
	WHERE f.task = interval_counts.task AND f.open = 1 AND f.accepted_at >= interval_counts.at AND f.accepted_at < interval_counts.at + $2)`

func (s *Store) retireHour(ctx context.Context, num, before int64) (more bool, err error) {
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		more = false
		if _, err := t.exec(ctx, "DELETE FROM lag_counts WHERE task = $1 AND at < $2 AND at < (SELECT min(l.at) + $3 FROM lag_counts l WHERE l.task = $1)",
			num, before, (24 * time.Hour).Microseconds()); err != nil {
			return err
		}
		var first *int64
		width := task.Interval.Microseconds()
		err := one(ctx, t, "SELECT min(at) FROM interval_counts WHERE task = $1 AND at < $3"+settledInterval, []any{num, width, before - width}, &first)
		if err != nil || first == nil {
			return err
		}
		until := min(before-width, *first+time.Hour.Microseconds())
		gone := retired{}
		err = each(ctx, t, "DELETE FROM interval_counts WHERE task = $1 AND at < $3 AND at >= $4"+settledInterval+" RETURNING class, requested",
			[]any{num, width, until, *first}, func(r rows) error {
				var class queue.Class
				var n int64
				err := r.Scan(&class, &n)
				if class.Named() {
					gone[retiredKey{task: num, what: retiredNamed}] += n
				}
				more = true
				return err
			})
		if err != nil {
			return err
		}
		return gone.flush(ctx, t)
	})
	return more, err
}
