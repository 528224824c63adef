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
		"In sync as far as events tell; the l": {Counts: settled, State: task.Active, Broken: "why"},
	} {
		if got := sentence(s); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	all := []native.Status{{Counts: settled, State: task.Active, Proven: &at}, {Counts: settled, State: task.Active}}
	if got := sentenceOfAll(all); !strings.Contains(got, "no scan has proven 1") {
		t.Error(got)
	}
	if got := sentenceOfAll(all[:1]); !strings.HasPrefix(got, "In sync as of") {
		t.Error(got)
	}
}

// TestSentenceOfATaskThatDoesNothing: what is not looked at is not said to be in sync.
func TestSentenceOfATaskThatDoesNothing(t *testing.T) {
	t.Parallel()
	of := func(state task.State) native.Status {
		s := native.Status{State: state, Proven: new(time.Time)}
		s.Counts.Requested, s.Counts.Synced = 2, 2
		return s
	}
	for _, state := range []task.State{task.Paused, task.Stopped} {
		if got := sentence(of(state)); strings.Contains(got, "In sync") || !strings.Contains(got, string(state)) {
			t.Error(got)
		}
	}
	if got := sentence(of(task.Stopped)); strings.Contains(got, "heard by events now") {
		t.Error(got)
	}
	if got := sentence(of(task.Active)); !strings.Contains(got, "In sync") {
		t.Error(got)
	}
	for want, all := range map[string][]native.Status{
		"all of 2 tasks.":                         {of(task.Active), of(task.Active)},
		"all of 1 task; 1 task paused or stopped": {of(task.Active), of(task.Stopped)},
		"Nothing is kept in sync; 2 tasks paused": {of(task.Paused), of(task.Stopped)},
	} {
		if got := sentenceOfAll(all); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
