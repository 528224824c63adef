package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func TestRenderError(t *testing.T) {
	t.Parallel()
	refused := &task.Error{Kind: task.Denied, Code: "ACCESS_DENIED", Text: "the source refuses", Next: "use another key", Err: errors.New("list: 403")}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"with everything", refused, "error: the source refuses\n  code: ACCESS_DENIED\n  cause: list: 403\n  next: use another key\n"},
		{"wrapped", fmt.Errorf("scan: %w", refused), "error: scan: the source refuses\n  code: ACCESS_DENIED\n  cause: list: 403\n  next: use another key\n"},
		{"cause in the text", task.Errorf(task.Conflict, "busy: %w", errors.New("x")), "error: busy: x\n  code: CONFLICT\n"},
		{"over lines, indented", errors.New("cannot:\n\tb\n\tc\n"), "error: cannot:; b; c\n  code: INTERNAL\n"},
		{"a stranger", errors.New("a\nb"), "error: a; b\n  code: INTERNAL\n"},
		{"joined", errors.Join(errors.New("a"), refused), "error: a\n  code: INTERNAL\nerror: the source refuses\n  code: ACCESS_DENIED\n  cause: list: 403\n  next: use another key\n"},
		{
			"of a store", &objstore.Error{Kind: objstore.ErrUnsorted, Op: "list"},
			"error: list: listing is not sorted\n  code: LISTING_UNSORTED\n  next: the store lists keys out of order, so nothing was concluded from it; tell us which store it is\n",
		},
		{
			"of a directory", &objstore.Error{Kind: objstore.ErrDenied, Op: "list", Err: &fs.PathError{Op: "directory", Path: `"a/"`, Err: fs.ErrPermission}},
			"error: list: access denied: directory \"a/\": permission denied\n  code: ACCESS_DENIED\n  next: let this user read the directory, or run as one who may\n",
		},
		{"interrupted", errInterrupted, "error: stopped before the end\n  code: INTERRUPTED\n  next: run the same command to go on: what is done stays done\n"},
		{"what a terminal would obey", errors.New("\x1b[31mred"), "error: \"\\x1b[31mred\"\n  code: INTERNAL\n"},
	} {
		var b strings.Builder
		renderError(&b, c.err)
		if diff := cmp.Diff(c.want, b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"snyc"},
		{"sync"},
		{"sync", "./a"},
		{"sync", "./a", "./b", "./c"},
		{"sync", "./a", "./b", "--bogus"},
		{"sync", "./a", "./b", "--concurrency", "many"},
		{"sync", "./a", "./b", "--concurrency", "-1"},
		{"sync", "./a", "./b", "--limit-rate", "fast"},
		{"sync", "./a", "./b", "--limit-rate", "0"},
		{"sync", "./a", "./b", "--max-delete", "0"},
		{"sync", "./a", "./b", "--max-delete-percent", "101"},
		{"sync", "./a", "./b", "--report-unchanged"},
		{"sync", "./a", "./b", "--quiet", "--verbose"},
		{"sync", "./a", "./b", "--log-format", "xml"},
		{"version", "--bogus"},
		{"version", "x"},
		{"task", "foo"},
		{"task", "create", "photos", "disk:photos"},
		{"event", "send", "photos"},
		{"endpoint", "check", "disk"},
		{"key", "create"},
		{"backup"},
		{"serve", "--log-format", "xml"},
	} {
		code, stdout, stderr := execute(t.Context(), nil, args...)
		if code != exitError || stdout != "" || !strings.Contains(stderr, "code: USAGE\n") || !strings.Contains(stderr, "--help\n") {
			t.Errorf("%q: exit %d, stdout %q, stderr:\n%s", args, code, stdout, stderr)
		}
	}
}

func TestUnknownCommandIsOneLine(t *testing.T) {
	t.Parallel()
	_, _, stderr := execute(t.Context(), nil, "stauts")
	want := "error: unknown command \"stauts\" for \"lockstep\"; did you mean status?\n  code: USAGE\n  next: see lockstep --help\n"
	if diff := cmp.Diff(want, stderr); diff != "" {
		t.Error(diff)
	}
}

func TestHelpTopics(t *testing.T) {
	t.Parallel()
	code, stdout, _ := execute(t.Context(), nil, "help", "profile")
	if code != exitInStep || !strings.Contains(stdout, "default.profile") {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
}

// execute runs a command line whose syncs are made by newSync.
func execute(ctx context.Context, newSync newSyncFunc, args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	c := &cli{stdout: &out, stderr: &errs, env: func(string) string { return "" }, newSync: newSync}
	code = c.run(ctx, args)
	return code, out.String(), errs.String()
}
