package app

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// serviceMetrics counts what this process does, and reads what the database knows of
// every task when it is asked. Labels are names of tasks, never keys or ids of clients.
type serviceMetrics struct {
	registry *prometheus.Registry
	requests api.Observer
	s        *Service

	outcomes *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	lag      *prometheus.HistogramVec
	jobs     *prometheus.CounterVec
	retries  *prometheus.CounterVec

	names sync.Map // task.ID → string
}

var (
	recordsDesc = prometheus.NewDesc("lockstep_task_records", "Records of a task by how they ended, since it was made.", []string{"task", "outcome"}, nil)
	heardDesc   = prometheus.NewDesc("lockstep_task_heard_timestamp_seconds", "Everything accepted before is settled, and none of it failed.", []string{"task"}, nil)
	provenDesc  = prometheus.NewDesc("lockstep_task_proven_timestamp_seconds", "Start of the last scan that ended complete and without open failures; 0: none did.", []string{"task"}, nil)
	missedDesc  = prometheus.NewDesc("lockstep_task_missed_events_ratio", "Share of changes that a scan found and no event told of.", []string{"task"}, nil)
	behindDesc  = prometheus.NewDesc("lockstep_task_behind_seconds", "How far the destination lags behind what was heard.", []string{"task"}, nil)
	openDesc    = prometheus.NewDesc("lockstep_task_open_failures", "Failed records whose key has not ended otherwise since, counted to 100,000.", []string{"task"}, nil)
	stateDesc   = prometheus.NewDesc("lockstep_task_state", "1 for the state a task is in: active, paused or stopped.", []string{"task", "state"}, nil)
	listsDesc   = prometheus.NewDesc("lockstep_lists_waiting", "Lists that wait for their upload to a destination.", nil, nil)
	oldestDesc  = prometheus.NewDesc("lockstep_lists_oldest_timestamp_seconds", "When the oldest list was finished that waits for its upload; 0: none waits.", nil, nil)
	infoDesc    = prometheus.NewDesc("lockstep_build_info", "1, with the version that runs.", []string{"version"}, nil)
	waitingDesc = prometheus.NewDesc("lockstep_accept_waiting_keys", "Keys in line for the next commit.", nil, nil)
)

func newServiceMetrics(s *Service) *serviceMetrics {
	m := &serviceMetrics{
		registry: prometheus.NewRegistry(), s: s,
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lockstep_outcomes_total", Help: "Records this process ended, by outcome and reason.",
		}, []string{"task", "outcome", "reason"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lockstep_synced_bytes_total", Help: "Bytes this process put to destinations.",
		}, []string{"task"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lockstep_attempts_failed_total", Help: "Attempts that failed and are made again, by reason.",
		}, []string{"task", "reason"}),
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lockstep_jobs_ended_total", Help: "Jobs this process ended, by kind and state: done, failed, stopped (by a guard), cancelled.",
		}, []string{"task", "kind", "state"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lockstep_lag_seconds", Help: "From the acceptance of a record to the object at the destination, of synced records.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400},
		}, []string{"task"}),
	}
	m.registry.MustRegister(m.outcomes, m.bytes, m.retries, m.lag, m.jobs, (*taskCollector)(m),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.requests = api.NewMetrics(m.registry)
	return m
}

func (m *serviceMetrics) handler() http.Handler { return api.MetricsHandler(m.registry) }

// ended counts a settlement that the database has taken.
func (m *serviceMetrics) ended(id task.ID, e *queue.Settlement) {
	name := m.nameOf(id)
	if e.Outcome == task.Pending {
		m.retries.WithLabelValues(name, string(e.Reason)).Inc()
		return
	}
	m.outcomes.WithLabelValues(name, e.Outcome.String(), string(e.Reason)).Inc()
	if e.Outcome == task.Synced {
		m.bytes.WithLabelValues(name).Add(float64(max(0, e.Size)))
		took := max(0, e.At.Sub(e.Record.AcceptedAt))
		m.lag.WithLabelValues(name).Observe(took.Seconds())
		m.s.lags.add(id, e.At, took)
	}
}

// jobEnded counts a job.
func (m *serviceMetrics) jobEnded(_ context.Context, j task.Job) {
	m.jobs.WithLabelValues(m.nameOf(j.Task), string(j.Kind), string(j.State)).Inc()
}

// nameOf returns the name of a task that this process works, or its id.
func (m *serviceMetrics) nameOf(id task.ID) string {
	if name, ok := m.names.Load(id); ok {
		return name.(string)
	}
	m.s.stores.mu.Lock()
	known := m.s.stores.ends[id]
	m.s.stores.mu.Unlock()
	if known == nil {
		return string(id)
	}
	m.names.Store(id, known.ends.Task.Name)
	return known.ends.Task.Name
}

// taskCollector reads the tasks when metrics are asked for.
type taskCollector serviceMetrics

// scrapeTime bounds the reading, scrapeTasks how much of it there is.
const (
	scrapeTime  = 5 * time.Second
	scrapeTasks = 1000
)

// Describe implements prometheus.Collector.
func (*taskCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{recordsDesc, heardDesc, provenDesc, missedDesc, behindDesc, openDesc, stateDesc, listsDesc, oldestDesc, infoDesc, waitingDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *taskCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(waitingDesc, float64(c.s.in.Waiting()))
	gauge(infoDesc, 1, c.s.cfg.Version)
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime) // a Collector is given none
	defer cancel()
	lists, oldest, err := c.s.db.ListsWaiting(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(listsDesc, err)
		return
	}
	gauge(listsDesc, float64(lists))
	gauge(oldestDesc, unixSeconds(oldest))
	all, err := c.s.control.Statuses(ctx, c.s.Admin(), "", scrapeTasks)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(recordsDesc, err)
		return
	}
	for _, t := range all {
		name := t.Task.Name
		gauge(recordsDesc, float64(t.Counts.Synced), name, "synced")
		gauge(recordsDesc, float64(t.Counts.Failed), name, "failed")
		gauge(recordsDesc, float64(t.Counts.Ignored), name, "ignored")
		gauge(recordsDesc, float64(t.Counts.Pending()), name, "pending")
		gauge(openDesc, float64(t.Marks.Open), name)
		gauge(stateDesc, 1, name, string(t.Task.State))
		gauge(heardDesc, unixSeconds(t.Marks.Heard), name)
		gauge(provenDesc, unixSeconds(t.Marks.Proven), name)
		gauge(missedDesc, t.Marks.Missed, name)
		gauge(behindDesc, t.Behind().Seconds(), name)
	}
}

func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}
