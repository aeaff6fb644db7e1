// Package metrics holds everything the server counts for Prometheus: the collectors, their names and their labels.
//
// The packages that count know nothing of Prometheus. Each takes a function or a small interface of its own
// (provider.Counts, web.Config.Observe), and internal/app passes it a method of [Metrics]. internal/app also mounts
// [Metrics.Handler] on the admin listener. A new metric is one field, one line in New, and a row in docs/operations.md.
//
// Labels are route templates and words from fixed sets, never what a caller may choose and never the id of a person or
// client: each new value is another series in memory, and /metrics is not meant to tell about people.
package metrics

import (
	"log"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sallyport-id/sallyport/internal/jobs"
)

// Metrics are the collectors of one server. Each server has a registry of its own, so that tests run several.
type Metrics struct {
	// Waiting is the number of outbox messages that are not delivered yet.
	Waiting prometheus.Gauge
	// Checks are 1 for each health check that is well, else 0.
	Checks *prometheus.GaugeVec

	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	rows     *prometheus.CounterVec
	messages *prometheus.CounterVec
	jobs     *prometheus.CounterVec
	panics   *prometheus.CounterVec
	tokens   *prometheus.CounterVec
	refusals *prometheus.CounterVec
}

// New returns collectors that are registered and at zero.
func New() *Metrics {
	registry := prometheus.NewRegistry()
	with := promauto.With(registry)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &Metrics{
		registry: registry,
		requests: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sallyport_http_request_duration_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method", "status"}),
		rows: counter("sallyport_swept_rows_total", "Expired rows that were deleted.", "table"),
		messages: counter("sallyport_messages_total", "Tries to deliver mail and to decide requests.",
			"kind", "outcome"),
		Waiting: with.NewGauge(prometheus.GaugeOpts{
			Name: "sallyport_messages_waiting", Help: "Messages that wait to be delivered or decided."}),
		Checks: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sallyport_check_ok", Help: "1 while what /readyz looks at is well."}, []string{"check"}),
		jobs: counter("sallyport_job_rounds_total", "Rounds of background jobs.", "job", "outcome"),
		panics: counter("sallyport_worker_panics_total",
			"Background jobs that panicked and were started again.", "worker"),
		tokens: counter("sallyport_token_requests_total",
			"Answers of the token endpoint; outcome is issued or the error's code.", "grant_type", "outcome"),
		refusals: counter("sallyport_refusals_total",
			"Errors of the protocol that were answered, by endpoint and code.", "route", "code"),
	}
}

// Handler serves the collectors in the format that Prometheus asks for. Errors go to errorLog.
func (m *Metrics) Handler(errorLog *log.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: errorLog})
}

// ObserveRequest records an answered request.
func (m *Metrics) ObserveRequest(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}

// TokenRequest counts an answer of the token endpoint.
func (m *Metrics) TokenRequest(grantType, outcome string) {
	m.tokens.WithLabelValues(grantType, outcome).Inc()
}

// Refused counts an error of the protocol that was answered.
func (m *Metrics) Refused(endpoint, code string) { m.refusals.WithLabelValues(endpoint, code).Inc() }

// MessageTried counts a try to deliver an outbox message.
func (m *Metrics) MessageTried(kind, outcome string) { m.messages.WithLabelValues(kind, outcome).Inc() }

// JobRan counts a round of a background job.
func (m *Metrics) JobRan(job, outcome string) {
	m.jobs.WithLabelValues(job, outcome).Inc()
	if outcome == jobs.Panicked {
		m.panics.WithLabelValues(job).Inc()
	}
}

// RowsSwept counts expired rows that were deleted from a table.
func (m *Metrics) RowsSwept(table string, rows int64) {
	m.rows.WithLabelValues(table).Add(float64(rows))
}
