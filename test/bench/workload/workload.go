// Package workload holds what the benchmarks measure: the workloads, the
// deterministic data behind them, and the steps that put data into a bucket,
// change some of it and empty the bucket again.
package workload

import (
	"fmt"
	"slices"
	"strings"
)

// Workload is a situation that a tool is measured in.
type Workload struct {
	Name  string
	Title string
	Data  Data
	Part  float64 // of Data's objects that are used
	Start Start
	// SameService puts both buckets on one server.
	SameService bool
	// Delayed adds a delay to each request.
	Delayed bool
	// Objects is what a run's cost is divided by, at scale 1.
	Objects int
}

// Start says what the destination is like when a tool starts.
type Start int

// The starts.
const (
	Fresh   Start = iota // empty
	Equal                // equal to the source
	Changed              // equal, but for 1 % of the source rewritten since
)

// ChangedPercent of the objects are rewritten before each run of a workload that
// starts Changed.
const ChangedPercent = 1

// All lists the workloads in the order they run in. Neighbours with the same data
// share one filling where they can.
var All = []Workload{
	{Name: "W1", Title: "first sync, 20,000 × 4 KiB", Data: Small, Part: 1, Objects: 20_000},
	{Name: "W2", Title: "nothing changed, 100,000 × 1 KiB on both sides", Data: Tiny, Part: 1, Start: Equal, Objects: 100_000},
	{Name: "W4", Title: "1 % of 100,000 × 1 KiB changed", Data: Tiny, Part: 1, Start: Changed, Objects: 1_000},
	{Name: "W3", Title: "first sync, 8 × 256 MiB", Data: Big, Part: 1, Objects: 8},
	{Name: "W5", Title: "first sync, 5,000 log-normal sizes, about 2 GiB", Data: Mixed, Part: 1, Objects: 5_000},
	{Name: "delay", Title: "first sync, 3,000 × 4 KiB, each request delayed", Data: Small, Part: .15, Delayed: true, Objects: 3_000},
	{Name: "same", Title: "first sync, 20,000 × 4 KiB, inside one service", Data: Small, Part: 1, SameService: true, Objects: 20_000},
}

// Select returns the workloads named in a comma-separated list, in the order of
// All; an empty list means all of them.
func Select(list string) ([]Workload, error) {
	if list == "" {
		return All, nil
	}
	names := strings.Split(list, ",")
	var chosen []Workload
	for _, w := range All {
		if i := slices.Index(names, w.Name); i >= 0 {
			chosen = append(chosen, w)
			names = slices.Delete(names, i, i+1)
		}
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("unknown workload %q", names[0])
	}
	return chosen, nil
}

// Count is the number of objects that costs are divided by at a scale.
func (w Workload) Count(scale float64) int {
	return max(1, int(float64(w.Objects)*scale))
}
