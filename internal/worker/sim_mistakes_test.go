package worker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver of the database itself

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// mistake is a wrong database, made of the right one. What it keeps between nodes it
// keeps for one simulation.
type mistake struct {
	name string
	// told is a part of what the simulation says of it.
	says  string
	plant func(*simNode, queue.Lanes, queue.Partitions) (queue.Lanes, queue.Partitions)
}

// mistakes are made anew for every seed.
func mistakes() []*mistake {
	return []*mistake{
		{"no epoch check", "settled", plantNoEpochs(map[queue.LaneID]queue.Lane{})},
		{"a seq counted for each row", "was told in version", plantRowCounter(map[string]rowVersion{})},
		{"list lines outside of the settling transaction", "list lines", plantTorn("outbox")},
		{"counters in a second transaction", "", plantTorn("job_counts", "interval_counts", "month_counts", "reason_counts")},
		{"deletes not staged", "deleted", plantUnstaged},
		{"a key not read again after a change", "was told in version", plantNotReadAgain},
		{"a cancelled job takes along what others asked for", "was told in version", plantForgetful},
	}
}

// TestSimulationFindsMistakes plants mistakes, each of which the simulation finds
// within a hundred seeds: else it proves nothing.
func TestSimulationFindsMistakes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute")
	}
	warmUp(t)
	for i, one := range mistakes() {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(100) {
				what := ""
				t.Run(fmt.Sprint(seed), func(t *testing.T) { what = simulateOnce(t, seed, mistakes()[i]) })
				if what == "" {
					continue
				}
				first, _, _ := strings.Cut(what, "\n")
				t.Logf("found with seed %d: %s", seed, first)
				if !strings.Contains(what, one.says) {
					t.Errorf("found by %q, want %q", what, one.says)
				}
				return
			}
			t.Error("not found within 100 seeds")
		})
	}
}

// plantNoEpochs settles for whoever asks, as if the lane were still his.
func plantNoEpochs(now map[queue.LaneID]queue.Lane) func(*simNode, queue.Lanes, queue.Partitions) (queue.Lanes, queue.Partitions) {
	return func(_ *simNode, l queue.Lanes, p queue.Partitions) (queue.Lanes, queue.Partitions) {
		return noEpochs{l, now}, p
	}
}

type noEpochs struct {
	queue.Lanes
	now map[queue.LaneID]queue.Lane
}

func (q noEpochs) ClaimLanes(ctx context.Context, node task.NodeID, limit int, lease time.Duration) ([]queue.Lane, error) {
	out, err := q.Lanes.ClaimLanes(ctx, node, limit, lease)
	for _, l := range out {
		q.now[l.LaneID] = l
	}
	return out, err
}

func (q noEpochs) Settle(ctx context.Context, lane queue.Lane, done []queue.Settlement) (queue.Settled, error) {
	return q.Lanes.Settle(ctx, q.now[lane.LaneID], done)
}

// plantNotReadAgain settles a key whatever was asked of it meanwhile.
func plantNotReadAgain(n *simNode, l queue.Lanes, p queue.Partitions) (queue.Lanes, queue.Partitions) {
	return notReadAgain{l, n.m}, p
}

type notReadAgain struct {
	queue.Lanes
	m *simulation
}

func (q notReadAgain) Settle(ctx context.Context, lane queue.Lane, done []queue.Settlement) (queue.Settled, error) {
	done = slices.Clone(done)
	for i := range done {
		waiting, _, err := q.m.db.KeyState(ctx, lane.Task, done[i].Record.Key)
		if err != nil {
			return queue.Settled{}, err
		}
		if waiting != nil {
			done[i].Record = *waiting
		}
	}
	return q.Lanes.Settle(ctx, lane, done)
}

// rowVersion is a row as one whose versions count from 1 would be.
type rowVersion struct {
	seq     int64 // the real one
	version int64
	settled bool // the row is gone: the next one counts from 1 again
}

// plantRowCounter gives the lanes a version that each row counts for itself.
func plantRowCounter(rows map[string]rowVersion) func(*simNode, queue.Lanes, queue.Partitions) (queue.Lanes, queue.Partitions) {
	return func(n *simNode, l queue.Lanes, p queue.Partitions) (queue.Lanes, queue.Partitions) {
		return rowCounter{l, n.m, rows}, p
	}
}

type rowCounter struct {
	queue.Lanes
	m    *simulation
	rows map[string]rowVersion
}

// version is what the row with a real seq would be called.
func (q rowCounter) version(key string, seq int64) int64 {
	r := q.rows[key]
	switch {
	case r.seq == seq:
	case r.settled, r.seq == 0:
		r = rowVersion{seq: seq, version: 1}
	default:
		r = rowVersion{seq: seq, version: r.version + 1}
	}
	q.rows[key] = r
	return r.version
}

func (q rowCounter) Slice(ctx context.Context, lane queue.LaneID, limit int, busy map[string]struct{}) (queue.Slice, error) {
	out, err := q.Lanes.Slice(ctx, lane, limit, busy)
	q.m.world.Lock()
	defer q.m.world.Unlock()
	for i := range out.Records {
		r := &out.Records[i]
		if r.RetryNum == 0 {
			r.Seq = q.version(r.Key, r.Seq)
		}
	}
	return out, err
}

func (q rowCounter) Settle(ctx context.Context, lane queue.Lane, done []queue.Settlement) (queue.Settled, error) {
	done = slices.Clone(done)
	for i := range done {
		r := &done[i].Record
		waiting, _, err := q.m.db.KeyState(ctx, lane.Task, r.Key)
		if err != nil {
			return queue.Settled{}, err
		}
		if r.RetryNum != 0 || waiting == nil || waiting.RetryNum != 0 {
			continue
		}
		if q.version(r.Key, waiting.Seq) == r.Seq {
			*r = *waiting
		}
	}
	out, err := q.Lanes.Settle(ctx, lane, done)
	for i := range done {
		if r := q.rows[done[i].Record.Key]; err == nil && done[i].Outcome != task.Pending && r.seq == done[i].Record.Seq {
			r.settled = true
			q.rows[done[i].Record.Key] = r
		}
	}
	return out, err
}

// plantUnstaged lets scans enqueue their deletes like everything else.
func plantUnstaged(_ *simNode, l queue.Lanes, p queue.Partitions) (queue.Lanes, queue.Partitions) {
	return l, unstaged{p}
}

type unstaged struct{ queue.Partitions }

func (q unstaged) CommitPage(ctx context.Context, p *queue.Partition, page queue.Page) error {
	page.Enqueue = append(slices.Clone(page.Enqueue), page.Delete...)
	page.Delete = nil
	return q.Partitions.CommitPage(ctx, p, page)
}

// plantTorn settles in two transactions, of which the second writes the given tables.
// Now and then the process dies between them.
func plantTorn(tables ...string) func(*simNode, queue.Lanes, queue.Partitions) (queue.Lanes, queue.Partitions) {
	return func(n *simNode, l queue.Lanes, p queue.Partitions) (queue.Lanes, queue.Partitions) {
		return torn{l, n, tables}, p
	}
}

type torn struct {
	queue.Lanes
	n      *simNode
	tables []string
}

// Settle makes the second transaction undone where the process dies before it: the
// simulation's world is locked, so nobody sees the difference.
func (q torn) Settle(ctx context.Context, lane queue.Lane, done []queue.Settlement) (out queue.Settled, err error) {
	if q.n.rng.IntN(20) > 0 {
		return q.Lanes.Settle(ctx, lane, done)
	}
	before := q.n.m.path + ".before"
	if err := q.sql(ctx, "VACUUM INTO '"+before+"'"); err != nil {
		return out, err
	}
	out, err = q.Lanes.Settle(ctx, lane, done)
	if err != nil {
		return out, err
	}
	undo := []string{"ATTACH '" + before + "' AS old", "BEGIN IMMEDIATE"}
	for _, t := range q.tables {
		undo = append(undo, "DELETE FROM main."+t, "INSERT INTO main."+t+" SELECT * FROM old."+t)
	}
	if err := q.sql(ctx, append(undo, "COMMIT")...); err != nil {
		return out, err
	}
	q.n.dead.Store(true)
	return out, os.Remove(before)
}

func (q torn) sql(ctx context.Context, statements ...string) error {
	return rawSQL(ctx, q.n.m.path, statements...)
}

// plantForgetful has records forget that another job had asked for their key.
func plantForgetful(n *simNode, l queue.Lanes, p queue.Partitions) (queue.Lanes, queue.Partitions) {
	return forgetful{l, n.m}, p
}

type forgetful struct {
	queue.Lanes
	m *simulation
}

func (q forgetful) Settle(ctx context.Context, lane queue.Lane, done []queue.Settlement) (queue.Settled, error) {
	if err := rawSQL(ctx, q.m.path, "UPDATE pending SET shared = 0"); err != nil {
		return queue.Settled{}, err
	}
	return q.Lanes.Settle(ctx, lane, done)
}

// rawSQL runs statements behind the back of the database.
func rawSQL(ctx context.Context, path string, statements ...string) error {
	raw, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)")
	if err != nil {
		return err
	}
	_, err = raw.ExecContext(ctx, strings.Join(statements, ";"))
	return errors.Join(err, raw.Close())
}
