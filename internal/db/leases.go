package db

import (
	"context"
	"time"
)

// ShortenLeases lets every lease end after at most wait, whoever holds it, so that a node
// that starts after a crash need not wait for its own to run out. Only for a database that
// no other process uses. A store may still be busy with a request of the process that
// ended: wait is the time it is given. Epochs rise with the next claim.
func (s *Store) ShortenLeases(ctx context.Context, wait time.Duration) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		now, err := s.eng.leaseTime(ctx, t)
		if err != nil {
			return err
		}
		for _, table := range []string{"lanes", "partitions"} {
			if _, err := t.exec(ctx, "UPDATE "+table+" SET expires = $1 WHERE owner <> '' AND expires > $1", now.Add(wait).UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
}
