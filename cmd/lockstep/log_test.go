package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// TestServiceLogTellsCauses: errors that send their reader to the log have to be told in
// full there.
func TestServiceLogTellsCauses(t *testing.T) {
	t.Parallel()
	full := errors.New("database or disk is full (13)")
	away := &task.Error{Kind: task.Unavailable, Code: "DATABASE_UNAVAILABLE", Text: "the database cannot be used now", Next: "see the server's log", Err: full}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"plain":        {full, full.Error()},
		"with a cause": {away, "the database cannot be used now: database or disk is full (13)"},
		"wrapped":      {fmt.Errorf("settle: %w", away), "settle: the database cannot be used now: database or disk is full (13)"},
		"twice":        {&task.Error{Kind: task.Unavailable, Text: away.Text, Err: away}, "the database cannot be used now: database or disk is full (13)"},
		"told already": {task.Errorf(task.Conflict, "busy: %w", full), "busy: database or disk is full (13)"},
	} {
		for _, format := range []string{"text", "json"} {
			var out bytes.Buffer
			serviceLog(&out, format, false).Error("outcomes not settled", "err", c.err, "keys", 3)
			if got := out.String(); !strings.Contains(got, c.want) || strings.Count(got, full.Error()) != 1 || strings.Count(got, "cannot be used") > 1 {
				t.Errorf("%s, %s: %s", name, format, got)
			}
		}
	}
}
