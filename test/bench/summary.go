package main

import (
	"maps"
	"slices"
)

// spread is what several runs gave.
type spread struct {
	Median, Min, Max float64
}

// row is one tool's line in a table.
type row struct {
	tool            string
	wall, cpu, peak spread
	objects         int
	requests        float64 // per object, median
	ok, runs        int
}

// perObject is the CPU time per object in µs.
func (r row) perObject() float64 { return r.cpu.Median / float64(r.objects) * 1e6 }

// summarize makes a row for each tool, in the order they ran.
func summarize(samples []sample) []row {
	var order []string
	byTool := map[string][]sample{}
	for _, s := range samples {
		if byTool[s.Tool] == nil {
			order = append(order, s.Tool)
		}
		byTool[s.Tool] = append(byTool[s.Tool], s)
	}
	rows := make([]row, 0, len(order))
	for _, tool := range order {
		rows = append(rows, newRow(byTool[tool]))
	}
	return rows
}

func newRow(runs []sample) row {
	r := row{tool: runs[0].Tool, objects: runs[0].Objects, runs: len(runs)}
	r.wall = spreadOf(runs, func(s sample) float64 { return s.Wall })
	r.cpu = spreadOf(runs, func(s sample) float64 { return s.CPU })
	r.peak = spreadOf(runs, func(s sample) float64 { return s.Peak })
	r.requests = spreadOf(runs, func(s sample) float64 {
		var sum int64
		for n := range maps.Values(s.Requests) {
			sum += n
		}
		return float64(sum) / float64(s.Objects)
	}).Median
	for _, s := range runs {
		if s.OK {
			r.ok++
		}
	}
	return r
}

// spreadOf takes the mean of the middle two as the median of an even number.
func spreadOf(runs []sample, value func(sample) float64) spread {
	values := make([]float64, len(runs))
	for i, s := range runs {
		values[i] = value(s)
	}
	slices.Sort(values)
	n := len(values)
	return spread{Median: (values[(n-1)/2] + values[n/2]) / 2, Min: values[0], Max: values[n-1]}
}

// find returns the row of a tool.
func find(rows []row, tool string) (row, bool) {
	i := slices.IndexFunc(rows, func(r row) bool { return r.tool == tool })
	if i < 0 {
		return row{}, false
	}
	return rows[i], true
}
