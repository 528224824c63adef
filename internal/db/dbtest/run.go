// Package dbtest is what the contracts of queue and history mean, as tests that run
// over every engine. They try to break the rules that nothing accepted is lost and
// that counts reconcile.
package dbtest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Open opens a new, empty database with the given settings added to its own, and
// closes it when the test ends.
type Open func(tb testing.TB, with db.Config) *db.Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Open)
	}{
		{"AcceptCounts", testAcceptCounts},
		{"AcceptSupersedes", testAcceptSupersedes},
		{"AcceptInheritsTheOtherKey", testAcceptInheritsTheOtherKey},
		{"AcceptRefuses", testAcceptRefuses},
		{"AcceptRollsJobs", testAcceptRollsJobs},
		{"AcceptManifest", testAcceptManifest},
		{"SettleOutcomes", testSettleOutcomes},
		{"SettleTwice", testSettleTwice},
		{"SettleSuperseded", testSettleSuperseded},
		{"SettleStale", testSettleStale},
		{"SettleTogether", testSettleTogether},
		{"SettleAgainLater", testSettleAgainLater},
		{"SettleChangedRecord", testSettleChangedRecord},
		{"SeqNeverReused", testSeqNeverReused},
		{"OddKeys", testOddKeys},
		{"LanesClaim", testLanesClaim},
		{"LanesOfPausedTasks", testLanesOfPausedTasks},
		{"SliceOrder", testSliceOrder},
		{"SliceKeepsRoom", testSliceKeepsRoom},
		{"RetrySucceeds", testRetrySucceeds},
		{"RetryFailsAnew", testRetryFailsAnew},
		{"RetrySuperseded", testRetrySuperseded},
		{"RetrySelects", testRetrySelects},
		{"RetryGuarded", testRetryGuarded},
		{"RetryKeepsTheOtherKey", testRetryKeepsTheOtherKey},
		{"LaterRecordClosesFailure", testLaterRecordClosesFailure},
		{"UntoldDeleteKeepsFailure", testUntoldDeleteKeepsFailure},
		{"PageCommits", testPageCommits},
		{"PageStale", testPageStale},
		{"PageSplit", testPageSplit},
		{"PageWaits", testPageWaits},
		{"PageMissed", testPageMissed},
		{"PageSourceTime", testPageSourceTime},
		{"DeletesReleased", testDeletesReleased},
		{"DeletesRefused", testDeletesRefused},
		{"DeletesReserved", testDeletesReserved},
		{"JobsEnd", testJobsEnd},
		{"JobsAbandoned", testJobsAbandoned},
		{"JobsCancel", testJobsCancel},
		{"JobsCancelKeepsEvents", testJobsCancelKeepsEvents},
		{"JobsCancelOnce", testJobsCancelOnce},
		{"TaskDeleted", testTaskDeleted},
		{"TaskDeletedLines", testTaskDeletedLines},
		{"Watermarks", testWatermarks},
		{"WatermarksOfOtherPlaces", testWatermarksOfOtherPlaces},
		{"WatermarksOfAnotherScope", testWatermarksOfAnotherScope},
		{"BrokenOfAnotherScope", testBrokenOfAnotherScope},
		{"Statistics", testStatistics},
		{"Outbox", testOutbox},
		{"OutboxRolls", testOutboxRolls},
		{"AuditChain", testAuditChain},
		{"Tasks", testTasks},
		{"Schedules", testSchedules},
		{"SchedulesSkip", testSchedulesSkip},
		{"Hooks", testHooks},
		{"Notices", testNotices},
		{"NoticesClaim", testNoticesClaim},
		{"TasksOverlapAtOnce", testTasksOverlapAtOnce},
		{"TasksLimitedAtOnce", testTasksLimitedAtOnce},
		{"Endpoints", testEndpoints},
		{"Keys", testKeys},
		{"Idempotency", testIdempotency},
		{"RetireAddsUp", testRetireAddsUp},
		{"RetireKeeps", testRetireKeeps},
		{"RetireDeletedTask", testRetireDeletedTask},
		{"RetireRetries", testRetireRetries},
		{"RetireLists", testRetireLists},
		{"RetireExternal", testRetireExternal},
		{"Lag", testLag},
		{"Settings", testSettings},
		{"ExternalJobs", testExternalJobs},
		{"ExternalUpdates", testExternalUpdates},
		{"ExternalLists", testExternalLists},
		{"ExternalManaged", testExternalManaged},
		{"PagesBounded", testPagesBounded},
		{"TaskSyncs", testTaskSyncs},
		{"ExternalSubjects", testExternalSubjects},
		{"RaceExternal", testRaceExternal},
		{"Apps", testApps},
		{"Connectors", testConnectors},
		{"ConnectorsListed", testConnectorsListed},
		{"ConnectorsAtOnce", testConnectorsAtOnce},
		{"Wake", testWake},
		{"RaceAcceptAndSettle", testRaceAcceptAndSettle},
		{"RaceZombies", testRaceZombies},
		{"RaceClaims", testRaceClaims},
		{"RacePages", testRacePages},
		{"RaceCancel", testRaceCancel},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open)
		})
	}
}

// world is a database with one task and a committer in front of it.
type world struct {
	*testing.T
	s     *db.Store
	clock *clock
	in    *queue.Committer
	task  task.Task
}

// clock is the time of day moved by Skip.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) Skip(d time.Duration) { c.ahead.Add(int64(d)) }

const node task.NodeID = "node-a"

func newWorld(t *testing.T, open Open, with db.Config) *world {
	t.Helper()
	w := &world{T: t, clock: &clock{}}
	with.Now = w.clock.Now
	with.BeginLimit = 20 * time.Second
	w.s = open(t, with)
	w.task = w.newTask("main")
	w.in = w.committer(queue.CommitterConfig{})
	return w
}

func (w *world) newTask(name string) task.Task {
	w.Helper()
	k, err := w.s.CreateTask(w.Context(), task.Task{
		Project: "p", Name: name, Shards: 4, Origin: task.Native,
		Source:      task.Location{Endpoint: "src", Bucket: "b"},
		Destination: task.Location{Endpoint: "dst", Bucket: "b", Prefix: name + "/"},
	}, task.Actor{Key: "tester"})
	w.must(err)
	return k
}

// committer runs until the test ends.
func (w *world) committer(cfg queue.CommitterConfig) *queue.Committer {
	w.Helper()
	c := queue.NewCommitter(w.s, cfg)
	ctx, cancel := context.WithCancel(w.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Run(ctx) })
	w.Cleanup(func() { cancel(); wg.Wait() })
	// Run has begun once a batch gets another answer than "not now".
	for {
		_, err := c.Accept(ctx, queue.Batch{Task: task.NewID(), Entries: []queue.Entry{{Key: "x"}}})
		if task.KindOf(err) == task.NotFound {
			return c
		}
		if ctx.Err() != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// accept names keys by event.
func (w *world) accept(keys ...string) queue.Receipt {
	w.Helper()
	r, err := w.in.Accept(w.Context(), queue.Batch{Task: w.task.ID, Entries: entries(keys...)})
	w.must(err)
	return r
}

func entries(keys ...string) []queue.Entry {
	es := make([]queue.Entry, len(keys))
	for i, k := range keys {
		es[i].Key = k
	}
	return es
}

func numbered(prefix string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%06d", prefix, i)
	}
	return keys
}

// claim leases all lanes of the task that have due keys.
func (w *world) claim() map[int]queue.Lane {
	w.Helper()
	lanes, err := w.s.ClaimLanes(w.Context(), node, 1000, time.Minute)
	w.must(err)
	out := map[int]queue.Lane{}
	for _, l := range lanes {
		if l.Task == w.task.ID {
			out[l.Shard] = l
		}
	}
	return out
}

// work takes due keys of all lanes and settles each as end says, until none is left.
// The lanes are given back.
func (w *world) work(end func(queue.Record) queue.Settlement) (total queue.Settled) {
	w.Helper()
	for lanes := w.claim(); len(lanes) > 0; lanes = w.claim() {
		for _, l := range lanes {
			slice, err := w.s.Slice(w.Context(), l.LaneID, 1000, nil)
			w.must(err)
			var done []queue.Settlement
			for _, r := range slice.Records {
				done = append(done, end(r))
			}
			n, err := w.s.Settle(w.Context(), l, done)
			w.must(err)
			total.Ended += n.Ended
			total.Rescheduled += n.Rescheduled
			total.Moved += n.Moved
			w.must(w.s.ReleaseLanes(w.Context(), []queue.Lane{l}))
		}
	}
	return total
}

func synced(r queue.Record) queue.Settlement {
	return queue.Settlement{Record: r, Outcome: task.Synced, Reason: task.Copied, Size: 10}
}

func failed(r queue.Record) queue.Settlement {
	return queue.Settlement{Record: r, Outcome: task.Failed, Reason: task.DestinationDenied, Cause: "no\xffway\x00", Code: "AccessDenied", Size: 10}
}

func ignored(r queue.Record) queue.Settlement {
	return queue.Settlement{Record: r, Outcome: task.Ignored, Reason: task.UpToDate, Size: 10}
}

// one gets the only due record of the task with its lane.
func (w *world) one() (queue.Lane, queue.Record) {
	w.Helper()
	for _, l := range w.claim() {
		slice, err := w.s.Slice(w.Context(), l.LaneID, 10, nil)
		w.must(err)
		if len(slice.Records) != 1 {
			w.Fatalf("slice has %d records, want 1", len(slice.Records))
		}
		return l, slice.Records[0]
	}
	w.Fatal("no lane has due keys")
	panic("unreachable")
}

// prove recounts the task and all its jobs.
func (w *world) prove() {
	w.Helper()
	p, err := w.s.ProveTask(w.Context(), w.task.ID)
	w.must(err)
	if err := p.Check(); err != nil {
		w.Fatalf("task: %v\n%+v", err, p)
	}
	jobs, err := w.s.Jobs(w.Context(), "p", db.JobFilter{Task: w.task.ID})
	w.must(err)
	for _, j := range jobs {
		p, err := w.s.ProveJob(w.Context(), j.ID)
		w.must(err)
		if err := p.Check(); err != nil {
			w.Fatalf("job %s of kind %s: %v\n%+v", j.ID, j.Kind, err, p)
		}
	}
}

// total wants the task's counts to be these, and proves them.
func (w *world) total(want task.Counts) {
	w.Helper()
	got, err := w.s.Total(w.Context(), w.task.ID, false)
	w.must(err)
	if got != want {
		w.Fatalf("counts\n%+v, want\n%+v", got, want)
	}
	w.prove()
}

// job wants a job's counts to be these.
func (w *world) job(id task.JobID, want task.Counts) task.Job {
	w.Helper()
	j, err := w.s.Job(w.Context(), id)
	w.must(err)
	if j.Counts != want {
		w.Fatalf("job counts\n%+v, want\n%+v", j.Counts, want)
	}
	return j
}

func wantKind(t testing.TB, what string, err error, want task.Kind) {
	t.Helper()
	if err == nil || task.KindOf(err) != want {
		t.Fatalf("%s: error %v of kind %d, want kind %d", what, err, task.KindOf(err), want)
	}
}
