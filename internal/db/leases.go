package db

import "context"

// ReleaseAll gives back every lane and partition, whoever had them, so that a node that
// starts after a crash need not wait for its own leases to end. Only for a database that
// no other process uses; epochs still rise with the next claim, so even a writer that
// lives on counts nothing.
func (s *Store) ReleaseAll(ctx context.Context) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		if _, err := t.exec(ctx, "UPDATE lanes SET owner = '', expires = 0 WHERE owner <> ''"); err != nil {
			return err
		}
		_, err := t.exec(ctx, "UPDATE partitions SET owner = '', expires = 0 WHERE owner <> ''")
		return err
	})
}
