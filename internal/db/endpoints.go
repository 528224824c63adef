package db

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/task"
)

const endpointColumns = "id, project, provider, url, region, aliases, options, sealed, created_at, changed_at, version"

func scanEndpoint(r rows) (e task.Endpoint, err error) {
	var aliases, options string
	var created, changed int64
	if err := r.Scan(&e.ID, &e.Project, &e.Provider, &e.URL, &e.Region, &aliases, &options, &e.Sealed, &created, &changed, &e.Version); err != nil {
		return e, err
	}
	e.Options, e.CreatedAt, e.ChangedAt = []byte(options), fromMicros(created), fromMicros(changed)
	e.Sealed = append([]byte(nil), e.Sealed...)
	return e, json.Unmarshal([]byte(aliases), &e.Aliases)
}

// PutEndpoint creates an endpoint (Version 0), or replaces the one whose Version is
// given. Conflict: it exists, or was changed since. Sealed nil keeps the credentials. With
// another address the places of its tasks become others, as ChangeTask has it.
func (s *Store) PutEndpoint(ctx context.Context, e task.Endpoint, by task.Actor) (task.Endpoint, error) {
	var scans []jobRow
	err := s.change(ctx, func(ctx context.Context, t *txn) error {
		scans = nil
		old, err := readEndpoints(ctx, t, "WHERE project = $1 AND id = $2", string(e.Project), string(e.ID))
		if err != nil {
			return err
		}
		n := e
		n.ChangedAt = s.now()
		action := "endpoint.change"
		switch {
		case len(old) == 0 && e.Version == 0:
			action, n.CreatedAt = "endpoint.create", n.ChangedAt
		case len(old) == 0:
			return task.Errorf(task.NotFound, "there is no endpoint %s", e.ID)
		case e.Version == 0:
			return &task.Error{
				Kind: task.Conflict, Code: "ENDPOINT_EXISTS", Text: "an endpoint named " + strconv.Quote(string(e.ID)) + " exists",
				Next: "choose another name; new credentials for it: lockstep endpoint rotate",
			}
		case old[0].Version != e.Version:
			return &task.Error{Kind: task.Conflict, Code: "ENDPOINT_CHANGED", Text: "the endpoint was changed by somebody else", Next: "read it again"}
		default:
			n.CreatedAt = old[0].CreatedAt
			if n.Sealed == nil {
				n.Sealed = old[0].Sealed
			}
		}
		n.Version++
		if err := writeEndpoint(ctx, t, n); err != nil {
			return err
		}
		if len(old) > 0 && (n.Provider != old[0].Provider || n.URL != old[0].URL || n.Region != old[0].Region) {
			if scans, err = leaveEndpoint(ctx, t, n, by); err != nil {
				return err
			}
		}
		e = n
		return t.audit(ctx, by, e.Project, action, string(e.ID), map[string]any{"provider": e.Provider, "url": e.URL, "region": e.Region})
	})
	if err == nil {
		err = s.endLeft(ctx, scans)
	}
	return e, err
}

// leaveEndpoint is leavePlaces for the tasks of an endpoint.
func leaveEndpoint(ctx context.Context, t *txn, e task.Endpoint, by task.Actor) (running []jobRow, err error) {
	users, err := endpointUsers(ctx, t, e.Project, e.ID)
	for _, k := range users {
		scans, err := leavePlaces(ctx, t, k, by)
		if err != nil {
			return nil, err
		}
		running = append(running, scans...)
	}
	return running, err
}

// endpointUsers are the tasks with a place at an endpoint, in the order in which tasks are
// locked.
func endpointUsers(ctx context.Context, t *txn, project task.ProjectID, id task.EndpointID) ([]task.Task, error) {
	return readTasks(ctx, t, "WHERE deleted_at = 0 AND project = $1 AND (src_endpoint = $2 OR dst_endpoint = $2) ORDER BY id", string(project), string(id))
}

func writeEndpoint(ctx context.Context, t *txn, e task.Endpoint) error {
	aliases, err := json.Marshal(e.Aliases)
	if err != nil {
		return err
	}
	if len(e.Options) == 0 {
		e.Options = []byte("{}")
	}
	if _, err := t.exec(ctx, "DELETE FROM endpoints WHERE project = $1 AND id = $2", string(e.Project), string(e.ID)); err != nil {
		return err
	}
	_, err = t.exec(ctx, "INSERT INTO endpoints ("+endpointColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
		string(e.ID), string(e.Project), e.Provider, e.URL, e.Region, string(aliases), string(e.Options), append([]byte{}, e.Sealed...),
		micros(e.CreatedAt), micros(e.ChangedAt), e.Version)
	return err
}

func readEndpoints(ctx context.Context, t *txn, rest string, args ...any) (out []task.Endpoint, err error) {
	err = each(ctx, t, "SELECT "+endpointColumns+" FROM endpoints "+rest, args, func(r rows) error {
		e, err := scanEndpoint(r)
		out = append(out, e)
		return err
	})
	return out, err
}

// Endpoint returns an endpoint of a project. NotFound.
func (s *Store) Endpoint(ctx context.Context, project task.ProjectID, id task.EndpointID) (e task.Endpoint, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		es, err := readEndpoints(ctx, t, "WHERE project = $1 AND id = $2", string(project), string(id))
		if err == nil && len(es) == 0 {
			return task.Errorf(task.NotFound, "there is no endpoint %s", id)
		}
		if err == nil {
			e = es[0]
		}
		return err
	})
	return e, err
}

// Endpoints returns the endpoints of a project by name.
func (s *Store) Endpoints(ctx context.Context, project task.ProjectID) (out []task.Endpoint, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		out, err = readEndpoints(ctx, t, "WHERE project = $1 ORDER BY id", string(project))
		return err
	})
	return out, err
}

// DeleteEndpoint takes an endpoint away. Conflict: a task uses it.
func (s *Store) DeleteEndpoint(ctx context.Context, project task.ProjectID, id task.EndpointID, by task.Actor) error {
	return s.change(ctx, func(ctx context.Context, t *txn) error {
		users, err := endpointUsers(ctx, t, project, id)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return &task.Error{
				Kind: task.Conflict, Code: "ENDPOINT_IN_USE", Text: "task " + strconv.Quote(users[0].Name) + " uses the endpoint",
				Next: "stop and delete its tasks first",
			}
		}
		n, err := t.exec(ctx, "DELETE FROM endpoints WHERE project = $1 AND id = $2", string(project), string(id))
		if err == nil && n == 0 {
			return task.Errorf(task.NotFound, "there is no endpoint %s", id)
		}
		if err != nil {
			return err
		}
		return t.audit(ctx, by, project, "endpoint.delete", string(id), nil)
	})
}
