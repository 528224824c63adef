package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is the Observer that counts into a registry.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	running  *prometheus.GaugeVec
	panics   *prometheus.CounterVec
}

var _ Observer = (*metrics)(nil)

// NewMetrics returns an Observer that counts into reg.
func NewMetrics(reg prometheus.Registerer) Observer {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lockstep_http_requests_total",
			Help: "Requests answered, by route, method and class of status.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lockstep_http_request_seconds",
			Help:    "Time from the head of a request to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"route"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lockstep_http_requests_running", Help: "Requests being answered.",
		}, []string{"route"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lockstep_http_panics_total", Help: "Handlers that panicked.",
		}, []string{"route"}),
	}
	reg.MustRegister(m.requests, m.seconds, m.running, m.panics)
	return m
}

// MetricsHandler answers /metrics from a registry.
func MetricsHandler(reg prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// Begin implements Observer.
func (m *metrics) Begin(route, method string) func(int, time.Duration) {
	running := m.running.WithLabelValues(route)
	running.Inc()
	return func(status int, took time.Duration) {
		running.Dec()
		m.requests.WithLabelValues(route, method, strconv.Itoa(status/100)+"xx").Inc()
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}

// Panicked implements Observer.
func (m *metrics) Panicked(route string) { m.panics.WithLabelValues(route).Inc() }
