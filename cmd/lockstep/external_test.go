package main

import (
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api/native"
)

func TestExternalStatus(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-3*time.Hour - time.Second)
	for want, e := range map[string]native.External{
		"never synced": {},
		"never synced, expected every 30 min 00 s: late":              {Every: 1800, Late: true},
		"last synced 3 h 00 min ago":                                  {SucceededAt: &past},
		"last synced 3 h 00 min ago, expected every 1 h 00 min: late": {SucceededAt: &past, Every: 3600, Late: true},
		"last synced 3 h 00 min ago, expected every 24 h 00 min":      {SucceededAt: &past, Every: 86400},
	} {
		if got := externalStatus(e); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
