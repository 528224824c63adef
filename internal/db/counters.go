package db

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// counts are task.Counts with what only proofs need.
type counts struct {
	task.Counts
	unlisted int64 // part of Ignored that no list names
}

func (c *counts) add(d counts) {
	c.Add(d.Counts)
	c.unlisted += d.unlisted
}

// account is where a record is counted: its job, and the interval and month in which
// it was accepted.
type account struct {
	laneNum
	class    queue.Class
	job      int64
	interval int64 // beginning, microseconds
}

func accountOf(l laneNum, class queue.Class, job, acceptedAt int64) account {
	width := task.Interval.Microseconds()
	return account{laneNum: l, class: class, job: job, interval: acceptedAt - acceptedAt%width}
}

// month is the beginning of the month, UTC, of a time in microseconds.
func month(us int64) int64 {
	t := time.UnixMicro(us).UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMicro()
}

// tally collects what one transaction adds to the counters. They are written once, in
// an order that is the same for all, so that transactions do not wait for each other
// in a circle.
type tally struct {
	e        engine
	accounts map[account]*counts
	attempts map[laneJob]*counts // of retry jobs, whose records are counted elsewhere
	reasons  map[reasonKey]int64
	last     account // the account used last, which mostly is the next one too
	sum      *counts
}

type laneJob struct {
	job   int64
	shard int
}

type reasonKey struct {
	task    int64
	job     int64
	outcome task.Outcome
	reason  task.Reason
	shard   int
}

func newTally(e engine) *tally {
	return &tally{e: e, accounts: map[account]*counts{}, reasons: map[reasonKey]int64{}}
}

// at returns the sum of an account, to be added to.
func (y *tally) at(a account) *counts {
	a.shard = y.e.counterShard(a.shard)
	if y.sum == nil || y.last != a {
		sum := y.accounts[a]
		if sum == nil {
			sum = &counts{}
			y.accounts[a] = sum
		}
		y.last, y.sum = a, sum
	}
	return y.sum
}

// attempt returns the sum of a retry job.
func (y *tally) attempt(job int64, shard int) *counts {
	k := laneJob{job, y.e.counterShard(shard)}
	if y.attempts[k] == nil {
		if y.attempts == nil {
			y.attempts = map[laneJob]*counts{}
		}
		y.attempts[k] = &counts{}
	}
	return y.attempts[k]
}

// reason counts n records of an account that ended for a reason.
func (y *tally) reason(a account, o task.Outcome, r task.Reason, n int64) {
	y.reasons[reasonKey{a.task, a.job, o, r, y.e.counterShard(a.shard)}] += n
}

// superseded counts a record that a later one of its key took the place of. A new
// attempt of a failed record is no record: that one stays failed.
func (y *tally) superseded(d displaced) (listed bool) {
	if d.retry != 0 {
		y.attempt(d.retry, d.shard).Ignored++
		return false
	}
	a := accountOf(d.laneNum, d.class, d.job, d.acceptedAt)
	y.at(a).Ignored++
	y.reason(a, task.Ignored, task.Superseded, 1)
	return true
}

const countColumns = "requested, synced, failed, ignored, unchanged, deleted, flagged, missed, bytes, unlisted"

// addTo is the upsert of a counter table with these key columns.
func addTo(table string, key ...string) string {
	var set, params []string
	for c := range strings.SplitSeq(countColumns, ", ") {
		set = append(set, c+" = "+table+"."+c+" + excluded."+c)
	}
	for i := range len(key) + 10 {
		params = append(params, "$"+string(rune('0'+(i+1)/10))+string(rune('0'+(i+1)%10)))
	}
	keys := strings.Join(key, ", ")
	return "INSERT INTO " + table + " (" + keys + ", " + countColumns + ") VALUES (" +
		strings.ReplaceAll(strings.Join(params, ", "), "$0", "$") + ") ON CONFLICT (" + keys + ") DO UPDATE SET " + strings.Join(set, ", ")
}

var (
	addJobCounts      = addTo("job_counts", "job", "shard")
	addIntervalCounts = addTo("interval_counts", "task", "at", "class", "shard")
	addMonthCounts    = addTo("month_counts", "task", "at", "class", "shard")
)

const addReasonCounts = `INSERT INTO reason_counts (job, outcome, reason, shard, task, n) VALUES ($1, $2, $3, $4, $5, $6)
	ON CONFLICT (job, outcome, reason, shard) DO UPDATE SET n = reason_counts.n + excluded.n`

type spanKey struct {
	task, at int64
	class    queue.Class
	shard    int
}

func (a spanKey) compare(b spanKey) int {
	return cmp.Or(cmp.Compare(a.task, b.task), cmp.Compare(a.at, b.at), cmp.Compare(a.class, b.class), cmp.Compare(a.shard, b.shard))
}

// flush writes the sums.
func (y *tally) flush(ctx context.Context, t *txn) error {
	jobs := y.attempts
	if jobs == nil {
		jobs = map[laneJob]*counts{}
	}
	intervals, months := map[spanKey]*counts{}, map[spanKey]*counts{}
	for a, c := range y.accounts {
		addSum(jobs, laneJob{a.job, a.shard}, c)
		addSum(intervals, spanKey{a.task, a.interval, a.class, a.shard}, c)
		addSum(months, spanKey{a.task, month(a.interval), a.class, a.shard}, c)
	}
	var args [][]any
	for _, k := range slices.SortedFunc(maps.Keys(jobs), func(a, b laneJob) int {
		return cmp.Or(cmp.Compare(a.job, b.job), cmp.Compare(a.shard, b.shard))
	}) {
		args = append(args, jobs[k].args(k.job, k.shard))
	}
	if err := t.many(ctx, addJobCounts, args); err != nil {
		return err
	}
	for _, table := range [...]struct {
		sql  string
		sums map[spanKey]*counts
	}{{addIntervalCounts, intervals}, {addMonthCounts, months}} {
		args = args[:0]
		for _, k := range slices.SortedFunc(maps.Keys(table.sums), spanKey.compare) {
			args = append(args, table.sums[k].args(k.task, k.at, k.class, k.shard))
		}
		if err := t.many(ctx, table.sql, args); err != nil {
			return err
		}
	}
	return y.flushReasons(ctx, t)
}

func (y *tally) flushReasons(ctx context.Context, t *txn) error {
	var args [][]any
	for _, k := range slices.SortedFunc(maps.Keys(y.reasons), func(a, b reasonKey) int {
		return cmp.Or(cmp.Compare(a.job, b.job), cmp.Compare(a.outcome, b.outcome), cmp.Compare(a.reason, b.reason), cmp.Compare(a.shard, b.shard))
	}) {
		if n := y.reasons[k]; n != 0 {
			args = append(args, []any{k.job, int64(k.outcome), string(k.reason), k.shard, k.task, n})
		}
	}
	return t.many(ctx, addReasonCounts, args)
}

func addSum[K comparable](m map[K]*counts, k K, c *counts) {
	if m[k] == nil {
		m[k] = &counts{}
	}
	m[k].add(*c)
}

// args are the key's columns followed by those of the counters.
func (c *counts) args(key ...any) []any {
	return append(key, c.Requested, c.Synced, c.Failed, c.Ignored, c.Unchanged, c.Deleted, c.Flagged, c.Missed, c.Bytes, c.unlisted)
}

// sumColumns selects the sums that scanCounts reads.
var sumColumns = func() string {
	var out []string
	for c := range strings.SplitSeq(countColumns, ", ") {
		out = append(out, "CAST(coalesce(sum("+c+"), 0) AS BIGINT)")
	}
	return strings.Join(out, ", ")
}()

// into are the destinations of sumColumns.
func (c *counts) into() []any {
	return []any{&c.Requested, &c.Synced, &c.Failed, &c.Ignored, &c.Unchanged, &c.Deleted, &c.Flagged, &c.Missed, &c.Bytes, &c.unlisted}
}
