package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

var (
	externalJobsDesc = prometheus.NewDesc("lockstep_external_jobs", "Jobs that other programs do and report, by the dialect's word for how they stand.", []string{"dialect", "status"}, nil)
	externalAgeDesc  = prometheus.NewDesc("lockstep_external_success_age_seconds", "Since the last sync that succeeded, as another program reports it.", []string{"dialect", "subject"}, nil)
	externalLateDesc = prometheus.NewDesc("lockstep_external_late", "1 when a sync that is expected at an interval is overdue.", []string{"dialect", "subject"}, nil)
)

// scrapeSubjects bounds how many connectors and apps have metrics of their own: those that
// reported last.
const scrapeSubjects = 200

// externalCollector reads what other programs report when metrics are asked for.
type externalCollector serviceMetrics

// Describe implements prometheus.Collector.
func (*externalCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{externalJobsDesc, externalAgeDesc, externalLateDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *externalCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime) // a Collector is given none
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	tally, err := c.s.control.ExternalTally(ctx, c.s.Admin())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(externalJobsDesc, err)
		return
	}
	for _, n := range tally {
		gauge(externalJobsDesc, float64(n.Jobs), string(n.Origin), n.Status)
	}
	subjects, err := c.s.control.ExternalSubjects(ctx, c.s.Admin(), scrapeSubjects)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(externalAgeDesc, err)
		return
	}
	now := time.Now()
	for i, name := range subjectNames(subjects) {
		s := subjects[i]
		if name == "" {
			continue
		}
		if !s.SucceededAt.IsZero() {
			gauge(externalAgeDesc, now.Sub(s.SucceededAt).Seconds(), string(s.Origin), name)
		}
		if s.Every > 0 {
			late := 0.0
			if s.Late(now) {
				late = 1
			}
			gauge(externalLateDesc, late, string(s.Origin), name)
		}
	}
}

// subjectNames are what subjects are called in metrics: their names, or their ids where
// several have one name. Who reported last makes no difference: a series stays that of one
// subject. One is empty whose id is the name of another.
func subjectNames(subjects []history.ExternalSubject) []string {
	type label struct {
		origin task.Dialect
		name   string
	}
	named := map[label]int{}
	for _, s := range subjects {
		named[label{s.Origin, s.Name}]++
	}
	names, taken := make([]string, len(subjects)), map[label]bool{}
	for i, s := range subjects {
		if s.Name != "" && named[label{s.Origin, s.Name}] == 1 {
			names[i], taken[label{s.Origin, s.Name}] = s.Name, true
		}
	}
	for i, s := range subjects {
		if names[i] == "" && !taken[label{s.Origin, s.ID}] {
			names[i] = s.ID
		}
	}
	return names
}
