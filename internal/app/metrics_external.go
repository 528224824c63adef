package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
	seen := map[[2]string]bool{}
	for _, s := range subjects {
		name := s.Name
		if name == "" || seen[[2]string{string(s.Origin), name}] {
			name = s.ID // two of one name are told apart
		}
		if seen[[2]string{string(s.Origin), name}] {
			continue
		}
		seen[[2]string{string(s.Origin), name}] = true
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
