package app

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/bridge/fault"
)

// metrics are the series of design.md section 5 that no package of its own
// keeps. Labels come from closed lists or from the configuration; none carries
// a number, a name or an id without a bound.
type metrics struct {
	events      *prometheus.CounterVec   // pbx, kind
	malformed   *prometheus.CounterVec   // pbx
	calls       *prometheus.CounterVec   // direction, outcome
	routing     prometheus.Histogram     //
	results     *prometheus.CounterVec   // integration, action, result
	took        *prometheus.HistogramVec // integration
	requests    *prometheus.CounterVec   // integration, operation, code
	gaps        *prometheus.CounterVec   // pbx
	commitFails prometheus.Counter
	backlog     prometheus.Gauge
	overflows   *prometheus.CounterVec // pbx
	reconnects  *prometheus.CounterVec // pbx
	readerGap   prometheus.Histogram
	build       *prometheus.GaugeVec   // version
	reloaded    prometheus.Gauge       // 1: the configuration file was good when it was last read
	reloads     *prometheus.CounterVec // result
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		events:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_events_received_total", Help: "Events received from PBXs, by kind."}, []string{"pbx", "kind"}),
		malformed:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_events_malformed_total", Help: "Frames and bodies that could not be parsed; they are kept raw."}, []string{"pbx"}),
		calls:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_calls_total", Help: "Calls that ended, by direction and outcome."}, []string{"direction", "outcome"}),
		routing:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "callbridge_routing_seconds", Help: "Time to answer the PBX's question who should take a call.", Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2}}),
		results:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_delivery_attempts_total", Help: "Attempts to carry out an action, by result: the state reached, or the kind of error."}, []string{"integration", "action", "result"}),
		took:        prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "callbridge_delivery_seconds", Help: "Time of one attempt.", Buckets: prometheus.ExponentialBuckets(.005, 2.5, 11)}, []string{"integration"}),
		requests:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_crm_requests_total", Help: "Requests to CRMs, by operation and HTTP status (0: no answer)."}, []string{"integration", "operation", "code"}),
		gaps:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_gaps_repaired_total", Help: "Gaps in the PBX's events after which calls were compared with what exists."}, []string{"pbx"}),
		commitFails: prometheus.NewCounter(prometheus.CounterOpts{Name: "callbridge_store_commit_failures_total", Help: "Failed attempts to store events; what could not be stored stays in memory and is tried again."}),
		backlog:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "callbridge_store_backlog_events", Help: "Events that wait in memory to be stored."}),
		overflows:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_pbx_overflows_total", Help: "Times the frames waiting to be decoded were too many and the link was given up and repaired."}, []string{"pbx"}),
		reconnects:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_pbx_reconnects_total", Help: "Times the link to the PBX was opened again."}, []string{"pbx"}),
		readerGap:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "callbridge_pbx_reader_seconds", Help: "Time the reader of the event socket spent between two reads.", Buckets: []float64{.00001, .0001, .0005, .001, .005, .01, .1}}),
	}
	m.build = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callbridge_build_info", Help: "Always 1; the label tells the version."}, []string{"version"})
	m.reloaded = prometheus.NewGauge(prometheus.GaugeOpts{Name: "callbridge_config_last_reload_successful", Help: "1 if the configuration file could be used when it was last read."})
	m.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_config_reloads_total", Help: "Reloads of the configuration, by result."}, []string{"result"})
	m.reloaded.Set(1)
	m.reloads.WithLabelValues("done")
	m.reloads.WithLabelValues("refused")
	reg.MustRegister(m.overflows, m.reconnects, m.readerGap, m.events, m.malformed, m.calls, m.routing, m.results, m.took, m.requests,
		m.gaps, m.build, m.reloaded, m.reloads, m.commitFails, m.backlog,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, d := range []bridge.Direction{bridge.In, bridge.Out, bridge.Internal} {
		m.calls.WithLabelValues(string(d), string(bridge.Answered))
		if d == bridge.Out {
			m.calls.WithLabelValues(string(d), string(bridge.Failed))
		} else {
			m.calls.WithLabelValues(string(d), string(bridge.Missed))
		}
	}
	return m
}

// openPBX makes the series of a PBX exist at zero.
func (m *metrics) openPBX(id string) {
	m.malformed.WithLabelValues(id)
	m.gaps.WithLabelValues(id)
	m.overflows.WithLabelValues(id)
	m.reconnects.WithLabelValues(id)
	for _, k := range bridge.EventKinds() {
		m.events.WithLabelValues(id, string(k))
	}
}

// openIntegration makes the series of an integration exist at zero, so that
// alerts on rates work from the first error on.
func (m *metrics) openIntegration(id string) {
	m.took.WithLabelValues(id)
	for _, k := range bridge.ActionKinds() {
		for _, s := range []bridge.DeliveryState{bridge.Done, bridge.Skipped, bridge.Refused} {
			m.results.WithLabelValues(id, string(k), string(s))
		}
		for _, f := range fault.Kinds() {
			m.results.WithLabelValues(id, string(k), f.String())
		}
	}
}

func (m *metrics) closeIntegration(id string) {
	l := prometheus.Labels{"integration": id}
	m.took.DeletePartialMatch(l)
	m.results.DeletePartialMatch(l)
	m.requests.DeletePartialMatch(l)
}

// Delivered and Held make metrics a deliver.Observer.
func (m *metrics) Delivered(integration string, kind bridge.ActionKind, result string, took time.Duration) {
	m.results.WithLabelValues(integration, string(kind), result).Inc()
	m.took.WithLabelValues(integration).Observe(took.Seconds())
}

// Held does nothing: that an integration is held is read from its state.
func (m *metrics) Held(string, string) {}

// call counts a call that ended. What it says of itself comes from closed
// lists; a record that says anything else is counted as unknown.
func (m *metrics) call(d bridge.Direction, o bridge.Outcome) {
	switch d {
	case bridge.In, bridge.Out, bridge.Internal:
	default:
		d = "unknown"
	}
	switch o {
	case bridge.Answered, bridge.Missed, bridge.Failed:
	default:
		o = "unknown"
	}
	m.calls.WithLabelValues(string(d), string(o)).Inc()
}

// event counts what a PBX said; a kind that is not in the list is "unknown".
func (m *metrics) event(pbx string, k bridge.EventKind) {
	if !slices.Contains(bridge.EventKinds(), k) {
		k = bridge.UnknownEvent
	}
	m.events.WithLabelValues(pbx, string(k)).Inc()
}

func (m *metrics) request(integration, op string, code int) {
	if code < 100 || code > 599 {
		code = 0 // no answer, or none of HTTP
	}
	m.requests.WithLabelValues(integration, op, strconv.Itoa(code)).Inc()
}

// newCardMetrics makes what the hub counts.
func newCardMetrics(reg prometheus.Registerer) card.Metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "callbridge_event_to_card_seconds",
		Help:    "Time from the arrival of a PBX event to the card on the agent's socket.",
		Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1}})
	reg.MustRegister(latency)
	return card.Metrics{
		Sent:      counter("callbridge_cards_sent_total", "Cards written to browsers.").Inc,
		Confirmed: counter("callbridge_cards_confirmed_total", "Cards a browser said it has shown.").Inc,
		Dropped:   counter("callbridge_cards_dropped_total", "Browsers that read too slowly and were resynchronised.").Inc,
		Expired:   counter("callbridge_cards_expired_total", "Cards taken away because nothing was heard of their call any more.").Inc,
		Latency:   latency.Observe,
	}
}
