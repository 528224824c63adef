package db

import "context"

// Exec runs a statement, for tests that need rows nobody would report one by one.
func (s *Store) Exec(ctx context.Context, sql string) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		_, err := t.exec(ctx, sql)
		return err
	})
}
