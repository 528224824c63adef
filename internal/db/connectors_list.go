package db

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// place is where a connector or task stands in a list: by index name, those without one
// last.
type place struct {
	unnamed   bool
	indexName string
	num       int64
	task      task.ID
}

func (p place) compare(q place) int {
	switch {
	case p.unnamed != q.unnamed:
		if p.unnamed {
			return 1
		}
		return -1
	case p.indexName != q.indexName:
		return strings.Compare(p.indexName, q.indexName)
	}
	return int(min(1, max(-1, p.num-q.num)))
}

// Connectors returns a page of a project's connectors, its tasks among them, by index
// name, and how many there are in all. With Match they are counted up to
// history.MaxConnectorRow.
func (s *Store) Connectors(ctx context.Context, project task.ProjectID, f history.ConnectorFilter) (page []history.ConnectorRow, total int64, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		page = nil
		tasks, err := taskPlaces(ctx, t, project, f)
		if err != nil {
			return err
		}
		var found []place
		var before int // connectors that come before the first of found
		if f.Match != nil {
			var n int64
			found, n, err = t.matchPlaces(ctx, project, f)
			total = n
		} else {
			// A page begins at most so many connectors earlier as there are tasks.
			before = max(0, f.From-len(tasks))
			found, total, err = t.connectorPlaces(ctx, project, f, before, f.From+f.Size-before)
		}
		if err != nil {
			return err
		}
		if total += int64(len(tasks)); f.Match != nil {
			total = min(total, history.MaxConnectorRow)
		}
		page, err = t.connectorRows(ctx, window(found, before, tasks, f.From, f.Size))
		return err
	})
	return page, total, err
}

// window merges two sorted lists, of which the first begins after before others, and
// returns size of them that come after from others.
func window(a []place, before int, b []place, from, size int) []place {
	var out []place
	// What comes before a's first row is counted, not seen: since before is at most from
	// less all of b, none of it belongs to the window, wherever b's rows stand.
	at := before
	for (len(a) > 0 || len(b) > 0) && len(out) < size {
		var next place
		if len(b) == 0 || len(a) > 0 && a[0].compare(b[0]) < 0 {
			next, a = a[0], a[1:]
		} else {
			next, b = b[0], b[1:]
		}
		if at >= from {
			out = append(out, next)
		}
		at++
	}
	return out
}

// connectorPlaces returns limit places of connectors after the first skip, and how many
// there are.
func (t *txn) connectorPlaces(ctx context.Context, project task.ProjectID, f history.ConnectorFilter, skip, limit int) (out []place, total int64, err error) {
	where, args := connectorsWhere(project, f)
	if err := one(ctx, t, "SELECT count(*) FROM connectors WHERE "+where, args, &total); err != nil {
		return nil, 0, err
	}
	n := len(args)
	args = append(args, limit, skip)
	err = each(ctx, t, "SELECT unnamed, index_name, num FROM connectors WHERE "+where+" ORDER BY unnamed, index_name, num LIMIT $"+
		strconv.Itoa(n+1)+" OFFSET $"+strconv.Itoa(n+2), args, func(r rows) error {
		var p place
		var unnamed int
		err := r.Scan(&unnamed, &p.indexName, &p.num)
		p.unnamed = unnamed != 0
		out = append(out, p)
		return err
	})
	return out, total, err
}

// errEnough ends the looking at connectors.
var errEnough = errors.New("enough connectors match")

// matchPlaces looks at connectors one by one, keeps the places that a page can need, and
// counts the rest, up to history.MaxConnectorRow.
func (t *txn) matchPlaces(ctx context.Context, project task.ProjectID, f history.ConnectorFilter) (out []place, total int64, err error) {
	where, args := connectorsWhere(project, f)
	err = each(ctx, t, "SELECT unnamed, index_name, num, name, description FROM connectors WHERE "+where+
		" ORDER BY unnamed, index_name, num", args, func(r rows) error {
		var p place
		var unnamed int
		var name, description string
		if err := r.Scan(&unnamed, &p.indexName, &p.num, &name, &description); err != nil {
			return err
		}
		if !f.Match(p.indexName, name, description) {
			return nil
		}
		total++
		if p.unnamed = unnamed != 0; len(out) < f.From+f.Size {
			out = append(out, p)
		}
		if total == history.MaxConnectorRow {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, total, err
}

// taskPlaces returns the places of a project's tasks that fit a filter.
func taskPlaces(ctx context.Context, t *txn, project task.ProjectID, f history.ConnectorFilter) (out []place, err error) {
	if len(f.ServiceTypes) > 0 && !slices.Contains(f.ServiceTypes, history.ManagedServiceType) {
		return nil, nil
	}
	err = each(ctx, t, "SELECT num, id, name, description FROM tasks WHERE project = $1 AND deleted_at = 0", []any{string(project)}, func(r rows) error {
		var p place
		var name, description string
		if err := r.Scan(&p.num, &p.task, &name, &description); err != nil {
			return err
		}
		p.indexName = history.ManagedIndexPrefix + string(p.task)
		if len(f.IndexNames) > 0 && !slices.Contains(f.IndexNames, p.indexName) || len(f.Names) > 0 && !slices.Contains(f.Names, name) ||
			f.Match != nil && !f.Match(p.indexName, name, description) {
			return nil
		}
		out = append(out, p)
		return nil
	})
	slices.SortFunc(out, place.compare)
	return out, err
}

// connectorRows reads what stands at places, in their order. What is gone is left out.
func (t *txn) connectorRows(ctx context.Context, places []place) ([]history.ConnectorRow, error) {
	var connectors, tasks []int64
	for _, p := range places {
		if p.task != "" {
			tasks = append(tasks, p.num)
		} else {
			connectors = append(connectors, p.num)
		}
	}
	foundTasks := make(map[task.ID]*task.Task, len(tasks))
	for nums := range slices.Chunk(tasks, rowsAtOnce) {
		list, args := paramList(nums)
		some, err := readTasks(ctx, t, "WHERE num IN ("+list+")", args...)
		if err != nil {
			return nil, err
		}
		for i := range some {
			foundTasks[some[i].ID] = &some[i]
		}
	}
	found := make(map[int64]history.Connector, len(connectors))
	var read weight
	for nums := range slices.Chunk(connectors, rowsAtOnce) {
		list, args := paramList(nums)
		err := each(ctx, t, "SELECT "+connectorColumns+", num FROM connectors WHERE num IN ("+list+")", args, func(r rows) error {
			var num int64
			c, err := scanConnector(moreColumns{r, []any{&num}})
			if err != nil {
				return err
			}
			found[num] = c
			return read.add(len(c.Doc))
		})
		if err != nil {
			return nil, err
		}
	}
	out := make([]history.ConnectorRow, 0, len(places))
	for _, p := range places {
		if k := foundTasks[p.task]; k != nil {
			out = append(out, history.ConnectorRow{Task: k})
		} else if c, there := found[p.num]; there && p.task == "" {
			out = append(out, history.ConnectorRow{Connector: c})
		}
	}
	return out, nil
}
