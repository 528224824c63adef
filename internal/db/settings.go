package db

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Setting returns a stored setting, nil when there is none.
func (s *Store) Setting(ctx context.Context, name string) (value []byte, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		var v []byte
		err := one(ctx, t, "SELECT value FROM settings WHERE name = $1", []any{name}, &v)
		value = append(value, v...)
		return ignoreNoRow(err)
	})
	return value, err
}

// PutSetting stores a setting. The audit chain keeps its name, not its value.
func (s *Store) PutSetting(ctx context.Context, name string, value []byte, by task.Actor) error {
	return s.change(ctx, func(ctx context.Context, t *txn) error {
		if _, err := t.exec(ctx, "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
			name, append([]byte{}, value...)); err != nil {
			return err
		}
		return t.audit(ctx, by, "", "setting.change", name, nil)
	})
}
