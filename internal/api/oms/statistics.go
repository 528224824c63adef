package oms

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// dataTypes are the series of statistics.
var dataTypes = map[string]func(task.Counts) int64{
	"REQUEST": func(c task.Counts) int64 { return c.Requested },
	"SUCCESS": func(c task.Counts) int64 { return c.Synced },
	"FAILURE": func(c task.Counts) int64 { return c.Failed },
	"SKIP":    func(c task.Counts) int64 { return c.Ignored },
	"SIZE":    func(c task.Counts) int64 { return c.Bytes },
}

// maxPoints bounds a series.
const maxPoints = 1000

// question is what statistics are asked for.
type question struct {
	types    []string
	from, to time.Time // whole intervals
	width    time.Duration
	name     string // of width
}

// statistics returns counts by interval, of 5 minutes for up to a day and of an hour for
// more. Empty intervals are left out.
func (a *API) statistics(r *request) error {
	k, err := a.task(r)
	if err != nil {
		return err
	}
	q, err := asked(r)
	if err != nil {
		return err
	}
	spans, err := a.intervals(r, k.ID, q.from, q.to)
	if err != nil {
		return err
	}
	out := statistics{ID: string(k.ID), Width: q.name, Datas: make([]series, len(q.types))}
	for i, t := range q.types {
		out.Datas[i] = series{Type: t, Data: points(spans, q.width, dataTypes[t])}
	}
	writeJSON(r.w, http.StatusOK, out)
	return nil
}

// asked reads the parameters.
func asked(r *request) (q question, err error) {
	in, err := query(r)
	if err != nil {
		return q, err
	}
	if in.Get("data_type") == "" {
		return q, invalid(codeMissing, "name REQUEST, SUCCESS, FAILURE, SKIP or SIZE", "data_type is missing")
	}
	for t := range strings.SplitSeq(in.Get("data_type"), ",") {
		if t = strings.TrimSpace(t); dataTypes[t] == nil {
			return q, invalid(codeConstraint, "name REQUEST, SUCCESS, FAILURE, SKIP or SIZE, several joined by commas", "data_type has an unknown value")
		}
		if !slices.Contains(q.types, t) {
			q.types = append(q.types, t)
		}
	}
	from, err := millis(in, "start_time")
	if err != nil {
		return q, err
	}
	to, err := millis(in, "end_time")
	if err != nil {
		return q, err
	}
	if to < from {
		return q, invalid(codeConstraint, "", "end_time is before start_time")
	}
	q.width, q.name = task.Interval, "FIVE_MINUTES"
	if to-from > (24 * time.Hour).Milliseconds() {
		q.width, q.name = time.Hour, "ONE_HOUR"
	}
	q.from = time.UnixMilli(from).UTC().Truncate(q.width)
	q.to = time.UnixMilli(to).UTC()
	if !q.to.After(q.from) {
		q.to = q.from.Add(1)
	}
	if q.to.Sub(q.from) > maxPoints*q.width {
		return q, invalid(codeConstraint, "ask for 41 days or less", "the time range has more than %d intervals of an hour", maxPoints)
	}
	return q, nil
}

// intervals returns the 5-minute counts of what clients named, in parts that control
// gives at once.
func (a *API) intervals(r *request, id task.ID, from, to time.Time) (out []history.Span, err error) {
	const part = 30 * 24 * time.Hour
	for ; from.Before(to); from = from.Add(part) {
		end := from.Add(part)
		if end.After(to) {
			end = to
		}
		spans, err := a.control.Intervals(r.ctx(), r.who, string(id), from, end, true)
		if err != nil {
			return nil, err
		}
		out = append(out, spans...)
	}
	return out, nil
}

// points adds spans up to intervals of a width.
func points(spans []history.Span, width time.Duration, of func(task.Counts) int64) []point {
	out := []point{}
	for _, s := range spans {
		n := of(s.Counts)
		if n == 0 {
			continue
		}
		at := s.At.UTC().Truncate(width).UnixMilli()
		if last := len(out) - 1; last >= 0 && out[last].At == at {
			out[last].N += n
		} else {
			out = append(out, point{at, n})
		}
	}
	return out
}
