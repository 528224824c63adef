package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSummarize(t *testing.T) {
	t.Parallel()
	samples := []sample{
		{Tool: "b", Objects: 10, CPU: 3, Wall: 1, Peak: 7, OK: true, Requests: map[string]int64{"get": 10, "put": 10}},
		{Tool: "a", Objects: 10, CPU: 1, OK: true},
		{Tool: "b", Objects: 10, CPU: 1, Wall: 2, Peak: 9, OK: true, Requests: map[string]int64{"get": 30}},
		{Tool: "a", Objects: 10, CPU: 2},
		{Tool: "b", Objects: 10, CPU: 20, Wall: 6, Peak: 8, OK: true, Requests: map[string]int64{"get": 10}},
	}
	rows := summarize(samples)
	want := []row{
		{
			tool: "b", wall: spread{2, 1, 6}, cpu: spread{3, 1, 20}, peak: spread{8, 7, 9},
			objects: 10, requests: 2, ok: 3, runs: 3,
		},
		{tool: "a", cpu: spread{1.5, 1, 2}, objects: 10, ok: 1, runs: 2},
	}
	if diff := cmp.Diff(want, rows, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if got := rows[0].perObject(); got != 300_000 {
		t.Errorf("%g µs per object, want 300,000", got)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	limit := row{tool: toolLimit, cpu: spread{10, 9, 11}, wall: spread{5, 5, 5}, ok: 3, runs: 3}
	own := row{tool: toolLockstep, cpu: spread{12, 11, 20}, wall: spread{7, 7, 7}, peak: spread{40, 39, 50}, ok: 3, runs: 3}
	failed := own
	failed.ok = 2
	for name, c := range map[string]struct {
		workload string
		rows     []row
		want     []string
	}{
		"a ratio that is met": {"W1", []row{limit, own}, []string{"CPU ≤ 1.3 × limit: 1.20, met"}},
		"memory in every run": {"W3", []row{limit, own}, []string{"CPU ≤ 1.15 × limit: 1.20, MISSED", "peak memory ≤ 48 MiB: 50.00, MISSED"}},
		"wall":                {"delay", []row{limit, own}, []string{"wall ≤ 1.2 × limit: 1.40, MISSED"}},
		"a peer not measured": {"same", []row{limit, own}, []string{"CPU ≤ 0.4 × mc-mirror: not judged: mc-mirror was not measured"}},
		"a failed run":        {"W1", []row{limit, failed}, []string{"CPU ≤ 1.3 × limit: not judged: lockstep failed"}},
		"not measured":        {"W1", []row{limit}, []string{"CPU ≤ 1.3 × limit: not judged: lockstep was not measured"}},
	} {
		var got []string
		for _, v := range judge(c.workload, c.rows) {
			got = append(got, v.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-w", "W9"},
		{"-runs", "0"},
		{"-peers", "s9cmd"},
		{"-tools", "limits"},
		{"-server", "ceph"},
		{"-server", "versitygw", "-w", "delay"},
		{"W1"},
	} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	opt, err := parseOptions([]string{"-server", "versitygw"})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range opt.workloads {
		if w.Delayed {
			t.Errorf("%s is chosen by default on a server that cannot delay", w.Name)
		}
	}
}
