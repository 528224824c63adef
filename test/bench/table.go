package main

import (
	"fmt"
	"io"

	"github.com/lockstep-sync/lockstep/test/bench/workload"
)

// printTable prints medians, in brackets the least and the greatest value.
func printTable(out io.Writer, w workload.Workload, opt options, rows []row, judged []verdict) {
	fmt.Fprintf(out, "\n%s: %s; server %s", w.Name, w.Title, opt.server)
	if w.Delayed {
		fmt.Fprintf(out, ", %s a request", opt.delay)
	}
	if opt.scale != 1 {
		fmt.Fprintf(out, ", scale %g", opt.scale)
	}
	fmt.Fprintf(out, "; runs: %d; medians (min–max)\n", opt.runs)
	fmt.Fprintf(out, "%-17s %21s %21s %10s %11s %12s %9s %11s %4s\n",
		"tool", "CPU s", "wall s", "CPU µs/obj", "CPU × limit", "wall × limit", "peak MiB", "requests/obj", "ok")
	limit, hasLimit := find(rows, toolLimit)
	for _, r := range rows {
		cpu, wall := "-", "-"
		if hasLimit {
			cpu = fmt.Sprintf("%.2f", r.cpu.Median/limit.cpu.Median)
			wall = fmt.Sprintf("%.2f", r.wall.Median/limit.wall.Median)
		}
		requests := "-"
		if opt.server == mem {
			requests = fmt.Sprintf("%.3g", r.requests)
		}
		fmt.Fprintf(out, "%-17s %21s %21s %10.1f %11s %12s %9.0f %11s  %d/%d\n",
			r.tool, r.cpu, r.wall, r.perObject(), cpu, wall, r.peak.Median, requests, r.ok, r.runs)
	}
	for _, v := range judged {
		fmt.Fprintln(out, "target:", v)
	}
	fmt.Fprintln(out)
}

func (s spread) String() string { return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max) }

// printVerdicts says in one place which targets are met.
func printVerdicts(out io.Writer, verdicts []verdict) {
	met, missed, unjudged := 0, 0, 0
	for _, v := range verdicts {
		fmt.Fprintf(out, "%-6s %s\n", v.workload, v)
		switch {
		case v.why != "":
			unjudged++
		case v.measured > v.atMost:
			missed++
		default:
			met++
		}
	}
	fmt.Fprintf(out, "targets: %d met, %d missed, %d not judged\n", met, missed, unjudged)
}
