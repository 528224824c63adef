package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/app"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// finished is a run that ends at once.
type finished struct {
	res app.SyncResult
	err error
}

func (f finished) Run(context.Context) (app.SyncResult, error) { return f.res, f.err }
func (f finished) Progress() app.Progress                      { return f.res.Progress }

func ending(res app.SyncResult, err error) newSyncFunc {
	return func(context.Context, app.SyncConfig) (syncRun, error) { return finished{res, err}, nil }
}

// someResult has one of everything.
func someResult() app.SyncResult {
	return app.SyncResult{
		Progress: app.Progress{
			Elapsed: 4 * time.Second, Requested: 1120, Synced: 1000, Failed: 8, Ignored: 110, Unchanged: 100, Deleted: 1, Dropped: 3, Bytes: 4_000_000,
			Listing: app.ListingProgress{Done: true},
		},
		ByReason: map[task.Reason]int64{
			task.Copied: 999, task.Deleted: 1, task.UpToDate: 100, task.Excluded: 10, task.DestinationDenied: 7, task.TooLarge: 1,
		},
		Failures: []app.Failure{
			{Key: "a", Reason: task.DestinationDenied},
			{Key: "b", Reason: task.DestinationDenied},
			{Key: "c\x1b", Reason: task.DestinationDenied},
			{Key: "huge", Reason: task.TooLarge},
			{Key: "d", Reason: task.DestinationDenied},
			{Key: "e", Reason: task.DestinationDenied},
			{Key: "f", Reason: task.DestinationDenied},
		},
		Lost: map[string]int64{"tags": 2, "meta:owner": 1},
	}
}

func TestSyncSummary(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := execute(t.Context(), ending(someResult(), nil), "sync", "s3://photos/2026", "s3://copy", "--delete", "--report", "/reports")
	want := `finished with failures after 4.0 s: s3://photos/2026/ → s3://copy
requested 1120 = synced 1000 + ignored 110 + failed 8 + pending 2
copied 999 objects, 3.8 MiB (250 objects/s, 976.6 KiB/s); deleted 1
ignored: 10 excluded by a rule, 100 unchanged
failed DST_DENIED: 7
  The destination refuses to take these: let its access key put, tag and delete objects.
    a
    b
    "c\x1b"
    d
    e
    and 2 more
failed TOO_LARGE: 1
  These are larger than the destination takes: exclude them or choose another destination.
    huge
not kept by the destination, of 3 objects: meta:owner 1, tags 2
report: /reports
`
	if diff := cmp.Diff(want, stdout); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
	if code != exitFailures || stderr != "" {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

func TestSyncJSON(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		args := []string{"sync", "s3://photos", "s3://copy", "--json"}
		if quiet {
			args = append(args, "--quiet")
		}
		_, stdout, stderr := execute(t.Context(), ending(someResult(), nil), args...)
		if prefix := `{"requested":1120,"synced":1000,"failed":8,"ignored":110,"bytes":4000000,`; !strings.HasPrefix(stdout, prefix) || strings.Count(stdout, "\n") != 1 {
			t.Errorf("stdout is %q, which does not begin with %s", stdout, prefix)
		}
		var got jsonResult
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Fatal(err)
		}
		if got.Pending != 2 || got.Deleted != 1 || got.Unchanged != 100 || got.Seconds != 4 || got.Reasons[task.TooLarge] != 1 || got.Lost["tags"] != 2 {
			t.Errorf("got %+v", got)
		}
		if summary := strings.Contains(stderr, "requested 1120 = "); summary == quiet {
			t.Errorf("quiet %v, stderr:\n%s", quiet, stderr)
		}
	}
}

func TestSyncExitCodes(t *testing.T) {
	t.Parallel()
	guard := plan.Guard{}.Check(5, 5, 0)
	for name, c := range map[string]struct {
		failed       int64
		stopped, err error
		code         int
		stderr       string
	}{
		"in step":                    {0, nil, nil, exitInStep, ""},
		"failures":                   {3, nil, nil, exitFailures, ""},
		"a guard":                    {0, guard, nil, exitGuard, "code: " + plan.CodeSourceEmpty},
		"a guard and failures":       {3, guard, nil, exitGuard, "code: " + plan.CodeSourceEmpty},
		"an interrupt":               {0, errInterrupted, nil, exitError, "code: INTERRUPTED"},
		"an interrupt and failures":  {3, errInterrupted, nil, exitError, "next: run the same command to go on"},
		"something else that stops":  {0, errors.New("disk"), nil, exitError, "error: disk"},
		"an error":                   {0, nil, errors.New("boom"), exitError, "error: boom"},
		"an error and failures":      {3, nil, errors.New("boom"), exitError, "error: boom"},
		"an error, guard and others": {3, guard, errors.New("boom"), exitError, "error: boom"},
	} {
		res := app.SyncResult{Progress: app.Progress{Requested: c.failed, Failed: c.failed}, Stopped: c.stopped}
		code, stdout, stderr := execute(t.Context(), ending(res, c.err), "sync", "s3://photos", "s3://copy")
		if code != c.code || !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
			t.Errorf("%s: exit %d, want %d; stderr:\n%s", name, code, c.code, stderr)
		}
		if !strings.Contains(stdout, "requested ") {
			t.Errorf("%s: no summary: %q", name, stdout)
		}
	}
}

func TestSyncPassesItsFlags(t *testing.T) {
	t.Parallel()
	var got app.SyncConfig
	newSync := func(_ context.Context, cfg app.SyncConfig) (syncRun, error) {
		got = cfg
		return finished{}, nil
	}
	code, _, stderr := execute(t.Context(), newSync, "sync", "s3://photos/p", "s3://copy",
		"--src-endpoint", "http://one:1", "--dst-endpoint", "http://two:2", "--src-region", "r1", "--dst-region", "r2",
		"--src-provider", "minio", "--dst-provider", "ceph", "--src-virtual-host", "--dst-anonymous", "--sign-payload",
		"--src-option", "tags=no", "--src-option", "list=1", "--dst-option", "x=y", "--dry-run", "--delete", "--max-delete", "7", "--max-delete-percent", "-1",
		"--compare", "size+mtime", "--limit-rate", "10M", "--exclude", "*.tmp", "--include", "logs/", "--exclude", "size>1G", "--limit-requests", "2.5", "--concurrency", "9", "--state", "/state", "--report", "/report", "--report-unchanged")
	if code != exitInStep {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if got.Src.Endpoint != "http://one:1" || got.Dst.Endpoint != "http://two:2" || got.Src.Region != "r1" || got.Dst.Region != "r2" ||
		got.Src.Provider != "minio" || got.Dst.Provider != "ceph" || !got.Src.VirtualHost || got.Dst.VirtualHost || got.Src.Anonymous || !got.Dst.Anonymous ||
		!got.Src.SignPayload || !got.Dst.SignPayload || len(got.Src.Override) != 2 || len(got.Dst.Override) != 1 || got.Src.Prefix != "p/" {
		t.Errorf("stores are %v and %v", got.Src, got.Dst)
	}
	if !got.DryRun || !got.Plan.Deletes || got.Plan.Guard != (plan.Guard{MaxDeletes: 7, MaxPercent: -1}) || got.Plan.Mode != plan.ModeSizeTime {
		t.Errorf("plan is %+v", got.Plan)
	}
	var rules []string
	for _, r := range got.Plan.Filter.Rules() {
		rules = append(rules, r.String())
	}
	if diff := cmp.Diff([]string{"exclude *.tmp", "include logs/", "exclude size>1G"}, rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if got.BytesPerSecond != 10<<20 || got.RequestsPerSec != 2.5 || got.Concurrency != 9 || got.StateFile != "/state" || got.ReportDir != "/report" || !got.ReportUnchanged || got.Log == nil {
		t.Errorf("configuration is %+v", got)
	}
}

func TestSyncRefusesBadStores(t *testing.T) {
	t.Parallel()
	for code, args := range map[string][]string{
		"UNKNOWN_SCHEME":            {"gs://photos", "s3://copy"},
		"MISSING_SCHEME":            {"photos", "s3://copy"},
		"KEYS_IN_ADDRESS":           {"s3://HUSH:HUSH@photos", "s3://copy"},
		"SAME_STORE":                {"s3://photos", "s3://photos"},
		"DESTINATION_INSIDE_SOURCE": {"./a", "./a/b"},
		"SOURCE_INSIDE_DESTINATION": {"./a/b", "./a"},
		"PATH_INSIDE_STORE":         {"./a", "./b", "--report", "./b/report"},
		"BAD_FILTER":                {"./a", "./b", "--exclude", "size>many"},
		"BAD_COMPARE":               {"./a", "./b", "--compare", "hash"},
		"INVALID_ENDPOINT":          {"s3://photos", "./b", "--src-endpoint", "host:9000"},
		"FLAG_NEEDS_BUCKET":         {"s3://photos", "./b", "--dst-endpoint", "http://host"},
	} {
		exit, stdout, stderr := execute(t.Context(), nil, append([]string{"sync"}, args...)...)
		if exit != exitError || stdout != "" || !strings.Contains(stderr, "  code: "+code+"\n") || !strings.Contains(stderr, "\n  next: ") || strings.Contains(stderr, "HUSH") {
			t.Errorf("%q: exit %d, want code %s; stderr:\n%s", args, exit, code, stderr)
		}
	}
}

func TestSyncThatCannotStart(t *testing.T) {
	t.Parallel()
	refused := &task.Error{Kind: task.NotFound, Code: "BUCKET_NOT_FOUND", Text: "no such bucket", Next: "make it"}
	newSync := func(context.Context, app.SyncConfig) (syncRun, error) { return nil, refused }
	code, stdout, stderr := execute(t.Context(), newSync, "sync", "s3://photos", "s3://copy", "--json")
	if want := "error: no such bucket\n  code: BUCKET_NOT_FOUND\n  next: make it\n"; code != exitError || stdout != "" || stderr != want {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestWarningsAreLimited(t *testing.T) {
	t.Parallel()
	newSync := func(_ context.Context, cfg app.SyncConfig) (syncRun, error) {
		for range 10 * maxWarnings {
			cfg.Log.Warn("failed")
			cfg.Log.Debug("synced")
		}
		cfg.Log.Error("disk")
		return finished{}, nil
	}
	for flag, want := range map[string][4]int{
		// shown: failed, synced, disk, "not shown"
		"--log-format=text": {maxWarnings, 0, 1, 1},
		"--log-format=json": {maxWarnings, 0, 1, 1},
		"--verbose":         {10 * maxWarnings, 10 * maxWarnings, 1, 0},
		"--quiet":           {0, 0, 1, 0},
	} {
		_, _, stderr := execute(t.Context(), newSync, "sync", "s3://photos", "s3://copy", flag)
		got := [4]int{strings.Count(stderr, "failed"), strings.Count(stderr, "synced"), strings.Count(stderr, "disk"), strings.Count(stderr, "not shown")}
		if got != want {
			t.Errorf("%s: got %v lines, want %v", flag, got, want)
		}
	}
}
