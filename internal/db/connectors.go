package db

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

const connectorColumns = "project, id, index_name, name, service_type, description, deleted, doc, changed_at"

func scanConnector(r rows) (c history.Connector, err error) {
	var deleted int
	var doc string
	var changed int64
	err = r.Scan(&c.Project, &c.ID, &c.IndexName, &c.Name, &c.ServiceType, &c.Description, &deleted, &doc, &changed)
	c.Deleted, c.Doc, c.ChangedAt = deleted != 0, []byte(doc), fromMicros(changed)
	return c, err
}

// readConnector returns nil when there is none. The clause locks it unless it is empty.
func readConnector(ctx context.Context, t *txn, project task.ProjectID, id, clause string) (c *history.Connector, err error) {
	if strings.ContainsRune(id, 0) { // nothing has it, and PostgreSQL refuses to look
		return nil, nil
	}
	if clause != "" {
		clause = t.e.lock(clause)
	}
	err = each(ctx, t, "SELECT "+connectorColumns+" FROM connectors WHERE project = $1 AND id = $2"+clause,
		[]any{string(project), id}, func(r rows) error {
			x, err := scanConnector(r)
			c = &x
			return err
		})
	return c, err
}

func noConnector(id string) error {
	return &task.Error{Kind: task.NotFound, Code: "CONNECTOR_NOT_FOUND", Text: "connector " + strconv.Quote(id) + " does not exist"}
}

// Connector returns a connector, a deleted one too. NotFound.
func (s *Store) Connector(ctx context.Context, project task.ProjectID, id string) (c history.Connector, err error) {
	err = s.peek(ctx, func(ctx context.Context, t *txn) error {
		found, err := readConnector(ctx, t, project, id, "")
		if err == nil && found == nil {
			err = noConnector(id)
		}
		if err == nil {
			c = *found
		}
		return err
	})
	return c, err
}

// PutConnector makes a connector, or makes one anew that exists; created says which.
// Conflict: another one has its index name.
func (s *Store) PutConnector(ctx context.Context, c history.Connector, by task.Actor) (created bool, err error) {
	err = s.change(ctx, func(ctx context.Context, t *txn) error {
		old, err := readConnector(ctx, t, c.Project, c.ID, "FOR NO KEY UPDATE")
		if err != nil {
			return err
		}
		created = old == nil
		if err := t.writeConnector(ctx, c); err != nil {
			return err
		}
		return t.audit(ctx, by, c.Project, "connector.put", c.ID, map[string]any{"index_name": c.IndexName, "created": created})
	})
	return created, err
}

// UpdateConnector changes a connector as f says, in one transaction, so that of changes
// made at once none is lost. f may run several times. An empty action stays out of the
// audit chain, and may change neither the index name nor whether it is deleted.
func (s *Store) UpdateConnector(ctx context.Context, project task.ProjectID, id, action string, by task.Actor, f func(*history.Connector) error) error {
	run := s.write
	if action != "" {
		run = s.change // index names are compared one change after the other
	}
	return run(ctx, func(ctx context.Context, t *txn) error {
		c, err := readConnector(ctx, t, project, id, "FOR NO KEY UPDATE")
		if err == nil && c == nil {
			err = noConnector(id)
		}
		if err != nil {
			return err
		}
		old := *c
		if err := f(c); err != nil {
			return err
		}
		if string(c.Doc) == string(old.Doc) && c.Deleted == old.Deleted {
			return nil
		}
		c.Project, c.ID = project, id
		if action == "" {
			_, err := t.exec(ctx, "UPDATE connectors SET doc = $1, changed_at = $2 WHERE project = $3 AND id = $4",
				string(c.Doc), micros(s.now()), string(project), id)
			return err
		}
		if err := t.writeConnector(ctx, *c); err != nil {
			return err
		}
		return t.audit(ctx, by, project, action, id, map[string]any{"index_name": c.IndexName})
	})
}

// writeConnector stores c within a transaction of change.
func (t *txn) writeConnector(ctx context.Context, c history.Connector) error {
	if c.IndexName != "" && !c.Deleted {
		var other string
		err := one(ctx, t, "SELECT id FROM connectors WHERE project = $1 AND index_name = $2 AND deleted = 0 AND unnamed = 0 AND id <> $3",
			[]any{string(c.Project), c.IndexName, c.ID}, &other)
		if err == nil {
			return &task.Error{
				Kind: task.Conflict, Code: "INDEX_NAME_TAKEN",
				Text: "the index name " + strconv.Quote(c.IndexName) + " is used by connector " + strconv.Quote(other), Next: "choose another",
			}
		}
		if !errors.Is(err, errNoRow) {
			return err
		}
	}
	_, err := t.exec(ctx, `INSERT INTO connectors (project, id, unnamed, index_name, name, service_type, description, deleted, doc, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (project, id) DO UPDATE SET unnamed = excluded.unnamed, index_name = excluded.index_name, name = excluded.name,
		service_type = excluded.service_type, description = excluded.description, deleted = excluded.deleted, doc = excluded.doc,
		changed_at = excluded.changed_at`,
		string(c.Project), c.ID, bit(c.IndexName == ""), c.IndexName, cleanWhole(c.Name), cleanWhole(c.ServiceType), clean(c.Description), bit(c.Deleted),
		string(c.Doc), micros(t.s.now()))
	return err
}

// DeleteConnector removes a connector for good. NotFound.
func (s *Store) DeleteConnector(ctx context.Context, project task.ProjectID, id string, by task.Actor) error {
	return s.change(ctx, func(ctx context.Context, t *txn) error {
		n, err := t.exec(ctx, "DELETE FROM connectors WHERE project = $1 AND id = $2", string(project), id)
		if err == nil && n == 0 {
			err = noConnector(id)
		}
		if err != nil {
			return err
		}
		return t.audit(ctx, by, project, "connector.delete", id, map[string]any{})
	})
}

// connectorsWhere is the condition that a filter puts on connectors, Match aside.
func connectorsWhere(project task.ProjectID, f history.ConnectorFilter) (where string, args []any) {
	where, args = "project = $1", []any{string(project)}
	if !f.Deleted {
		where += " AND deleted = 0"
	}
	for _, in := range []struct {
		column string
		values []string
	}{{"index_name", f.IndexNames}, {"name", f.Names}, {"service_type", f.ServiceTypes}} {
		if len(in.values) == 0 {
			continue
		}
		marks := make([]string, len(in.values))
		for i, v := range in.values {
			args = append(args, v)
			marks[i] = "$" + strconv.Itoa(len(args))
		}
		where += " AND " + in.column + " IN (" + strings.Join(marks, ", ") + ")"
	}
	return where, args
}
