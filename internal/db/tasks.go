package db

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

const taskColumns = `id, project, name, description, state, shards, origin, src_endpoint, src_bucket, src_prefix,
	dst_endpoint, dst_bucket, dst_prefix, options, ext, created_at, started_at, changed_at, version, sealed`

func scanTask(r rows) (k task.Task, err error) {
	var src, dst, sealed []byte
	var options, ext string
	var created, started, changed int64
	err = r.Scan(&k.ID, &k.Project, &k.Name, &k.Description, &k.State, &k.Shards, &k.Origin,
		&k.Source.Endpoint, &k.Source.Bucket, &src, &k.Destination.Endpoint, &k.Destination.Bucket, &dst,
		&options, &ext, &created, &started, &changed, &k.Version, &sealed)
	if err != nil {
		return k, err
	}
	k.Source.Prefix, k.Destination.Prefix = string(src), string(dst)
	k.CreatedAt, k.StartedAt, k.ChangedAt = fromMicros(created), fromMicros(started), fromMicros(changed)
	if len(sealed) > 0 {
		k.Sealed = bytes.Clone(sealed)
	}
	if k.Ext, err = decodeExt(ext); err != nil {
		return k, err
	}
	return k, json.Unmarshal([]byte(options), &k.Options)
}

// lockTask reads a task that is not deleted and locks it against change.
func lockTask(ctx context.Context, t *txn, id task.ID) (task.Task, error) {
	return readTask(ctx, t, "id = $1 AND deleted_at = 0"+t.e.lock("FOR NO KEY UPDATE"), string(id))
}

func readTask(ctx context.Context, t *txn, where string, args ...any) (task.Task, error) {
	ts, err := readTasks(ctx, t, "WHERE "+where, args...)
	if err == nil && len(ts) == 0 {
		return task.Task{}, task.Errorf(task.NotFound, "there is no such task")
	}
	if err != nil {
		return task.Task{}, err
	}
	return ts[0], nil
}

func readTasks(ctx context.Context, t *txn, rest string, args ...any) (out []task.Task, err error) {
	err = each(ctx, t, "SELECT "+taskColumns+" FROM tasks "+rest, args, func(r rows) error {
		k, err := scanTask(r)
		out = append(out, k)
		return err
	})
	return out, err
}

// CreateTask stores a new task with its lanes. ID, times and Version are filled in
// where they are empty. Conflict: the name is taken, or its destination overlaps one.
func (s *Store) CreateTask(ctx context.Context, k task.Task, by task.Actor) (task.Task, error) {
	return s.CreateTaskWithin(ctx, k, 0, by)
}

// CreateTaskWithin is CreateTask where the project may have that many tasks of the task's
// origin; 0: any number. Conflict TOO_MANY_TASKS: it has them.
func (s *Store) CreateTaskWithin(ctx context.Context, k task.Task, most int, by task.Actor) (task.Task, error) {
	if k.ID == "" {
		k.ID = task.NewID()
	}
	if k.Shards == 0 {
		k.Shards = task.DefaultShards
	}
	if k.State == "" {
		k.State = task.Active
	}
	k.CreatedAt = s.now()
	k.ChangedAt, k.Version = k.CreatedAt, 1
	if k.State == task.Active {
		k.StartedAt = k.CreatedAt
	}
	err := s.change(ctx, func(ctx context.Context, t *txn) error {
		if err := mayStore(ctx, t, k); err != nil {
			return err
		}
		if err := roomForTask(ctx, t, k, most); err != nil {
			return err
		}
		args, err := taskArgs(k)
		if err != nil {
			return err
		}
		var num int64
		if err := one(ctx, t, "INSERT INTO tasks ("+taskColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
			$14, $15, $16, $17, $18, $19, $20) RETURNING num`, args, &num); err != nil {
			return err
		}
		lanes := make([][]any, k.Shards)
		for i := range lanes {
			lanes[i] = []any{num, i}
		}
		if err := t.many(ctx, "INSERT INTO lanes (task, shard) VALUES ($1, $2)", lanes); err != nil {
			return err
		}
		if err := putSchedule(ctx, t, num, k.Options.Schedule); err != nil {
			return err
		}
		return t.audit(ctx, by, k.Project, "task.create", string(k.ID), taskDetail(k))
	})
	return k, err
}

// mayStore refuses a name or a destination that another task has. Changes happen one
// after the other, so nothing comes between this and the write.
func mayStore(ctx context.Context, t *txn, k task.Task) error {
	others, err := readTasks(ctx, t, `WHERE deleted_at = 0 AND id <> $1 AND
		(project = $2 AND name = $3 OR dst_endpoint = $4 AND dst_bucket = $5)`,
		string(k.ID), string(k.Project), k.Name, string(k.Destination.Endpoint), k.Destination.Bucket)
	if err != nil {
		return err
	}
	for _, o := range others {
		switch {
		case o.Project == k.Project && o.Name == k.Name:
			return &task.Error{Kind: task.Conflict, Code: "TASK_NAME_TAKEN", Text: "a task named " + strconv.Quote(k.Name) + " exists", Next: "choose another name"}
		case o.Project == k.Project && o.Destination.Overlaps(k.Destination):
			return &task.Error{
				Kind: task.Conflict, Code: "DESTINATION_OVERLAPS",
				Text: "the destination overlaps that of task " + strconv.Quote(o.Name), Next: "choose another bucket or prefix",
			}
		}
	}
	return nil
}

// roomForTask refuses one task more than there may be of its origin, for the same reason
// exactly.
func roomForTask(ctx context.Context, t *txn, k task.Task, most int) error {
	if most == 0 {
		return nil
	}
	var n int
	err := one(ctx, t, "SELECT count(*) FROM tasks WHERE deleted_at = 0 AND project = $1 AND origin = $2", []any{string(k.Project), string(k.Origin)}, &n)
	if err == nil && n >= most {
		err = &task.Error{
			Kind: task.Conflict, Code: "TOO_MANY_TASKS", Text: "there are " + strconv.Itoa(n) + " synchronization tasks, and no more are allowed",
			Next: "delete one first",
		}
	}
	return err
}

func taskArgs(k task.Task) ([]any, error) {
	options, err := json.Marshal(k.Options)
	if err != nil {
		return nil, err
	}
	ext, err := encodeExt(k.Ext)
	if err != nil {
		return nil, err
	}
	return []any{
		string(k.ID), string(k.Project), k.Name, k.Description, string(k.State), k.Shards, string(k.Origin),
		string(k.Source.Endpoint), k.Source.Bucket, []byte(k.Source.Prefix),
		string(k.Destination.Endpoint), k.Destination.Bucket, []byte(k.Destination.Prefix),
		string(options), ext, micros(k.CreatedAt), micros(k.StartedAt), micros(k.ChangedAt), k.Version,
		append([]byte{}, k.Sealed...),
	}, nil
}

// taskDetail is what the audit chain keeps of a task. What dialects keep beside it
// stays out: it is theirs to say what is secret there.
func taskDetail(k task.Task) any {
	return map[string]any{"name": k.Name, "source": k.Source, "destination": k.Destination, "state": k.State, "options": k.Options}
}

// ChangeTask stores name, description, state, places, options, dialect fields and
// sealed credentials of a task. Other places cancel a scan under way. After those, and
// after other Options of the task's scope, what scans have proven counts no more. Conflict: it was changed since Version was read, or what CreateTask refuses.
func (s *Store) ChangeTask(ctx context.Context, k task.Task, by task.Actor) (task.Task, error) {
	var changed task.Task
	var scans []jobRow
	err := s.change(ctx, func(ctx context.Context, t *txn) error {
		changed, scans = k, nil
		old, err := lockTask(ctx, t, k.ID)
		if err != nil {
			return err
		}
		if old.Version != k.Version {
			return &task.Error{Kind: task.Conflict, Code: "TASK_CHANGED", Text: "the task was changed by somebody else", Next: "read it again"}
		}
		if err := mayStore(ctx, t, k); err != nil {
			return err
		}
		n := k
		n.Project, n.Shards, n.Origin, n.CreatedAt, n.StartedAt = old.Project, old.Shards, old.Origin, old.CreatedAt, old.StartedAt
		n.ChangedAt, n.Version = s.now(), old.Version+1
		if n.State == task.Active && old.State != task.Active {
			n.StartedAt = n.ChangedAt
		}
		args, err := taskArgs(n)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `UPDATE tasks SET project = $2, name = $3, description = $4, state = $5, shards = $6, origin = $7,
			src_endpoint = $8, src_bucket = $9, src_prefix = $10, dst_endpoint = $11, dst_bucket = $12, dst_prefix = $13,
			options = $14, ext = $15, created_at = $16, started_at = $17, changed_at = $18, version = $19,
			sealed = $20 WHERE id = $1`, args...); err != nil {
			return err
		}
		num, err := s.taskNum(ctx, t, n.ID)
		if err != nil {
			return err
		}
		if n.Options.Schedule != old.Options.Schedule {
			if err := putSchedule(ctx, t, num, n.Options.Schedule); err != nil {
				return err
			}
		}
		switch {
		case n.Source != old.Source || n.Destination != old.Destination:
			scans, err = leavePlaces(ctx, t, n, by)
		case !n.Options.SameScope(&old.Options):
			err = changeScope(ctx, t, num)
		}
		if err != nil {
			return err
		}
		if n.State == task.Active && old.State != task.Active {
			for i := range n.Shards {
				t.wakeLane(queue.LaneID{Task: n.ID, Shard: i})
			}
		}
		changed = n
		return t.audit(ctx, by, n.Project, "task.change", string(n.ID), taskDetail(n))
	})
	if err == nil {
		err = s.endLeft(ctx, scans)
	}
	return changed, err
}

// DeleteTask takes a stopped task away. What waits of it ends failed TASK_DELETED, its
// jobs end, its history stays.
func (s *Store) DeleteTask(ctx context.Context, id task.ID, by task.Actor) error {
	var num int64
	var running []task.JobID
	err := s.change(ctx, func(ctx context.Context, t *txn) error {
		k, err := lockTask(ctx, t, id)
		if err != nil {
			return err
		}
		if k.State != task.Stopped {
			return &task.Error{Kind: task.Conflict, Code: "TASK_NOT_STOPPED", Text: "the task is not stopped", Next: "stop it first"}
		}
		if num, err = s.taskNum(ctx, t, id); err != nil {
			return err
		}
		if _, err := t.exec(ctx, "UPDATE tasks SET deleted_at = $1, open_job = 0 WHERE num = $2", s.now().UnixMicro(), num); err != nil {
			return err
		}
		for _, table := range []string{"hooks", "schedules", "trouble"} {
			if _, err := t.exec(ctx, "DELETE FROM "+table+" WHERE task = $1", num); err != nil {
				return err
			}
		}
		// Owners of its lanes find their leases taken over.
		if _, err := t.exec(ctx, "UPDATE lanes SET owner = '', epoch = epoch + 1, expires = 0 WHERE task = $1", num); err != nil {
			return err
		}
		running = nil
		if err := each(ctx, t, "SELECT id FROM jobs WHERE task = $1 AND ended_at = 0", []any{num}, func(r rows) error {
			var j task.JobID
			err := r.Scan(&j)
			running = append(running, j)
			return err
		}); err != nil {
			return err
		}
		return t.audit(ctx, by, k.Project, "task.delete", string(id), map[string]any{"name": k.Name})
	})
	if err != nil {
		return err
	}
	if err := s.endDeleted(ctx, num, running); err != nil {
		return err
	}
	_, err = s.EndJobs(ctx)
	return err
}

// endDeleted ends what a deleted task leaves behind. It may be repeated: EndJobs does
// after a crash.
func (s *Store) endDeleted(ctx context.Context, num int64, running []task.JobID) error {
	for _, id := range running {
		err := s.write(ctx, func(ctx context.Context, t *txn) error {
			j, err := lockJob(ctx, t, id, "FOR NO KEY UPDATE")
			if err != nil || j.state.Ended() || j.state == task.JobCancelling {
				return err
			}
			return endingJob(ctx, t, j, task.JobClosed, task.JobCancelled, "the task was deleted")
		})
		for more := true; more && err == nil; {
			more, err = s.dropDeletes(ctx, id, task.TaskDeleted, endStep)
		}
		if err != nil {
			return err
		}
	}
	var origin task.Dialect
	if err := s.read(ctx, func(ctx context.Context, t *txn) error {
		return one(ctx, t, "SELECT origin FROM tasks WHERE num = $1", []any{num}, &origin)
	}); err != nil {
		return err
	}
	code := "" // what lists of OMS have in the column of the store's code
	if origin == task.OMS {
		code = history.OMSCode(task.TaskDeleted, "")
	}
	return s.endWaiting(ctx, num, "", func(r queue.Record) (queue.Settlement, bool) {
		return queue.Settlement{Record: r, Outcome: task.Failed, Reason: task.TaskDeleted, Code: code}, true
	})
}

// Task returns a task. NotFound.
func (s *Store) Task(ctx context.Context, id task.ID) (k task.Task, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		k, err = readTask(ctx, t, "id = $1 AND deleted_at = 0", string(id))
		return err
	})
	return k, err
}

// AnyTask returns a task even when it has been deleted. NotFound.
func (s *Store) AnyTask(ctx context.Context, id task.ID) (k task.Task, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		k, err = readTask(ctx, t, "id = $1", string(id))
		return err
	})
	return k, err
}

// EverTask says whether there is a task of that id, or was one before it was deleted.
func (s *Store) EverTask(ctx context.Context, id task.ID) (ever bool, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		return one(ctx, t, "SELECT EXISTS (SELECT 1 FROM tasks WHERE id = $1)", []any{string(id)}, &ever)
	})
	return ever, err
}

// TaskNamed returns a task by its name within a project. NotFound.
func (s *Store) TaskNamed(ctx context.Context, project task.ProjectID, name string) (k task.Task, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		k, err = readTask(ctx, t, "project = $1 AND name = $2 AND deleted_at = 0", string(project), name)
		return err
	})
	return k, err
}

// Tasks returns up to limit tasks that come after one in order of creation; an empty
// project is all of them, an empty after begins at the oldest.
func (s *Store) Tasks(ctx context.Context, project task.ProjectID, after task.ID, limit int) (out []task.Task, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		var num int64
		if after != "" {
			n, err := s.taskNum(ctx, t, after)
			if err != nil {
				return err
			}
			num = n
		}
		out, err = readTasks(ctx, t, "WHERE deleted_at = 0 AND num > $1 AND ($2 = '' OR project = $2) ORDER BY num LIMIT $3",
			num, string(project), limit)
		return err
	})
	return out, err
}
