package db

import "context"

// OnWriter runs a statement on the one connection of SQLite that writes, outside of any
// transaction: for PRAGMAs.
func (s *Store) OnWriter(ctx context.Context, sql string) error {
	c, err := s.acquire(ctx, true)
	if err != nil {
		return err
	}
	defer s.eng.release(c, false)
	_, err = c.(*sqliteConn).c.ExecContext(ctx, sql)
	return err
}
