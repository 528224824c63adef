package db

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/task"
)

const appColumns = "did, project, name, created_at"

// RegisterApp lets an app report to a project. made is false when it was registered
// there; then it takes the name, unless that is empty. Conflict: it is registered to
// another.
func (s *Store) RegisterApp(ctx context.Context, a task.App, by task.Actor) (out task.App, made bool, err error) {
	err = s.change(ctx, func(ctx context.Context, t *txn) error {
		n, err := t.exec(ctx, "INSERT INTO apps ("+appColumns+") VALUES ($1, $2, $3, $4) ON CONFLICT (did) DO NOTHING",
			a.DID, string(a.Project), clean(a.Name), micros(s.now()))
		if err != nil {
			return err
		}
		all, err := readApps(ctx, t, "WHERE did = $1", a.DID)
		if err != nil {
			return err
		}
		if out, made = all[0], n == 1; !made {
			if out.Project != a.Project {
				return &task.Error{Kind: task.Conflict, Code: "APP_TAKEN", Text: "the app is registered to another project", Next: "remove it there first"}
			}
			if name := clean(a.Name); name != "" && name != out.Name {
				out.Name = name
				return renameApp(ctx, t, out, by)
			}
			return nil
		}
		return t.audit(ctx, by, a.Project, "app.register", a.DID, map[string]any{"name": a.Name})
	})
	return out, made, err
}

// renameApp gives an app its name, and what its reports are about.
func renameApp(ctx context.Context, t *txn, a task.App, by task.Actor) error {
	if _, err := t.exec(ctx, "UPDATE apps SET name = $1 WHERE did = $2", a.Name, a.DID); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "UPDATE external_subjects SET name = $1 WHERE project = $2 AND origin = $3 AND subject = $4",
		a.Name, string(a.Project), string(task.DIDSpaces), a.DID); err != nil {
		return err
	}
	return t.audit(ctx, by, a.Project, "app.rename", a.DID, map[string]any{"name": a.Name})
}

func readApps(ctx context.Context, t *txn, rest string, args ...any) (out []task.App, err error) {
	err = each(ctx, t, "SELECT "+appColumns+" FROM apps "+rest, args, func(r rows) error {
		var a task.App
		var created int64
		err := r.Scan(&a.DID, &a.Project, &a.Name, &created)
		a.CreatedAt = fromMicros(created)
		out = append(out, a)
		return err
	})
	return out, err
}

// App returns an app by its DID. NotFound.
func (s *Store) App(ctx context.Context, did string) (a task.App, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		all, err := readApps(ctx, t, "WHERE did = $1", did)
		if err == nil && len(all) == 0 {
			return task.Errorf(task.NotFound, "there is no such app")
		}
		if err == nil {
			a = all[0]
		}
		return err
	})
	return a, err
}

// Apps returns the apps of a project, oldest first.
func (s *Store) Apps(ctx context.Context, project task.ProjectID) (out []task.App, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		out, err = readApps(ctx, t, "WHERE project = $1 ORDER BY created_at, did", string(project))
		return err
	})
	return out, err
}

// RemoveApp takes an app away; the jobs that it reported stay, and nobody waits for more.
// NotFound.
func (s *Store) RemoveApp(ctx context.Context, project task.ProjectID, did string, by task.Actor) error {
	return s.change(ctx, func(ctx context.Context, t *txn) error {
		n, err := t.exec(ctx, "DELETE FROM apps WHERE did = $1 AND project = $2", did, string(project))
		if err != nil {
			return err
		}
		if n == 0 {
			return task.Errorf(task.NotFound, "there is no such app")
		}
		if _, err := t.exec(ctx, "DELETE FROM external_subjects WHERE project = $1 AND origin = $2 AND subject = $3",
			string(project), string(task.DIDSpaces), did); err != nil {
			return err
		}
		return t.audit(ctx, by, project, "app.remove", did, nil)
	})
}
