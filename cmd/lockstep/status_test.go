package main

import (
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/api/native"
)

// TestSentenceOfAFailedScan: a task whose only scan failed does not say that none has run.
func TestSentenceOfAFailedScan(t *testing.T) {
	t.Parallel()
	if got := sentence(native.Status{Broken: "DST_BUCKET_MISSING: no such bucket"}); !strings.Contains(got, "did not end well") {
		t.Error(got)
	}
	if got := sentence(native.Status{}); !strings.Contains(got, "no scan has run") {
		t.Error(got)
	}
}
