package history_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
)

// Quantiles of buckets are those of the values, to a tenth.
func TestLag(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 99, 100, 101, 5000} {
		var all []time.Duration
		buckets := map[int]int64{}
		for range n {
			d := time.Duration(rnd.ExpFloat64() * float64(20*time.Millisecond))
			all = append(all, d)
			buckets[history.LagBucket(d)]++
		}
		slices.Sort(all)
		got := history.LagOf(buckets)
		for _, c := range []struct {
			name      string
			got, want time.Duration
		}{
			{"p50", got.P50, all[(n*50+99)/100-1]}, {"p99", got.P99, all[(n*99+99)/100-1]}, {"max", got.Max, all[n-1]},
		} {
			if c.got < c.want-time.Microsecond || float64(c.got) > 1.1*float64(c.want)+2000 {
				t.Errorf("%s of %d: %v, want %v", c.name, n, c.got, c.want)
			}
		}
		if got.Records != int64(n) {
			t.Errorf("%d records, want %d", got.Records, n)
		}
	}
	if got := history.LagOf(nil); got != (history.Lag{}) {
		t.Errorf("nothing has %+v", got)
	}
	for _, d := range []time.Duration{-time.Hour, 0, 1 << 62} {
		if b := history.LagBucket(d); b < 0 || b > 1000 {
			t.Errorf("bucket of %v is %d", d, b)
		}
	}
}
