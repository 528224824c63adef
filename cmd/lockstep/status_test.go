package main

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// TestSentenceOfAFailedScan: a task whose only scan failed does not say that none has run.
func TestSentenceOfAFailedScan(t *testing.T) {
	t.Parallel()
	if got := sentence(native.Status{Broken: "DST_BUCKET_MISSING: no such bucket"}); !strings.Contains(got, "did not end well") {
		t.Error(got)
	}
	if got := sentence(native.Status{Scan: "j"}); !strings.Contains(got, "has begun") {
		t.Error(got)
	}
	if got := sentence(native.Status{}); !strings.Contains(got, "no scan has run") {
		t.Error(got)
	}
}

// A task is not in sync because nothing is heard of it: only a scan that has ended knows.
func TestSentenceOfAnUnprovenTask(t *testing.T) {
	t.Parallel()
	at := time.Now()
	settled := native.Counts{Counts: task.Counts{Requested: 1, Synced: 1}}
	for want, s := range map[string]native.Status{
		"In sync as of":                        {Counts: settled, Proven: &at, State: task.Active},
		"In sync as far as events tell":        {Counts: settled, State: task.Active},
		"In sync so far":                       {Counts: settled, State: task.Active, Scan: "j"},
		"In sync when the task was stopped":    {Counts: settled, State: task.Stopped, Proven: &at},
		"In sync as far as events tell; the l": {Counts: settled, State: task.Active, Broken: "why"},
	} {
		if got := sentence(s); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	all := []native.Status{{Counts: settled, Proven: &at}, {Counts: settled}}
	if got := allInSync(all); !strings.Contains(got, "no scan has proven 1") {
		t.Error(got)
	}
	if got := allInSync(all[:1]); !strings.HasPrefix(got, "In sync as of") {
		t.Error(got)
	}
}
