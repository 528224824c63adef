package db

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

const (
	// recentJobs is how many of a task's newest jobs are asked when they ended.
	recentJobs = 8
	// recentOfKind is how many of a project's newest jobs of a kind that lasts are.
	recentOfKind = 200
)

// rowsAtOnce bounds the parameters of a statement that reads rows of a page.
const rowsAtOnce = 256

// TaskSyncs returns how the jobs of tasks of a project stand, in a few statements however
// many tasks there are. One without a job is left out.
//
// No index has the jobs of a task by their end. Those that began last have mostly ended
// last; scans last longer, but there is one at a time, so the newest with each outcome
// ended last; of manifests, retries and verifications the newest of the project are asked.
// So the end of a job may be missed that outlasts recentJobs younger ones of its task and is
// neither a scan nor among the recentOfKind newest of its kind.
func (s *Store) TaskSyncs(ctx context.Context, project task.ProjectID, ids []task.ID) (map[task.ID]history.TaskSync, error) {
	var out map[task.ID]history.TaskSync
	err := s.read(ctx, func(ctx context.Context, t *txn) error {
		out = make(map[task.ID]history.TaskSync, len(ids))
		if err := t.e.walkIndexes(ctx, t); err != nil {
			return err
		}
		for some := range slices.Chunk(ids, rowsAtOnce) {
			if err := readTaskSyncs(ctx, t, project, some, out); err != nil {
				return err
			}
		}
		return lastingEnds(ctx, t, project, out)
	})
	return out, err
}

// taskSyncColumns are the number of a task's newest job and when jobs of it ended.
var taskSyncColumns = func() string {
	of := func(column, rest string) string {
		return "SELECT " + column + " FROM jobs j WHERE j.project = k.project AND j.origin = '' AND j.subject = k.id" + rest + " ORDER BY j.num DESC LIMIT "
	}
	columns := []string{
		"(" + of("j.num", "") + "1)",
		"(SELECT max(n.ended_at) FROM (" + of("j.ended_at", "") + strconv.Itoa(recentJobs) + ") n)",
	}
	for _, status := range []string{"completed", "canceled", "error"} {
		columns = append(columns, "("+of("j.ended_at", " AND j.type = 'full' AND j.status = '"+status+"'")+"1)")
	}
	return "coalesce(" + strings.Join(columns, ", 0), coalesce(") + ", 0)"
}()

func readTaskSyncs(ctx context.Context, t *txn, project task.ProjectID, ids []task.ID, out map[task.ID]history.TaskSync) error {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	list, args := paramList(names)
	args = append(args, string(project))
	var nums []int64
	err := each(ctx, t, "SELECT k.id, "+taskSyncColumns+" FROM tasks k WHERE k.id IN ("+list+") AND k.project = $"+strconv.Itoa(len(args)), args, func(r rows) error {
		var id task.ID
		var num int64
		var ends [4]int64
		err := r.Scan(&id, &num, &ends[0], &ends[1], &ends[2], &ends[3])
		if num != 0 {
			nums = append(nums, num)
			out[id] = history.TaskSync{EndedAt: fromMicros(slices.Max(ends[:]))}
		}
		return err
	})
	if err != nil {
		return err
	}
	latest, err := readExternalNums(ctx, t, nums, true)
	for _, j := range latest {
		id := task.ID(j.Subject)
		out[id] = history.TaskSync{Latest: j, EndedAt: out[id].EndedAt}
	}
	return err
}

// lastingSQL has the kinds as constants: of a parameter PostgreSQL does not know how rare it
// is, and looks for it among all jobs.
var lastingSQL = func() string {
	var parts []string
	for i, kind := range []task.JobKind{task.ManifestJob, task.RetryJob, task.VerifyJob} {
		parts = append(parts, "SELECT * FROM (SELECT subject, ended_at FROM jobs WHERE project = $1 AND kind = '"+string(kind)+
			"' ORDER BY num DESC LIMIT "+strconv.Itoa(recentOfKind)+") of"+strconv.Itoa(i))
	}
	return "SELECT subject, max(ended_at) FROM (" + strings.Join(parts, " UNION ALL ") + ") lasting GROUP BY subject"
}()

// lastingEnds adds the ends of a project's newest jobs of the kinds that last.
func lastingEnds(ctx context.Context, t *txn, project task.ProjectID, out map[task.ID]history.TaskSync) error {
	if len(out) == 0 {
		return nil
	}
	return each(ctx, t, lastingSQL, []any{string(project)}, func(r rows) error {
		var id task.ID
		var ended int64
		if err := r.Scan(&id, &ended); err != nil {
			return err
		}
		if sync, listed := out[id]; listed && fromMicros(ended).After(sync.EndedAt) {
			sync.EndedAt = fromMicros(ended)
			out[id] = sync
		}
		return nil
	})
}
