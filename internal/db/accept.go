package db

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// AcceptGroup implements queue.GroupAcceptor.
func (s *Store) AcceptGroup(ctx context.Context, group []queue.Batch, answers []queue.Answer) error {
	// Groups of several nodes share the lock on a task; one that has to open a job
	// begins again with the task to itself. SQLite has one writer anyway.
	exclusive := s.eng.lock("") == ""
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		clear(answers)
		a := newAcceptance(t, exclusive)
		if err := a.load(ctx, group); err != nil {
			return err
		}
		for i, b := range group {
			job, err := a.jobFor(ctx, b)
			if errors.Is(err, errOpenJob) {
				exclusive = true
				return errAgain
			}
			if err != nil {
				if task.KindOf(err) == task.Internal {
					return err
				}
				answers[i].Err = err
				continue
			}
			a.take(b, job)
			answers[i].Receipt = queue.Receipt{Job: job.id, At: a.now}
		}
		return a.store(ctx)
	})
}

// acceptance is one group on its way into the database.
type acceptance struct {
	t         *txn
	now       time.Time
	exclusive bool // the tasks are locked for change
	tasks     map[task.ID]*openTask
	manifests map[task.JobID]*openJob
	rows      []row // of all batches, in order
	tally     *tally
	lines     lines
}

func newAcceptance(t *txn, exclusive bool) *acceptance {
	return &acceptance{t: t, now: t.s.now(), exclusive: exclusive, tally: newTally(t.e), lines: lines{}}
}

// openTask is what accepting needs to know of a task.
type openTask struct {
	num     int64
	project task.ProjectID
	state   task.State
	shards  int
	events  *openJob // nil: none takes records
}

type openJob struct {
	num       int64
	id        task.JobID
	kind      task.JobKind
	startedAt int64
	requested int64
}

// errOpenJob says that a job must be opened, for which the tasks must be locked.
var errOpenJob = errors.New("db: a job must be opened")

// load reads the tasks of a group with their open jobs.
func (a *acceptance) load(ctx context.Context, group []queue.Batch) error {
	a.tasks = map[task.ID]*openTask{}
	var ids []string
	for _, b := range group {
		if _, ok := a.tasks[b.Task]; !ok {
			a.tasks[b.Task] = nil
			ids = append(ids, string(b.Task))
		}
	}
	slices.Sort(ids) // locks are taken in this order
	clause := "FOR SHARE"
	if a.exclusive {
		clause = "FOR NO KEY UPDATE"
	}
	for chunk := range slices.Chunk(ids, maxIDs) {
		list, args := inList(1, chunk)
		err := each(ctx, a.t, `SELECT num, id, project, state, shards, open_job FROM tasks WHERE id IN (`+list+`)
			AND deleted_at = 0 ORDER BY id`+a.t.e.lock(clause), args, func(r rows) error {
			var k openTask
			var id task.ID
			var open int64
			if err := r.Scan(&k.num, &id, &k.project, &k.state, &k.shards, &open); err != nil {
				return err
			}
			if a.tasks[id] = &k; open != 0 {
				k.events = &openJob{num: open}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, k := range a.tasks {
		if k == nil || k.events == nil {
			continue
		}
		err := a.jobRow(ctx, "num", k.events.num, k.events)
		if errors.Is(err, errNoRow) {
			k.events = nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (a *acceptance) jobRow(ctx context.Context, column string, value any, j *openJob) error {
	return one(ctx, a.t, `SELECT num, id, kind, started_at,
		CAST(coalesce((SELECT sum(requested) FROM job_counts WHERE job = jobs.num), 0) AS BIGINT)
		FROM jobs WHERE `+column+` = $1 AND state = 'open'`, []any{value}, &j.num, &j.id, &j.kind, &j.startedAt, &j.requested)
}

// jobFor finds or opens the job that a batch belongs to, or refuses the batch.
func (a *acceptance) jobFor(ctx context.Context, b queue.Batch) (*openJob, error) {
	k := a.tasks[b.Task]
	switch {
	case k == nil:
		return nil, task.Errorf(task.NotFound, "there is no task %s", b.Task)
	case k.state == task.Stopped:
		return nil, &task.Error{Kind: task.Conflict, Code: "TASK_STOPPED", Text: "the task is stopped", Next: "start it first"}
	case b.Job != "":
		return a.manifest(ctx, k, b.Job)
	}
	return a.eventsJob(ctx, k, len(b.Entries))
}

// eventsJob finds or opens the job that takes n records by event.
func (a *acceptance) eventsJob(ctx context.Context, k *openTask, n int) (*openJob, error) {
	if j := k.events; j != nil && j.requested+int64(n) <= task.EventsJobRecords &&
		a.now.UnixMicro()-j.startedAt < task.EventsJobAge.Microseconds() {
		return j, nil
	}
	if !a.exclusive {
		return nil, errOpenJob
	}
	if k.events != nil {
		if err := closeJob(ctx, a.t, k.events.num, a.now); err != nil {
			return nil, err
		}
	}
	id, num, err := insertJob(ctx, a.t, newJob{task: k.num, project: k.project, kind: task.EventsJob, at: a.now})
	if err != nil {
		return nil, err
	}
	k.events = &openJob{num: num, id: id, kind: task.EventsJob, startedAt: a.now.UnixMicro()}
	_, err = a.t.exec(ctx, "UPDATE tasks SET open_job = $1 WHERE num = $2", num, k.num)
	return k.events, err
}

func (a *acceptance) manifest(ctx context.Context, k *openTask, id task.JobID) (*openJob, error) {
	if j := a.manifests[id]; j != nil {
		return j, nil
	}
	j := &openJob{}
	// The job stays open until the group has ended, however long that takes.
	if _, err := lockJob(ctx, a.t, id, "FOR SHARE"); err != nil {
		return nil, err
	}
	err := a.jobRow(ctx, "kind = 'manifest' AND task = "+strconv.FormatInt(k.num, 10)+" AND id", string(id), j)
	if errors.Is(err, errNoRow) {
		return nil, task.Errorf(task.Conflict, "job %s takes no keys", id)
	}
	if a.manifests == nil {
		a.manifests = map[task.JobID]*openJob{}
	}
	a.manifests[id] = j
	return j, err
}

// take adds the records of a batch.
func (a *acceptance) take(b queue.Batch, j *openJob) {
	k := a.tasks[b.Task]
	at := a.now.UnixMicro()
	class := queue.ClassOf(j.kind)
	j.requested += int64(len(b.Entries))
	received := listNum{k.num, j.num, queue.ListReceived}
	for _, e := range b.Entries {
		r := row{
			laneNum: laneNum{k.num, task.ShardOf(e.Key, k.shards)}, key: e.Key, class: class, rank: rankOf(class),
			job: j.num, acceptedAt: at, nextAt: max(at, micros(e.NotBefore)),
		}
		if e.Otherwise != "" {
			r.known = queue.Known{Otherwise: e.Otherwise}.Append(nil)
		}
		a.rows = append(a.rows, r)
		a.tally.at(accountOf(r.laneNum, class, j.num, at)).Requested++
		a.lines.add(received, func(dst []byte) []byte { return history.AppendReceived(dst, e.Key, e.Otherwise) })
		a.t.wakeLane(queue.LaneID{Task: b.Task, Shard: r.shard})
	}
}

// store writes the group: PostgreSQL refuses equal keys in one statement, and
// transactions that lock rows in different orders wait for each other.
func (a *acceptance) store(ctx context.Context) error {
	if len(a.rows) == 0 {
		return nil
	}
	slices.SortStableFunc(a.rows, func(x, y row) int {
		return cmp.Or(cmp.Compare(x.task, y.task), cmp.Compare(x.shard, y.shard), cmp.Compare(x.key, y.key))
	})
	last := a.rows[:0]
	for i, r := range a.rows {
		if i+1 < len(a.rows) && a.rows[i+1].laneNum == r.laneNum && a.rows[i+1].key == r.key {
			d := displaced{laneNum: r.laneNum, key: r.key, class: r.class, job: r.job, acceptedAt: r.acceptedAt, shared: r.shared}
			a.rows[i+1].inherit(d, r.known)
			a.supersede(d)
			continue
		}
		last = append(last, r)
	}
	old, err := a.t.e.upsert(ctx, a.t, last)
	if err != nil {
		return err
	}
	for _, d := range old {
		a.supersede(d)
	}
	if err := a.tally.flush(ctx, a.t); err != nil {
		return err
	}
	return a.lines.flush(ctx, a.t, a.now.UnixMicro())
}

// inherit keeps what r owes to the record that it takes the place of: its other key,
// unless r has hints of its own, and that another job asked for the key too.
func (r *row) inherit(d displaced, known []byte) {
	r.shared = r.shared || d.shared || d.retry == 0 && d.class.Named() && d.job != r.job
	if r.known == nil && queue.NamesOther(known) {
		r.known = known
	}
}

func (a *acceptance) supersede(d displaced) {
	if a.tally.superseded(d) {
		a.lines.add(listNum{d.task, d.job, queue.ListIgnored}, func(dst []byte) []byte {
			return history.IgnoredLine{At: a.now, Key: d.key, Reason: task.Superseded}.Append(dst)
		})
	}
}

// maxIDs is the most names in one IN list.
const maxIDs = 64

// inList is the parameters, from $first on, of an IN list. Its length is a power of
// two, so that few forms of a statement exist; the last value is repeated.
func inList[T any](first int, values []T) (list string, args []any) {
	n := 1
	for n < len(values) {
		n *= 2
	}
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("$" + strconv.Itoa(first+i))
		args = append(args, values[min(i, len(values)-1)])
	}
	return b.String(), args
}
