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
	gone, leave := context.WithCancel(t.Context())
	leave()
	for _, c := range []struct {
		what string
		ctx  context.Context
		err  error
		want string // level and text; empty: nothing
	}{
		{"unavailable", t.Context(), fmt.Errorf("accept: %w", &task.Error{Kind: task.Unavailable, Text: "not now", Err: cause}), `WARN msg="request refused" error="disk is full"`},
		{"unavailable for a reason that the answer tells", t.Context(), &task.Error{Kind: task.Unavailable, Text: "the queue is full"}, ""},
		{"internal", t.Context(), cause, `ERROR msg="request failed" error="disk is full"`},
		{"the client's fault", t.Context(), &task.Error{Kind: task.Invalid, Text: "no", Err: cause}, `DEBUG msg="request refused" error="disk is full"`},
		{"a client that went away", gone, cause, `DEBUG msg="request refused" error="disk is full"`},
	} {
		var out strings.Builder
		api.LogRefusal(c.ctx, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), c.err)
		if got := out.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
