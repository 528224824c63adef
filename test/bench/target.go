package main

import "fmt"

// quantity is what a target is about.
type quantity string

const (
	quantityCPU  quantity = "CPU"
	quantityWall quantity = "wall"
	quantityPeak quantity = "peak memory"
)

// target is what Lockstep must reach in a workload, on the server in memory.
type target struct {
	workload string
	quantity quantity
	than     string  // the tool it is a multiple of; "" for an absolute value in MiB
	atMost   float64 // the multiple, or the value
}

// targets are the project's promises; docs/benchmarks.md prints them beside
// measured figures.
var targets = []target{
	{"W1", quantityCPU, toolLimit, 1.3},
	{"W2", quantityCPU, toolLimit, .8},
	{"W3", quantityCPU, toolLimit, 1.15},
	{"W3", quantityPeak, "", 48},
	{"W4", quantityCPU, toolLimit, 1.3},
	{"W5", quantityCPU, toolLimit, 1.2},
	{"W5", quantityPeak, "", 64},
	{"delay", quantityWall, toolLimit, 1.2},
	{"same", quantityCPU, peerMC, .4},
}

func (t target) String() string {
	if t.than == "" {
		return fmt.Sprintf("%s ≤ %g MiB", t.quantity, t.atMost)
	}
	return fmt.Sprintf("%s ≤ %g × %s", t.quantity, t.atMost, t.than)
}

// verdict is a target with what was measured.
type verdict struct {
	target
	measured float64
	why      string // the target was not measured; measured is 0
}

func (v verdict) String() string {
	if v.why != "" {
		return fmt.Sprintf("%s: not judged: %s", v.target, v.why)
	}
	word := "met"
	if v.measured > v.atMost {
		word = "MISSED"
	}
	return fmt.Sprintf("%s: %.2f, %s", v.target, v.measured, word)
}

// judge compares a workload's rows with its targets.
func judge(name string, rows []row) []verdict {
	var verdicts []verdict
	for _, t := range targets {
		if t.workload == name {
			verdicts = append(verdicts, t.judge(rows))
		}
	}
	return verdicts
}

func (t target) judge(rows []row) verdict {
	own, ok := find(rows, toolLockstep)
	switch {
	case !ok:
		return verdict{target: t, why: "lockstep was not measured"}
	case own.ok < own.runs:
		return verdict{target: t, why: "lockstep failed"}
	case t.than == "":
		return verdict{target: t, measured: t.quantity.of(own)}
	}
	other, ok := find(rows, t.than)
	switch {
	case !ok:
		return verdict{target: t, why: t.than + " was not measured"}
	case other.ok < other.runs:
		return verdict{target: t, why: t.than + " failed"}
	}
	return verdict{target: t, measured: t.quantity.of(own) / t.quantity.of(other)}
}

func (q quantity) of(r row) float64 {
	switch q {
	case quantityCPU:
		return r.cpu.Median
	case quantityWall:
		return r.wall.Median
	default:
		return r.peak.Max // a limit on memory holds in every run
	}
}
