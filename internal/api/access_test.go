package api_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// TestLogRefusal: an answer that says "see the server's log" has its cause there at the
// level that a log has by default.
func TestLogRefusal(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk is full")
	for _, c := range []struct {
		what string
		gone bool // the client
		err  error
		want string // level and text; empty: nothing
	}{
		{"unavailable", false, fmt.Errorf("accept: %w", &task.Error{Kind: task.Unavailable, Text: "not now", Err: cause}), `WARN msg="request refused" error="disk is full"`},
		{"unavailable for a reason that the answer tells", false, &task.Error{Kind: task.Unavailable, Text: "the queue is full"}, ""},
		{"internal", false, cause, `ERROR msg="request failed" error="disk is full"`},
		{"the client's fault", false, &task.Error{Kind: task.Invalid, Text: "no", Err: cause}, `DEBUG msg="request refused" error="disk is full"`},
		{"a client that went away", true, cause, `DEBUG msg="request refused" error="disk is full"`},
	} {
		var out strings.Builder
		ctx, leave := context.WithCancel(t.Context())
		if c.gone {
			leave()
		}
		api.LogRefusal(ctx, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), c.err)
		leave()
		if got := out.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
