package app

import (
	"context"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// lagEvery is how often what lags holds goes to the database, and so how much of it a
// crash may lose.
const lagEvery = 5 * time.Second

// lags collects how long records took, so that settling them costs no row more.
type lags struct {
	store interface {
		AddLag(context.Context, []history.LagCount) error
	}
	mu sync.Mutex
	n  map[lagKey]int64
}

type lagKey struct {
	task   task.ID
	at     int64 // beginning of the 5 minutes, microseconds
	bucket int
}

func (l *lags) add(id task.ID, ended time.Time, took time.Duration) {
	k := lagKey{id, ended.Truncate(task.Interval).UnixMicro(), history.LagBucket(took)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == nil {
		l.n = map[lagKey]int64{}
	}
	l.n[k]++
}

// flush stores what was collected; what cannot be stored is kept for the next time.
func (l *lags) flush(ctx context.Context) error {
	l.mu.Lock()
	taken := l.n
	l.n = nil
	l.mu.Unlock()
	counts := make([]history.LagCount, 0, len(taken))
	for k, n := range taken {
		counts = append(counts, history.LagCount{Task: k.task, At: time.UnixMicro(k.at), Bucket: k.bucket, N: n})
	}
	err := l.store.AddLag(ctx, counts)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.n == nil {
			l.n = map[lagKey]int64{}
		}
		for k, n := range taken {
			l.n[k] += n
		}
	}
	return err
}
