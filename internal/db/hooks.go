package db

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// PutHook stores the hash of the token by which stores tell of changes of a task, in the
// place of the one before. NotFound.
func (s *Store) PutHook(ctx context.Context, id task.ID, hash []byte, by task.Actor) error {
	return s.change(ctx, func(ctx context.Context, t *txn) error {
		k, err := lockTask(ctx, t, id)
		if err != nil {
			return err
		}
		num, err := s.taskNum(ctx, t, id)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `INSERT INTO hooks (task, hash, created_at) VALUES ($1, $2, $3)
			ON CONFLICT (task) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at`, num, hash, micros(s.now())); err != nil {
			return err
		}
		return t.audit(ctx, by, k.Project, "hook.put", string(id), nil)
	})
}

// DeleteHook takes the token of a task away. NotFound: there is no such task, or it has none.
func (s *Store) DeleteHook(ctx context.Context, id task.ID, by task.Actor) error {
	return s.change(ctx, func(ctx context.Context, t *txn) error {
		k, err := lockTask(ctx, t, id)
		if err != nil {
			return err
		}
		num, err := s.taskNum(ctx, t, id)
		if err != nil {
			return err
		}
		n, err := t.exec(ctx, "DELETE FROM hooks WHERE task = $1", num)
		if err != nil {
			return err
		}
		if n == 0 {
			return task.Errorf(task.NotFound, "the task has no hook")
		}
		return t.audit(ctx, by, k.Project, "hook.delete", string(id), nil)
	})
}

// HasHook says whether a task has a token.
func (s *Store) HasHook(ctx context.Context, id task.ID) (has bool, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		return one(ctx, t, "SELECT EXISTS (SELECT 1 FROM hooks h JOIN tasks k ON k.num = h.task WHERE k.id = $1)", []any{string(id)}, &has)
	})
	return has, err
}

// TaskOfHook returns the task whose token has this hash. NotFound.
func (s *Store) TaskOfHook(ctx context.Context, hash []byte) (k task.Task, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		k, err = readTask(ctx, t, "deleted_at = 0 AND num = (SELECT task FROM hooks WHERE hash = $1)", hash)
		return err
	})
	return k, err
}
