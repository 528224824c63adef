package history

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Lag is how long synced records took from their acceptance to the object at the
// destination, over some time.
type Lag struct {
	Records int64
	P50     time.Duration // half of the records took no longer; exact to a tenth
	P99     time.Duration
	Max     time.Duration
}

// LagCount is how many records of a task took as long as a bucket says.
type LagCount struct {
	Task   task.ID
	At     time.Time // beginning of the 5 minutes in which they came to be visible
	Bucket int
	N      int64
}

// Buckets grow by an eighth of an octave from a microsecond on: 9 % each.
const (
	lagPerOctave = 8
	maxLagBucket = 44 * lagPerOctave // 200 days
)

// LagBucket is the bucket of a lag.
func LagBucket(d time.Duration) int {
	us := float64(d) / float64(time.Microsecond)
	if us <= 1 {
		return 0
	}
	return min(maxLagBucket, int(math.Ceil(lagPerOctave*math.Log2(us))))
}

// lagOf is the longest lag of a bucket.
func lagOf(bucket int) time.Duration {
	return time.Duration(math.Exp2(float64(bucket)/lagPerOctave) * float64(time.Microsecond))
}

// LagOf sums up records by bucket.
func LagOf(buckets map[int]int64) (l Lag) {
	order := slices.Sorted(maps.Keys(buckets))
	for _, n := range buckets {
		l.Records += n
	}
	if l.Records == 0 {
		return Lag{}
	}
	var below int64
	for _, b := range order {
		before := below
		below += buckets[b]
		for _, q := range []struct {
			percent int64
			at      *time.Duration
		}{{50, &l.P50}, {99, &l.P99}} {
			if rank := (l.Records*q.percent + 99) / 100; before < rank && rank <= below {
				*q.at = lagOf(b)
			}
		}
		if buckets[b] > 0 {
			l.Max = lagOf(b)
		}
	}
	return l
}
