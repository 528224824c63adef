package db

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// A list is a merge of branches, each of which an index has in the order of the list: all
// jobs of one origin, or those of them with one type and status. Which of these there
// are, and how many rows each has, is read from the tally; so a page costs as many index
// entries as come before it in the list, however rare its rows are.

// branch is a part of a list that an index has in order.
type branch struct {
	origin, subject string
	kind, status    string // the dialect's words
	narrow          bool   // to type and status
	n               int64
}

// ExternalJobs returns the rows of a list from offset on, up to limit, and how many there
// are in all.
func (s *Store) ExternalJobs(ctx context.Context, project task.ProjectID, f history.ExternalFilter, offset, limit int) (out []history.ExternalJob, total int64, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		groups, err := tallied(ctx, t, project, f)
		if err != nil {
			return err
		}
		total = 0
		for _, b := range groups {
			total += b.n
		}
		if limit == 0 || int64(offset) >= total {
			return nil
		}
		l := externalList{t: t, project: string(project), f: f}
		nums, err := l.page(ctx, groups, offset, limit)
		if err == nil {
			out, err = readExternalNums(ctx, t, nums, f.Bare)
		}
		return err
	})
	return out, total, err
}

// tallied returns the branches that a filter leaves, from the tally.
func tallied(ctx context.Context, t *txn, project task.ProjectID, f history.ExternalFilter) (out []branch, err error) {
	read := func(origin, subject string) error {
		return each(ctx, t, `SELECT type, status, CAST(sum(n) AS BIGINT) FROM job_tally
			WHERE project = $1 AND origin = $2 AND (CAST($3 AS TEXT) = '' OR subject = $3) AND n > 0 GROUP BY type, status ORDER BY type, status`,
			[]any{string(project), origin, subject}, func(r rows) error {
				b := branch{origin: origin, subject: subject, narrow: true}
				if err := r.Scan(&b.kind, &b.status, &b.n); err != nil {
					return err
				}
				if (f.Types == nil || slices.Contains(f.Types, b.kind)) && (f.Statuses == nil || slices.Contains(f.Statuses, b.status)) {
					out = append(out, b)
				}
				return nil
			})
	}
	if f.Origin != "" {
		if err := read(string(f.Origin), f.Subject); err != nil {
			return nil, err
		}
	}
	if f.Managed {
		err = read("", string(f.Task))
	}
	return out, err
}

// externalList reads one list.
type externalList struct {
	t       *txn
	project string
	f       history.ExternalFilter
}

// page returns the numbers of a page's jobs, in the order of the list.
func (l externalList) page(ctx context.Context, groups []branch, offset, limit int) ([]int64, error) {
	var key func(branch) string
	switch l.f.Sort {
	case history.SortType:
		key = func(b branch) string { return b.kind }
	case history.SortStatus:
		key = func(b branch) string {
			if l.f.StatusWord != nil {
				return l.f.StatusWord(b.status)
			}
			return b.status
		}
	default:
		if l.f.Types == nil && l.f.Statuses == nil {
			groups = l.whole(groups)
		}
		return l.merge(ctx, groups, offset, limit)
	}
	return l.grouped(ctx, groups, key, offset, limit)
}

// whole makes of branches the one or two that hold all of their origins.
func (l externalList) whole(groups []branch) (out []branch) {
	for _, b := range groups {
		if i := slices.IndexFunc(out, func(o branch) bool { return o.origin == b.origin }); i >= 0 {
			out[i].n += b.n
			continue
		}
		out = append(out, branch{origin: b.origin, subject: b.subject, n: b.n})
	}
	return out
}

// grouped orders branches by a word of theirs. Groups before the page are skipped whole:
// the tally says how long they are.
func (l externalList) grouped(ctx context.Context, all []branch, key func(branch) string, offset, limit int) (out []int64, err error) {
	words := map[string][]branch{}
	for _, b := range all {
		words[key(b)] = append(words[key(b)], b)
	}
	order := make([]string, 0, len(words))
	for w := range words {
		order = append(order, w)
	}
	slices.Sort(order)
	if !l.f.Ascending {
		slices.Reverse(order)
	}
	for _, w := range order {
		var n int
		for _, b := range words[w] {
			n += int(b.n)
		}
		if offset >= n {
			offset -= n
			continue
		}
		nums, err := l.merge(ctx, words[w], offset, limit-len(out))
		if err != nil {
			return nil, err
		}
		offset = 0
		if out = append(out, nums...); len(out) >= limit {
			break
		}
	}
	return out, nil
}

// merge returns rows of branches in one order.
func (l externalList) merge(ctx context.Context, branches []branch, offset, limit int) (nums []int64, err error) {
	direction := "DESC"
	if l.f.Ascending {
		direction = "ASC"
	}
	args := []any{limit, offset, l.project}
	param := func(v any) string {
		args = append(args, v)
		return fmt.Sprint("$", len(args))
	}
	columns, order := "num", "num "+direction
	if l.f.Sort == history.SortChanged {
		columns, order = "num, changed_at", "changed_at "+direction+", num "+direction
	}
	parts := make([]string, len(branches))
	for i, b := range branches {
		where := "project = $3 AND origin = " + param(b.origin)
		if b.subject != "" {
			where += " AND subject = " + param(b.subject)
		}
		if b.narrow {
			where += " AND type = " + param(b.kind) + " AND status = " + param(b.status)
		}
		parts[i] = l.t.e.ordered("SELECT "+columns+" FROM jobs WHERE "+where, order, history.MaxExternalRow)
	}
	sql := "SELECT " + columns + " FROM (" + strings.Join(parts, " UNION ALL ") + ") page ORDER BY " + order + " LIMIT $1 OFFSET $2"
	if err := l.t.e.walkIndexes(ctx, l.t); err != nil {
		return nil, err
	}
	err = each(ctx, l.t, sql, args, func(r rows) error {
		var num, changed int64
		dst := []any{&num, &changed}
		err := r.Scan(dst[:1+strings.Count(columns, ",")]...)
		nums = append(nums, num)
		return err
	})
	return nums, err
}

// numbered is a job with the store's own number of it.
type numbered struct {
	history.ExternalJob
	num int64
}

// readExternalNums returns jobs with their counts in the order of the numbers. One that
// is gone is left out.
func readExternalNums(ctx context.Context, t *txn, nums []int64, short bool) ([]history.ExternalJob, error) {
	if len(nums) == 0 {
		return nil, nil
	}
	columns := externalColumns
	if short {
		columns = bare(columns)
	}
	list, args := paramList(nums)
	found, err := readExternal(ctx, t, columns, "j.num IN ("+list+")", args...)
	if err != nil {
		return nil, err
	}
	byNum := make(map[int64]history.ExternalJob, len(found))
	for _, j := range found {
		byNum[j.num] = j.ExternalJob
	}
	out := make([]history.ExternalJob, 0, len(nums))
	for _, num := range nums {
		if j, ok := byNum[num]; ok {
			out = append(out, j)
		}
	}
	return out, nil
}

// paramList is a list of parameters for values. Its length is a power of two, the last
// value repeated, since every text of a statement is kept prepared.
func paramList[T int64 | string](values []T) (list string, args []any) {
	for len(args) < len(values) || len(args)&(len(args)-1) != 0 {
		args = append(args, values[min(len(args), len(values)-1)])
	}
	params := make([]string, len(args))
	for i := range args {
		params[i] = fmt.Sprint("$", i+1)
	}
	return strings.Join(params, ", "), args
}

// readExternal reads jobs with their counts, in no order. columns are externalColumns.
func readExternal(ctx context.Context, t *txn, columns, where string, args ...any) (out []numbered, err error) {
	at := map[int64]int{}
	var read weight
	if err := each(ctx, t, "SELECT "+columns+" FROM jobs j WHERE "+where, args, func(r rows) error {
		j, num, err := scanExternal(r)
		if err != nil {
			return err
		}
		at[num] = len(out)
		out = append(out, numbered{j, num})
		return read.add(len(j.Ext[j.Origin]))
	}); err != nil || len(out) == 0 {
		return nil, err
	}
	nums := make([]int64, 0, len(out))
	for _, j := range out {
		nums = append(nums, j.num)
	}
	list, args := paramList(nums)
	err = each(ctx, t, "SELECT job, "+sumColumns+" FROM job_counts WHERE job IN ("+list+") GROUP BY job", args, func(r rows) error {
		var c counts
		var num int64
		err := r.Scan(append([]any{&num}, c.into()...)...)
		if i, ok := at[num]; ok {
			out[i].Counts = c.Counts
		}
		return err
	})
	return out, err
}
