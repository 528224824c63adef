package db

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

const keyColumns = "id, project, role, name, sealed, created_at, expires_at"

// CreateKey stores a new access key. Conflict: the id exists.
func (s *Store) CreateKey(ctx context.Context, k task.AccessKey, by task.Actor) (task.AccessKey, error) {
	k.CreatedAt = s.now()
	err := s.change(ctx, func(ctx context.Context, t *txn) error {
		n, err := t.exec(ctx, "INSERT INTO access_keys ("+keyColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
			string(k.ID), string(k.Project), string(k.Role), k.Name, append([]byte{}, k.Sealed...), micros(k.CreatedAt), micros(k.ExpiresAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return task.Errorf(task.Conflict, "an access key %s exists", k.ID)
		}
		return t.audit(ctx, by, k.Project, "key.create", string(k.ID), map[string]any{"role": k.Role, "name": k.Name})
	})
	return k, err
}

// NoteToken writes down that a token of an access key was made. The token itself is kept
// nowhere.
func (s *Store) NoteToken(ctx context.Context, k task.AccessKey, expires time.Time, by task.Actor) error {
	return s.change(ctx, func(ctx context.Context, t *txn) error {
		return t.audit(ctx, by, k.Project, "key.token", string(k.ID), map[string]any{"expires_at": expires})
	})
}

func readKeys(ctx context.Context, t *txn, rest string, args ...any) (out []task.AccessKey, err error) {
	err = each(ctx, t, "SELECT "+keyColumns+" FROM access_keys "+rest, args, func(r rows) error {
		var k task.AccessKey
		var sealed []byte
		var created, expires int64
		err := r.Scan(&k.ID, &k.Project, &k.Role, &k.Name, &sealed, &created, &expires)
		k.Sealed, k.CreatedAt, k.ExpiresAt = append([]byte(nil), sealed...), fromMicros(created), fromMicros(expires)
		out = append(out, k)
		return err
	})
	return out, err
}

// Key returns an access key. NotFound.
func (s *Store) Key(ctx context.Context, id task.KeyID) (k task.AccessKey, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		ks, err := readKeys(ctx, t, "WHERE id = $1", string(id))
		if err == nil && len(ks) == 0 {
			return task.Errorf(task.NotFound, "there is no such access key")
		}
		if err == nil {
			k = ks[0]
		}
		return err
	})
	return k, err
}

// Keys returns the access keys of a project; an empty project is all of them.
func (s *Store) Keys(ctx context.Context, project task.ProjectID) (out []task.AccessKey, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		out, err = readKeys(ctx, t, "WHERE $1 = '' OR project = $1 ORDER BY created_at, id", string(project))
		return err
	})
	return out, err
}

// DeleteKey takes an access key away. NotFound.
func (s *Store) DeleteKey(ctx context.Context, id task.KeyID, by task.Actor) error {
	return s.change(ctx, func(ctx context.Context, t *txn) error {
		ks, err := readKeys(ctx, t, "WHERE id = $1", string(id))
		if err == nil && len(ks) == 0 {
			return task.Errorf(task.NotFound, "there is no such access key")
		}
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, "DELETE FROM access_keys WHERE id = $1", string(id)); err != nil {
			return err
		}
		return t.audit(ctx, by, ks[0].Project, "key.delete", string(id), nil)
	})
}
