package db

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// CommitPage implements queue.Partitions.
func (s *Store) CommitPage(ctx context.Context, p *queue.Partition, page queue.Page) error {
	var until string
	err := s.write(ctx, func(ctx context.Context, t *txn) error {
		if err := noteSourceTime(ctx, t, p.Num, page.SourceTime); err != nil {
			return err
		}
		h, err := holdPartition(ctx, t, *p)
		if err != nil {
			return err
		}
		if err := checkPage(h, page); err != nil {
			return err
		}
		if len(page.Enqueue) > 0 {
			if err := s.roomFor(ctx, t, h.job); err != nil {
				return err
			}
		}
		c := pageCommit{t: t, h: h, now: s.now(), tally: newTally(s.eng), lines: lines{}}
		if err := c.enqueue(ctx, page.Enqueue); err != nil {
			return err
		}
		if err := c.stage(ctx, page.Delete); err != nil {
			return err
		}
		c.end(page)
		if err := c.tally.flush(ctx, t); err != nil {
			return err
		}
		if err := c.lines.flush(ctx, t, c.now.UnixMicro()); err != nil {
			return err
		}
		until, err = c.move(ctx, page)
		return err
	})
	if err == nil {
		p.After, p.Until = page.After, until
	}
	return err
}

// noteSourceTime records the start of a partition's scan by the source's clock, once. It
// comes before holdPartition: jobs are locked before partitions.
func noteSourceTime(ctx context.Context, t *txn, partition int64, at time.Time) error {
	if at.IsZero() {
		return nil
	}
	_, err := t.exec(ctx, "UPDATE jobs SET source_time = $1 WHERE num = (SELECT job FROM partitions WHERE num = $2) AND source_time = 0",
		at.UnixMicro(), partition)
	return err
}

// checkPage refuses a page that would go backwards, or split where nothing is left.
func checkPage(h heldPartition, page queue.Page) error {
	switch {
	case page.After < h.after, h.until != "" && page.After > h.until:
		return task.Errorf(task.Internal, "page ends at %q outside (%q, %q]", page.After, h.after, h.until)
	case page.Split != "" && (page.Done || page.Split <= page.After || h.until != "" && page.Split >= h.until):
		return task.Errorf(task.Internal, "no split at %q of (%q, %q]", page.Split, page.After, h.until)
	}
	return nil
}

// roomFor says ErrFull when too many records of the scan wait. Staged deletes wait for
// the guard, not for a lane, and do not count.
func (s *Store) roomFor(ctx context.Context, t *txn, job int64) error {
	c, err := jobCounts(ctx, t, job)
	if err != nil {
		return err
	}
	waiting := c.Pending()
	if waiting < s.cfg.MaxScanPending {
		return nil
	}
	var staged int64
	if err := one(ctx, t, "SELECT count(*) FROM staged WHERE job = $1", []any{job}, &staged); err != nil {
		return err
	}
	if waiting-staged >= s.cfg.MaxScanPending {
		return queue.ErrFull
	}
	return nil
}

// pageCommit is one page on its way into the database.
type pageCommit struct {
	t     *txn
	h     heldPartition
	now   time.Time
	tally *tally
	lines lines
}

func (c *pageCommit) lane(key string) laneNum {
	return laneNum{c.h.task, task.ShardOf(key, c.h.shards)}
}

func (c *pageCommit) account(l laneNum) account {
	return accountOf(l, queue.ByScan, c.h.job, c.now.UnixMicro())
}

// enqueue makes the differing keys pending. A key that is pending keeps its record,
// which is at least as new as the listing, and the scan's ends at once.
func (c *pageCommit) enqueue(ctx context.Context, found []queue.Found) error {
	if len(found) == 0 {
		return nil
	}
	failed, err := c.openFailures(ctx, found)
	if err != nil {
		return err
	}
	at := c.now.UnixMicro()
	rs := make([]row, len(found))
	for i, f := range found {
		rs[i] = row{
			laneNum: c.lane(f.Key), key: f.Key, class: queue.ByScan, rank: rankRest, job: c.h.job, acceptedAt: at,
			nextAt: at, missed: f.Unheard && !failed[f.Key], known: f.Known.Append(nil),
		}
	}
	sortRows(rs)
	kept, err := c.t.e.insert(ctx, c.t, rs)
	if err != nil {
		return err
	}
	for i := range rs {
		a := c.account(rs[i].laneNum)
		c.tally.at(a).Requested++
		if kept[i] {
			c.t.wakeLane(queue.LaneID{Task: c.h.taskID, Shard: rs[i].shard})
			continue
		}
		c.ended(a, queue.Ended{Key: rs[i].key, Reason: task.AlreadyPending})
	}
	return nil
}

func sortRows(rs []row) {
	slices.SortFunc(rs, func(x, y row) int { return cmp.Or(cmp.Compare(x.shard, y.shard), cmp.Compare(x.key, y.key)) })
}

// openFailures says which unheard keys have an open failure: something did tell of
// those.
func (c *pageCommit) openFailures(ctx context.Context, found []queue.Found) (map[string]bool, error) {
	var some int
	err := one(ctx, c.t, "SELECT 1 FROM failures WHERE task = $1 AND open = 1 LIMIT 1", []any{c.h.task}, &some)
	if errors.Is(err, errNoRow) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	failed := map[string]bool{}
	for _, f := range found {
		if !f.Unheard {
			continue
		}
		l := c.lane(f.Key)
		err := one(ctx, c.t, "SELECT 1 FROM failures WHERE task = $1 AND shard = $2 AND key = $3 AND open = 1",
			[]any{l.task, l.shard, []byte(f.Key)}, &some)
		if err == nil {
			failed[f.Key] = true
		} else if !errors.Is(err, errNoRow) {
			return nil, err
		}
	}
	return failed, nil
}

// stage keeps deletes until the guard has judged them. They are requested, and pending.
func (c *pageCommit) stage(ctx context.Context, found []queue.Found) error {
	args := make([][]any, len(found))
	for i, f := range found {
		l := c.lane(f.Key)
		c.tally.at(c.account(l)).Requested++
		args[i] = []any{c.h.job, l.shard, []byte(f.Key), c.now.UnixMicro(), bit(f.Unheard), f.Known.Append(nil)}
	}
	return c.t.many(ctx, "INSERT INTO staged (job, shard, key, accepted_at, missed, known) VALUES ($1, $2, $3, $4, $5, $6)", args)
}

// end counts the keys that need no work. Unchanged ones are counted on one shard: a
// page without differences costs as little as it can.
func (c *pageCommit) end(page queue.Page) {
	if page.Unchanged > 0 {
		a := c.account(laneNum{c.h.task, int(c.h.num % int64(c.h.shards))})
		n := c.tally.at(a)
		n.Requested += page.Unchanged
		n.Ignored += page.Unchanged
		n.Unchanged += page.Unchanged
		c.tally.reason(a, task.Ignored, task.UpToDate, page.Unchanged)
		if page.Named == nil {
			n.unlisted += page.Unchanged
		}
		for _, e := range page.Named {
			c.line(a, e)
		}
	}
	for _, e := range page.Ended {
		a := c.account(c.lane(e.Key))
		c.tally.at(a).Requested++
		c.ended(a, e)
	}
}

// ended counts and lists one key that the scan decided.
func (c *pageCommit) ended(a account, e queue.Ended) {
	n := c.tally.at(a)
	n.Ignored++
	n.Flagged += bit(e.Reason == task.UpToDateButDifferent)
	c.tally.reason(a, task.Ignored, e.Reason, 1)
	c.line(a, e)
}

func (c *pageCommit) line(a account, e queue.Ended) {
	c.lines.add(listNum{a.task, a.job, queue.ListIgnored},
		history.IgnoredLine{At: c.now, Key: e.Key, Size: e.Size, Reason: e.Reason, Rule: e.Rule}.Append)
}

// move records how far the partition is, and cuts it.
func (c *pageCommit) move(ctx context.Context, page queue.Page) (until string, err error) {
	until = c.h.until
	if page.Split != "" {
		if err := insertPartitions(ctx, c.t, c.h.job, c.h.task, []queue.Range{{After: page.Split, Until: until}}); err != nil {
			return "", err
		}
		until = page.Split
	}
	_, err = c.t.exec(ctx, `UPDATE partitions SET after_key = $1, until_key = $2, done = $3, source = source + $4,
		destination = destination + $5 WHERE num = $6`,
		[]byte(page.After), []byte(until), bit(page.Done), page.Source, page.Destination, c.h.num)
	return until, err
}
