package main

import (
	"errors"
	"strings"
	"testing"
)

// TestWaitEnded: who stops waiting for a job is not told to start it again.
func TestWaitEnded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	renderError(&b, waitEnded("j1", errInterrupted))
	if got := b.String(); !strings.Contains(got, "code: INTERRUPTED") || !strings.Contains(got, "lockstep job show j1") || strings.Contains(got, "same command") {
		t.Error(got)
	}
	if err := waitEnded("j1", errors.New("x")); err.Error() != "job j1 goes on: x" {
		t.Error(err)
	}
}
