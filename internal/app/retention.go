package app

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
)

// retireTurn is how long one turn of retention works: the janitor has other chores.
const retireTurn = 500 * time.Millisecond

// retire removes some of what is older than it is to be kept.
func (s *Service) retire(ctx context.Context) error {
	k := s.cfg.Keep
	keep := db.Retention{
		Jobs: time.Duration(k.Jobs), Failures: time.Duration(k.Failures), Intervals: time.Duration(k.Intervals), Lists: time.Duration(k.Lists),
	}
	begun := time.Now()
	for more := true; more && time.Since(begun) < retireTurn && ctx.Err() == nil; {
		var err error
		if more, err = s.db.Retire(ctx, keep); err != nil {
			return err
		}
	}
	return nil
}
