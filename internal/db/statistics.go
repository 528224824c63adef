package db

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// classList is the classes of a query: OMS counts only what clients named.
func classList(namedOnly bool) string {
	var parts []string
	for c := queue.ByEvent; c <= queue.ByScan; c++ {
		if c.Named() || !namedOnly {
			parts = append(parts, strconv.Itoa(int(c)))
		}
	}
	return "(" + strings.Join(parts, ",") + ")"
}

// Intervals returns the 5-minute statistics of a task in [from, to), without empty
// intervals; namedOnly leaves out what scans found.
func (s *Store) Intervals(ctx context.Context, id task.ID, from, to time.Time, namedOnly bool) (out []history.Span, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		num, err := s.taskNum(ctx, t, id)
		if err != nil {
			return err
		}
		return each(ctx, t, "SELECT at, "+sumColumns+" FROM interval_counts WHERE task = $1 AND at >= $2 AND at < $3 AND class IN "+
			classList(namedOnly)+" GROUP BY at ORDER BY at", []any{num, from.UnixMicro(), to.UnixMicro()}, func(r rows) error {
			var c counts
			var at int64
			err := r.Scan(append([]any{&at}, c.into()...)...)
			out = append(out, history.Span{At: fromMicros(at), Counts: c.Counts})
			return err
		})
	})
	return out, err
}

// Month returns the counts of the month, UTC, that holds at.
func (s *Store) Month(ctx context.Context, id task.ID, at time.Time, namedOnly bool) (task.Counts, error) {
	return s.months(ctx, id, namedOnly, "AND at = $2", month(at.UnixMicro()))
}

// Total returns the counts of a task since it was made.
func (s *Store) Total(ctx context.Context, id task.ID, namedOnly bool) (task.Counts, error) {
	return s.months(ctx, id, namedOnly, "")
}

func (s *Store) months(ctx context.Context, id task.ID, namedOnly bool, where string, args ...any) (task.Counts, error) {
	var c counts
	err := s.read(ctx, func(ctx context.Context, t *txn) error {
		num, err := s.taskNum(ctx, t, id)
		if err != nil {
			return err
		}
		return one(ctx, t, "SELECT "+sumColumns+" FROM month_counts WHERE task = $1 AND class IN "+classList(namedOnly)+" "+where,
			append([]any{num}, args...), c.into()...)
	})
	return c.Counts, err
}

// Reasons returns how many records of a job, or of all jobs of a task, ended for which
// reason.
func (s *Store) Reasons(ctx context.Context, id task.ID, job task.JobID) (out map[task.Outcome]map[task.Reason]int64, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		num, err := s.taskNum(ctx, t, id)
		if err != nil {
			return err
		}
		if job == "" {
			out, err = reasons(ctx, t, "task = $1", num)
			return err
		}
		j, err := lockJob(ctx, t, job, "")
		if err != nil {
			return err
		}
		out, err = reasons(ctx, t, "job = $1", j.num)
		return err
	})
	return out, err
}

func reasons(ctx context.Context, t *txn, where string, num int64) (map[task.Outcome]map[task.Reason]int64, error) {
	out := map[task.Outcome]map[task.Reason]int64{}
	err := each(ctx, t, "SELECT outcome, reason, CAST(sum(n) AS BIGINT) FROM (SELECT outcome, reason, n FROM reason_counts WHERE "+where+
		" UNION ALL SELECT num, reason, n FROM retired WHERE what = '"+retiredReason+"' AND "+where+
		") AS counted GROUP BY outcome, reason HAVING sum(n) <> 0", []any{num}, func(r rows) error {
		var o task.Outcome
		var why task.Reason
		var n int64
		err := r.Scan(&o, &why, &n)
		if out[o] == nil {
			out[o] = map[task.Reason]int64{}
		}
		out[o][why] = n
		return err
	})
	return out, err
}

// Watermarks returns how far behind a task is.
func (s *Store) Watermarks(ctx context.Context, id task.ID) (w history.Watermarks, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		num, err := s.taskNum(ctx, t, id)
		if err != nil {
			return err
		}
		if w.Heard, err = heard(ctx, t, num); err != nil {
			return err
		}
		if w.Proven, err = proven(ctx, t, num); err != nil {
			return err
		}
		if w.Missed, err = missedRate(ctx, t, num); err != nil {
			return err
		}
		if w.Broken, w.Scan, err = lastScan(ctx, t, num); err != nil {
			return err
		}
		if w.Delayed, err = delayed(ctx, t, num); err != nil {
			return err
		}
		if err := one(ctx, t, "SELECT count(*) FROM (SELECT 1 FROM failures WHERE task = $1 AND open = 1 LIMIT $2) AS f",
			[]any{num, int64(history.MaxOpen)}, &w.Open); err != nil {
			return err
		}
		w.Lag, err = lag(ctx, t, num)
		return err
	})
	return w, err
}

// heard is the acceptance of the oldest event that waits or is failed. An event whose
// turn comes by its acceptance is found by the lanes' own index, a later one by
// pending_late.
func heard(ctx context.Context, t *txn, num int64) (time.Time, error) {
	now := t.s.now().UnixMicro()
	oldest := now
	for _, sql := range []string{
		`SELECT min((SELECT min(p.next_at) FROM pending p WHERE p.task = l.task AND p.shard = l.shard AND p.rank = 0))
			FROM lanes l WHERE l.task = $1`,
		`SELECT min(accepted_at) FROM pending WHERE task = $1 AND rank = 0 AND next_at <> accepted_at`,
		`SELECT min(accepted_at) FROM failures WHERE task = $1 AND open = 1`,
	} {
		var at *int64
		if err := one(ctx, t, sql, []any{num}, &at); err != nil {
			return time.Time{}, err
		}
		if at != nil {
			oldest = min(oldest, *at)
		}
	}
	return fromMicros(oldest), nil
}

// proven is the start, by the source's clock, of the last scan in scope that ended with all it
// found done, held back by what has failed since. Deletes that a guard refused when their turn came are not done.
func proven(ctx context.Context, t *txn, num int64) (time.Time, error) {
	var start, ahead int64
	var failed *int64
	err := one(ctx, t, `SELECT j.started_at, CASE WHEN j.source_time <> 0 THEN j.source_time - j.started_at ELSE 0 END FROM jobs j
		WHERE j.task = $1 AND j.kind = 'scan' AND j.state = 'done' AND `+inScope+`
		AND (SELECT coalesce(sum(c.failed), 0) FROM job_counts c WHERE c.job = j.num) = 0
		AND NOT EXISTS (SELECT 1 FROM reason_counts c WHERE c.job = j.num AND c.outcome = $2 AND c.reason = $3 AND c.n > 0)
		ORDER BY j.num DESC LIMIT 1`, []any{num, int64(task.Ignored), string(task.GuardStopped)}, &start, &ahead)
	if err != nil {
		return time.Time{}, ignoreNoRow(err)
	}
	if err := one(ctx, t, "SELECT min(accepted_at) FROM failures WHERE task = $1 AND open = 1", []any{num}, &failed); err != nil {
		return time.Time{}, err
	}
	if failed != nil {
		start = min(start, *failed)
	}
	return fromMicros(start + ahead), nil
}

// missedRate is that of the last scan in scope that ended: what it repaired, beside the event
// records accepted between the beginnings of the scan before and of this one. So an event
// counts for one scan.
func missedRate(ctx context.Context, t *txn, num int64) (float64, error) {
	var scans []scanMark
	err := each(ctx, t, "SELECT j.num, j.heard FROM jobs j WHERE j.task = $1 AND j.kind = 'scan' AND j.state = 'done' AND "+inScope+" ORDER BY j.num DESC LIMIT 2",
		[]any{num}, func(r rows) error {
			var m scanMark
			err := r.Scan(&m.num, &m.heard)
			scans = append(scans, m)
			return err
		})
	if err != nil || len(scans) < 2 {
		return 0, err
	}
	c, err := jobCounts(ctx, t, scans[0].num)
	heard := max(0, scans[0].heard-scans[1].heard)
	if err != nil || c.Missed+heard == 0 {
		return 0, err
	}
	return float64(c.Missed) / float64(c.Missed+heard), nil
}

// lastScan is why the last scan was stopped or failed, unless it is out of scope, and which
// it is while it goes on.
func lastScan(ctx context.Context, t *txn, num int64) (broken string, running task.JobID, err error) {
	var state task.JobState
	var id task.JobID
	var ended int64
	err = one(ctx, t, `SELECT CASE WHEN NOT (`+inScope+`) THEN '' WHEN j.ended_at = 0 THEN j.ending ELSE j.state END, j.why, j.id, j.ended_at
		FROM jobs j WHERE j.task = $1 AND j.kind = 'scan' ORDER BY j.num DESC LIMIT 1`, []any{num}, &state, &broken, &id, &ended)
	if err != nil {
		return "", "", ignoreNoRow(err)
	}
	if state != task.JobStopped && state != task.JobFailed {
		broken = ""
	}
	if ended == 0 {
		running = id
	}
	return broken, running, nil
}

// delayed looks at records whose turn comes later: the lanes' own index leads to them.
func delayed(ctx context.Context, t *txn, num int64) (map[task.Reason]int64, error) {
	var out map[task.Reason]int64
	err := each(ctx, t, `SELECT x.reason, count(*) FROM (SELECT p.reason FROM lanes l JOIN pending p ON p.task = l.task AND p.shard = l.shard
		AND p.rank IN (0, 1) AND p.next_at > $2 WHERE l.task = $1 LIMIT 1000) x WHERE x.reason <> '' GROUP BY x.reason`,
		[]any{num, t.s.now().UnixMicro()}, func(r rows) error {
			var why task.Reason
			var n int64
			err := r.Scan(&why, &n)
			if out == nil {
				out = map[task.Reason]int64{}
			}
			out[why] = n
			return err
		})
	return out, err
}

// scanMark is a scan with the event records its task had when it began.
type scanMark struct{ num, heard int64 }
