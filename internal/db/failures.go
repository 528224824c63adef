package db

import (
	"context"
	"errors"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// A failed record has a row for as long as it is failed. It is open until a later
// record of its key tells what became of the key; a key has one open failure at most, the latest, which is
// the one a retry works on. While a new attempt waits the record stays failed.

const insertFailure = `INSERT INTO failures (task, shard, key, seq, job, class, accepted_at, first_at, last_at, attempts,
	reason, cause, code, size, missed, otherwise, open) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12, $13, $14, $15, 1)`

func (w *settling) failureArgs(d *queue.Settlement) []any {
	r, l := &d.Record, w.lane
	return []any{
		l.task, l.shard, []byte(r.Key), r.Seq, r.JobNum, r.Class, r.AcceptedAt.UnixMicro(), w.at(d).UnixMicro(),
		r.Attempts + 1, string(d.Reason), clean(d.Cause), clean(d.Code), d.Size, bit(r.Missed),
		[]byte(r.Known.Otherwise),
	}
}

// failure is what a new attempt needs to know of its record.
type failure struct {
	num      int64
	reason   task.Reason
	attempts int
}

// closeFailures closes the open failures of keys that end now. Those of which this is
// a new attempt are seen to apart.
func (w *settling) closeFailures(ctx context.Context, ended []*queue.Settlement) error {
	var some int
	err := one(ctx, w.t, "SELECT 1 FROM failures WHERE task = $1 AND shard = $2 AND open = 1 LIMIT 1",
		[]any{w.lane.task, w.lane.shard}, &some)
	if errors.Is(err, errNoRow) {
		return nil
	}
	if err != nil {
		return err
	}
	var args [][]any
	for _, r := range ended {
		if r.Record.RetryNum == 0 && tells(r.Reason) {
			args = append(args, []any{w.lane.task, w.lane.shard, []byte(r.Record.Key)})
		}
	}
	return w.t.many(ctx, "UPDATE failures SET open = 0 WHERE task = $1 AND shard = $2 AND key = $3 AND open = 1", args)
}

// tells reports whether a record that ended so has told what became of its key. One that
// was cancelled has not, nor has a delete that was not made: the failure of another record
// is still all that is known.
func tells(r task.Reason) bool {
	switch r {
	case task.Cancelled, task.DeleteSuperseded, task.GuardStopped:
		return false
	}
	return true
}

// loadAttempts reads the records of which some of these are new attempts.
func (w *settling) loadAttempts(ctx context.Context, ended []*queue.Settlement) error {
	for _, d := range ended {
		r := &d.Record
		if r.RetryNum == 0 {
			continue
		}
		var f failure
		err := one(ctx, w.t, `SELECT num, reason, attempts FROM failures
			WHERE task = $1 AND shard = $2 AND key = $3 AND seq = $4 AND open = 1`,
			[]any{w.lane.task, w.lane.shard, []byte(r.Key), r.FailedSeq}, &f.num, &f.reason, &f.attempts)
		if errors.Is(err, errNoRow) {
			continue // retention removed it: only the retry job counts the attempt
		}
		if err != nil {
			return err
		}
		if w.failed == nil {
			w.failed = map[int64]failure{}
		}
		w.failed[r.FailedSeq] = f
	}
	return nil
}

// attempt records how a new attempt of a failed record ended: in the retry job, and, unless
// nothing was tried, in the interval and job of the record, whose failed line is taken back.
func (w *settling) attempt(ctx context.Context, d *queue.Settlement) error {
	r := &d.Record
	countOutcome(w.tally.attempt(r.RetryNum, w.lane.shard), d)
	f, ok := w.failed[r.FailedSeq]
	if !ok {
		return nil
	}
	switch d.Reason {
	case task.Cancelled, task.TaskDeleted, task.GuardStopped:
		return nil
	}
	a := w.account(*r)
	w.tally.at(a).Failed--
	w.tally.reason(a, task.Failed, f.reason, -1)
	w.lines.add(listNum{a.task, a.job, queue.ListRetried}, history.RetriedLine{At: w.at(d), Key: r.Key, Reason: f.reason}.Append)
	w.count(a, d)
	w.line(a, d)
	if _, err := w.t.exec(ctx, "UPDATE jobs SET manifest_due = 1 WHERE num = $1 AND manifest_due = 0 AND ended_at <> 0", a.job); err != nil {
		return err
	}
	if d.Outcome != task.Failed {
		_, err := w.t.exec(ctx, "DELETE FROM failures WHERE num = $1", f.num)
		return err
	}
	_, err := w.t.exec(ctx, `UPDATE failures SET last_at = $1, attempts = $2, reason = $3, cause = $4, code = $5 WHERE num = $6`,
		w.at(d).UnixMicro(), f.attempts+r.Attempts+1, string(d.Reason), clean(d.Cause), clean(d.Code), f.num)
	return err
}

// Failures returns up to limit failed records of a task with Num above after, by Num.
func (s *Store) Failures(ctx context.Context, id task.ID, f history.FailureFilter, after int64, limit int) (out []history.Failure, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		num, err := s.taskNum(ctx, t, id)
		if err != nil {
			return err
		}
		where, args, err := failuresWhere(ctx, t, num, f)
		if err != nil {
			return err
		}
		args = append(args, after, limit)
		n := len(args)
		return each(ctx, t, `SELECT f.num, j.id, f.key, f.reason, f.cause, f.code, f.attempts, f.accepted_at, f.first_at,
			f.last_at, f.size, f.open FROM failures f JOIN jobs j ON j.num = f.job WHERE `+where+` AND f.num > $`+strconv.Itoa(n-1)+`
			ORDER BY f.num LIMIT $`+strconv.Itoa(n), args, func(r rows) error {
			x := history.Failure{Task: id}
			var key []byte
			var accepted, first, last int64
			var open int
			err := r.Scan(&x.Num, &x.Job, &key, &x.Reason, &x.Cause, &x.Code, &x.Attempts, &accepted, &first, &last, &x.Size, &open)
			x.Key, x.Open = string(key), open != 0
			x.AcceptedAt, x.FirstAt, x.LastAt = fromMicros(accepted), fromMicros(first), fromMicros(last)
			out = append(out, x)
			return err
		})
	})
	return out, err
}

func failuresWhere(ctx context.Context, t *txn, num int64, f history.FailureFilter) (where string, args []any, err error) {
	where, args = "f.task = $1", []any{num}
	and := func(column string, value any) {
		args = append(args, value)
		where += " AND f." + column + " = $" + strconv.Itoa(len(args))
	}
	if f.OpenOnly {
		where += " AND f.open = 1"
	}
	if f.Job != "" {
		job, err := lockJob(ctx, t, f.Job, "")
		if err != nil {
			return "", nil, err
		}
		and("job", job.num)
	}
	if f.Reason != "" {
		and("reason", string(f.Reason))
	}
	if f.Key != "" {
		and("key", []byte(f.Key))
	}
	return where, args, nil
}
