package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/app"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// maxKeys is how many keys of a reason the summary names.
const maxKeys = 5

// writeSummary says how a run ended, for a person.
func writeSummary(w io.Writer, cfg app.SyncConfig, res app.SyncResult, err error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s after %s: %s\n", verdict(cfg, res, err), formatDuration(res.Elapsed), title(cfg))
	fmt.Fprintf(&b, "requested %d = synced %d + ignored %d + failed %d + pending %d\n",
		res.Requested, res.Synced, res.Ignored, res.Failed, res.Pending())
	writeDone(&b, cfg, res)
	writeIgnored(&b, res)
	writeFailures(&b, res)
	writeLost(&b, res)
	if cfg.ReportDir != "" {
		fmt.Fprintf(&b, "report: %s\n", printable(cfg.ReportDir))
	}
	_, _ = io.WriteString(w, b.String())
}

// verdict is the run in a word or two.
func verdict(cfg app.SyncConfig, res app.SyncResult, err error) string {
	switch code := exitCode(res, err); {
	case err != nil:
		return "ended by an error"
	case code == exitGuard:
		return "stopped by a guard"
	case code == exitError:
		return "stopped before the end"
	case cfg.DryRun:
		return "dry run, nothing written,"
	case code == exitFailures:
		return "finished with failures"
	}
	return "in step"
}

func writeDone(b *strings.Builder, cfg app.SyncConfig, res app.SyncResult) {
	copied, deleted := "copied", "deleted"
	if cfg.DryRun {
		copied, deleted = "would copy", "would delete"
	}
	objects := res.Synced - res.Deleted
	fmt.Fprintf(b, "%s %s objects, %s", copied, formatCount(objects), formatBytes(res.Bytes))
	if seconds := res.Elapsed.Seconds(); seconds > 0 && !cfg.DryRun && objects > 0 {
		fmt.Fprintf(b, " (%s objects/s, %s/s)", formatRate(float64(objects)/seconds), formatBytes(int64(float64(res.Bytes)/seconds)))
	}
	if cfg.Plan.Deletes {
		fmt.Fprintf(b, "; %s %s", deleted, formatCount(res.Deleted))
	}
	b.WriteByte('\n')
}

// writeIgnored says why keys were left alone.
func writeIgnored(b *strings.Builder, res app.SyncResult) {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(res.ByReason)) {
		if text := ignoredWords[reason]; text != "" && res.ByReason[reason] > 0 {
			parts = append(parts, formatCount(res.ByReason[reason])+" "+text)
		}
	}
	if len(parts) > 0 {
		fmt.Fprintf(b, "ignored: %s\n", strings.Join(parts, ", "))
	}
}

// writeFailures names failed keys, the most frequent reason first.
func writeFailures(b *strings.Builder, res app.SyncResult) {
	keys := map[task.Reason][]app.Failure{}
	for _, f := range res.Failures {
		keys[f.Reason] = append(keys[f.Reason], f)
	}
	var reasons []task.Reason
	for reason := range res.ByReason {
		if failureAdvice[reason] != "" && res.ByReason[reason] > 0 {
			reasons = append(reasons, reason)
		}
	}
	slices.SortFunc(reasons, func(a, b task.Reason) int {
		if n := res.ByReason[b] - res.ByReason[a]; n != 0 {
			return int(max(-1, min(n, 1)))
		}
		return strings.Compare(string(a), string(b))
	})
	for _, reason := range reasons {
		n, named := res.ByReason[reason], keys[reason]
		fmt.Fprintf(b, "failed %s: %s\n  %s\n", reason, formatCount(n), failureAdvice[reason])
		for _, f := range named[:min(len(named), maxKeys)] {
			fmt.Fprintf(b, "    %s\n", printable(f.Key))
		}
		if more := n - int64(min(len(named), maxKeys)); more > 0 {
			fmt.Fprintf(b, "    and %s more\n", formatCount(more))
		}
	}
}

// writeLost names what the destination did not keep.
func writeLost(b *strings.Builder, res app.SyncResult) {
	if len(res.Lost) == 0 {
		return
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(res.Lost)) {
		parts = append(parts, printable(name)+" "+formatCount(res.Lost[name]))
	}
	fmt.Fprintf(b, "not kept by the destination, of %s objects: %s\n", formatCount(res.Dropped), strings.Join(parts, ", "))
}

// jsonResult is the last line with --json. The first five fields and their order
// are a contract; others are added behind them.
type jsonResult struct {
	Requested int64 `json:"requested"`
	Synced    int64 `json:"synced"`
	Failed    int64 `json:"failed"`
	Ignored   int64 `json:"ignored"`
	Bytes     int64 `json:"bytes"`

	Pending   int64                 `json:"pending"`
	Deleted   int64                 `json:"deleted"`
	Unchanged int64                 `json:"unchanged"`
	Flagged   int64                 `json:"flagged"` // ignored although proved different (--compare oms)
	Seconds   float64               `json:"seconds"`
	DryRun    bool                  `json:"dry_run,omitempty"`
	Stopped   string                `json:"stopped,omitempty"` // code of what stopped the run
	Reasons   map[task.Reason]int64 `json:"reasons"`
	Lost      map[string]int64      `json:"lost,omitempty"`
	Report    string                `json:"report,omitempty"`
}

func writeJSON(w io.Writer, cfg app.SyncConfig, res app.SyncResult) {
	r := jsonResult{
		Requested: res.Requested, Synced: res.Synced, Failed: res.Failed, Ignored: res.Ignored, Bytes: res.Bytes,
		Pending: res.Pending(), Deleted: res.Deleted, Unchanged: res.Unchanged, Flagged: res.Flagged,
		Seconds: float64(res.Elapsed.Milliseconds()) / 1000, DryRun: cfg.DryRun, Reasons: res.ByReason, Lost: res.Lost, Report: cfg.ReportDir,
	}
	if r.Reasons == nil {
		r.Reasons = map[task.Reason]int64{}
	}
	if res.Stopped != nil {
		r.Stopped = describe(res.Stopped).Code
	}
	_ = json.NewEncoder(w).Encode(r) // a closed stdout has no reader to tell
}
