package db

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
)

// retirable are ended jobs ($1: before that time) that nothing holds: see Retire. Their
// lists are all uploaded, or those that were not are older than $2; a retry has none.
const retirable = `ended_at <> 0 AND ended_at < $1 AND kind <> 'external' AND (manifest_due = 0 OR kind = 'retry' OR ended_at < $2)
	AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.job = jobs.num)
	AND NOT EXISTS (SELECT 1 FROM failures f WHERE f.job = jobs.num AND f.open = 1)
	AND (kind <> 'scan' OR (SELECT count(*) FROM jobs k WHERE k.task = jobs.task AND k.kind = 'scan' AND k.state = 'done' AND k.num > jobs.num) >= 2)`

// retireJobs removes some jobs.
func (s *Store) retireJobs(ctx context.Context, before, lists int64) (more bool, err error) {
	const some = 20
	var nums []int64
	if err := s.read(ctx, func(ctx context.Context, t *txn) error {
		nums = nil
		return each(ctx, t, "SELECT num FROM jobs WHERE "+retirable+" ORDER BY num LIMIT $3", []any{before, lists, some}, func(r rows) error {
			var num int64
			err := r.Scan(&num)
			nums = append(nums, num)
			return err
		})
	}); err != nil {
		return false, err
	}
	begun := time.Now()
	for _, num := range nums {
		if err := s.retireJob(ctx, num, before, lists); err != nil {
			return false, err
		}
		if time.Since(begun) > retireTime {
			return true, nil
		}
	}
	return len(nums) == some, nil
}

// retireExternal removes jobs that somebody else's program reported: a few hundred rows and
// their counts in one transaction. What was heard of their subjects last stays, and so does
// a report of what ended long ago for as long as it is new.
func (s *Store) retireExternal(ctx context.Context, before int64) (more bool, err error) {
	const some = 200
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		var nums [][]any
		if err := each(ctx, t, "SELECT num FROM jobs WHERE ended_at <> 0 AND ended_at < $1 AND changed_at < $1 AND kind = 'external' ORDER BY ended_at LIMIT $2"+t.e.lock("FOR UPDATE"),
			[]any{before, some}, func(r rows) error {
				var num int64
				err := r.Scan(&num)
				nums = append(nums, []any{num})
				return err
			}); err != nil {
			return err
		}
		more = len(nums) == some
		for _, sql := range []string{"DELETE FROM jobs WHERE num = $1", "DELETE FROM job_counts WHERE job = $1"} {
			if err := t.many(ctx, sql, nums); err != nil {
				return err
			}
		}
		return nil
	})
	return more, err
}

// retireTime is how long one call of Retire works on jobs, about.
const retireTime = 200 * time.Millisecond

// retireJob removes a job: its failures in steps, the rest at once.
func (s *Store) retireJob(ctx context.Context, num, before, lists int64) error {
	for more := true; more; {
		if err := s.write(ctx, func(ctx context.Context, t *txn) error {
			n, err := dropFailures(ctx, t, "open = 0 AND job = $1", num)
			more = n == retireStep
			return err
		}); err != nil {
			return err
		}
	}
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		var taskNum int64
		// Looked at again: it may have changed since it was found.
		err := one(ctx, t, "SELECT task FROM jobs WHERE num = $3 AND "+retirable+t.e.lock("FOR UPDATE"), []any{before, lists, num}, &taskNum)
		if err != nil {
			return ignoreNoRow(err)
		}
		gone, err := jobRemains(ctx, t, taskNum, num)
		if err != nil {
			return err
		}
		for _, table := range []string{"retired", "list_files", "reason_counts", "job_counts", "partitions", "staged", "failures"} {
			if _, err := t.exec(ctx, "DELETE FROM "+table+" WHERE job = $1", num); err != nil {
				return err
			}
		}
		if _, err := t.exec(ctx, "DELETE FROM jobs WHERE num = $1", num); err != nil {
			return err
		}
		return gone.flush(ctx, t)
	})
}

// jobRemains is what a job leaves to its task when it goes.
func jobRemains(ctx context.Context, t *txn, taskNum, num int64) (retired, error) {
	gone := retired{}
	take := func(r rows) error {
		k := retiredKey{task: taskNum}
		var n int64
		err := r.Scan(&k.what, &k.num, &k.reason, &n)
		gone[k] += n
		return err
	}
	for _, sql := range []string{
		"SELECT what, num, reason, n FROM retired WHERE job = $1",
		"SELECT '" + retiredLine + "', kind, '', CAST(sum(lines) AS BIGINT) FROM list_files WHERE job = $1 GROUP BY kind",
		"SELECT '" + retiredReason + "', outcome, reason, CAST(sum(n) AS BIGINT) FROM reason_counts WHERE job = $1 GROUP BY outcome, reason",
		"SELECT '" + retiredFailure + "', 0, '', count(*) FROM failures WHERE job = $1 HAVING count(*) > 0",
	} {
		if err := each(ctx, t, sql, []any{num}, take); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// remains reads what retention took away of a job or task.
func remains(ctx context.Context, t *txn, where string, num int64) (out history.Retired, err error) {
	out.Lines = map[queue.ListKind]int64{}
	err = each(ctx, t, "SELECT what, num, CAST(sum(n) AS BIGINT) FROM retired WHERE "+where+" GROUP BY what, num", []any{num}, func(r rows) error {
		var what string
		var kind, n int64
		if err := r.Scan(&what, &kind, &n); err != nil {
			return err
		}
		switch what {
		case retiredFailure:
			out.Failures += n
		case retiredNamed:
			out.Named += n
		case retiredLine:
			out.Lines[queue.ListKind(kind)] += n
		}
		return nil
	})
	return out, err
}
