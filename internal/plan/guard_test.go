package plan_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                      string
		guard                     plan.Guard
		deletes, objects, sources int64
		code                      string // "" lets them go on
		says                      []string
	}{
		{"nothing to delete from an empty source", plan.Guard{}, 0, 100, 0, "", nil},
		{"nothing to delete", plan.Guard{}, 0, 0, 0, "", nil},
		{"at both defaults", plan.Guard{}, 1000, 10_000, 5, "", nil},
		{"past the default count", plan.Guard{}, 1001, 100_000, 5, plan.CodeDeleteLimit, []string{"1001", "1000", "--max-delete 1001"}},
		{"past the default percentage", plan.Guard{}, 11, 100, 5, plan.CodeDeletePercent, []string{"11 deletes", "11 %", "100 objects", "10 %", "--max-delete-percent"}},
		{"hardly past the percentage", plan.Guard{}, 1000, 9999, 5, plan.CodeDeletePercent, nil},
		{"own count", plan.Guard{MaxDeletes: 5}, 6, 1000, 5, plan.CodeDeleteLimit, nil},
		{"own percentage", plan.Guard{MaxPercent: 50}, 50, 100, 5, "", nil},
		{"past the own percentage", plan.Guard{MaxPercent: 50}, 51, 100, 5, plan.CodeDeletePercent, nil},
		{"no limits", plan.Guard{MaxDeletes: -1, MaxPercent: -1}, 1 << 40, 1 << 40, 5, "", nil},
		{"no count limit", plan.Guard{MaxDeletes: -1}, 1 << 20, 1 << 21, 5, plan.CodeDeletePercent, nil},
		{"empty source", plan.Guard{}, 1, 1000, 0, plan.CodeSourceEmpty, []string{"1 deletes", "source"}},
		{"empty source without limits", plan.Guard{MaxDeletes: -1, MaxPercent: -1}, 1, 1000, 0, plan.CodeSourceEmpty, nil},
		{"figures that cannot be", plan.Guard{}, 5, 0, 5, plan.CodeDeletePercent, nil},
		{"a limit that is no number", plan.Guard{MaxPercent: math.NaN()}, 1, 1000, 5, plan.CodeDeletePercent, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.guard.Check(c.deletes, c.objects, c.sources)
			if c.code == "" {
				if err != nil {
					t.Fatalf("stopped: %v", err)
				}
				return
			}
			var e *task.Error
			if !errors.As(err, &e) || e.Code != c.code || e.Kind != task.Conflict || e.Next == "" {
				t.Fatalf("error %#v, want code %s", err, c.code)
			}
			if !plan.StoppedByGuard(fmt.Errorf("sync: %w", err)) {
				t.Error("StoppedByGuard does not know its own error")
			}
			for _, part := range c.says {
				if !strings.Contains(e.Text+" / "+e.Next, part) {
					t.Errorf("%q / %q does not say %q", e.Text, e.Next, part)
				}
			}
		})
	}
	if plan.StoppedByGuard(nil) || plan.StoppedByGuard(task.Errorf(task.Conflict, "other")) {
		t.Error("StoppedByGuard takes any error for its own")
	}
}
