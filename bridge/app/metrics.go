package app

import (
	"context"
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
	active      *prometheus.GaugeVec     // integration
	staffAt     *prometheus.GaugeVec     // integration: time of the last good sync
	staffSize   *prometheus.GaugeVec     // integration
	gaps        *prometheus.CounterVec   // pbx
	commitFails prometheus.Counter
	backlog     prometheus.Gauge
	overflows   *prometheus.CounterVec // pbx
	reconnects  *prometheus.CounterVec // pbx
	readerGap   prometheus.Histogram
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
		active:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callbridge_integration_active", Help: "1 if deliveries go to the integration, 0 if it is off or held."}, []string{"integration"}),
		staffAt:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callbridge_employee_sync_timestamp_seconds", Help: "Time of the last good list of employees; 0: none yet."}, []string{"integration"}),
		staffSize:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callbridge_employees", Help: "Extensions joined to a user of the CRM."}, []string{"integration"}),
		gaps:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_gaps_repaired_total", Help: "Gaps in the PBX's events after which calls were compared with what exists."}, []string{"pbx"}),
		commitFails: prometheus.NewCounter(prometheus.CounterOpts{Name: "callbridge_store_commit_failures_total", Help: "Failed attempts to store events; what could not be stored stays in memory and is tried again."}),
		backlog:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "callbridge_store_backlog_events", Help: "Events that wait in memory to be stored."}),
		overflows:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_pbx_overflows_total", Help: "Times the frames waiting to be decoded were too many and the link was given up and repaired."}, []string{"pbx"}),
		reconnects:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callbridge_pbx_reconnects_total", Help: "Times the link to the PBX was opened again."}, []string{"pbx"}),
		readerGap:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "callbridge_pbx_reader_seconds", Help: "Time the reader of the event socket spent between two reads.", Buckets: []float64{.00001, .0001, .0005, .001, .005, .01, .1}}),
	}
	reg.MustRegister(m.overflows, m.reconnects, m.readerGap, m.events, m.malformed, m.calls, m.routing, m.results, m.took, m.requests, m.active,
		m.staffAt, m.staffSize, m.gaps, m.commitFails, m.backlog,
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
	m.events.WithLabelValues(id, string(bridge.ChannelBegan))
}

// openIntegration makes the series of an integration exist at zero, so that
// alerts on rates work from the first error on.
func (m *metrics) openIntegration(id string) {
	m.active.WithLabelValues(id)
	m.staffAt.WithLabelValues(id)
	m.staffSize.WithLabelValues(id)
	m.took.WithLabelValues(id)
	for _, k := range bridge.ActionKinds() {
		m.results.WithLabelValues(id, string(k), string(bridge.Done))
		for _, f := range fault.Kinds() {
			m.results.WithLabelValues(id, string(k), f.String())
		}
	}
}

func (m *metrics) closeIntegration(id string) {
	l := prometheus.Labels{"integration": id}
	m.active.DeletePartialMatch(l)
	m.staffAt.DeletePartialMatch(l)
	m.staffSize.DeletePartialMatch(l)
	m.took.DeletePartialMatch(l)
	m.results.DeletePartialMatch(l)
	m.requests.DeletePartialMatch(l)
}

// Delivered and Held make metrics a deliver.Observer.
func (m *metrics) Delivered(integration string, kind bridge.ActionKind, result string, took time.Duration) {
	m.results.WithLabelValues(integration, string(kind), result).Inc()
	m.took.WithLabelValues(integration).Observe(took.Seconds())
}

func (m *metrics) Held(integration, reason string) {
	if reason == "auth" {
		m.active.WithLabelValues(integration).Set(0)
	}
}

func (m *metrics) request(integration, op string, code int) {
	m.requests.WithLabelValues(integration, op, strconv.Itoa(code)).Inc()
}

// gauges asks the store when Prometheus asks us: states of the ledger, the
// oldest waiting row and the equation that must balance.
type gauges struct {
	read       func(ctx context.Context) (ledgerNow, error)
	pbxs       func() []pbxNow
	deliveries *prometheus.Desc
	oldest     *prometheus.Desc
	imbalance  *prometheus.Desc
	connected  *prometheus.Desc
	lastEvent  *prometheus.Desc
	up         *prometheus.Desc
}

type ledgerNow struct {
	counts    map[string]map[bridge.DeliveryState]int64 // integration → state → rows
	oldest    map[string]time.Duration
	imbalance int64
}

type pbxNow struct {
	id        string
	connected bool
	age       time.Duration // since the last event
}

func newGauges(read func(context.Context) (ledgerNow, error), pbxs func() []pbxNow) *gauges {
	return &gauges{read: read, pbxs: pbxs,
		deliveries: prometheus.NewDesc("callbridge_deliveries", "Rows of the ledger by state.", []string{"integration", "state"}, nil),
		oldest:     prometheus.NewDesc("callbridge_delivery_oldest_waiting_seconds", "Age of the oldest row that waits.", []string{"integration"}, nil),
		imbalance:  prometheus.NewDesc("callbridge_ledger_imbalance", "Planned actions that have no row, or rows nobody planned; must be 0.", nil, nil),
		connected:  prometheus.NewDesc("callbridge_pbx_connected", "1 if events come in from the PBX.", []string{"pbx"}, nil),
		lastEvent:  prometheus.NewDesc("callbridge_pbx_last_event_age_seconds", "Time since the last event of the PBX.", []string{"pbx"}, nil),
		up:         prometheus.NewDesc("callbridge_store_readable", "1 if the ledger could be read for this scrape.", nil, nil),
	}
}

func (g *gauges) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.deliveries, g.oldest, g.imbalance, g.connected, g.lastEvent, g.up} {
		c <- d
	}
}

func (g *gauges) Collect(c chan<- prometheus.Metric) {
	for _, p := range g.pbxs() {
		up := 0.0
		if p.connected {
			up = 1
		}
		c <- prometheus.MustNewConstMetric(g.connected, prometheus.GaugeValue, up, p.id)
		c <- prometheus.MustNewConstMetric(g.lastEvent, prometheus.GaugeValue, p.age.Seconds(), p.id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	now, err := g.read(ctx)
	if err != nil {
		// A database in trouble must not hide the other metrics.
		c <- prometheus.MustNewConstMetric(g.up, prometheus.GaugeValue, 0)
		return
	}
	c <- prometheus.MustNewConstMetric(g.up, prometheus.GaugeValue, 1)
	for id, states := range now.counts {
		for _, s := range bridge.DeliveryStates() {
			c <- prometheus.MustNewConstMetric(g.deliveries, prometheus.GaugeValue, float64(states[s]), id, string(s))
		}
		c <- prometheus.MustNewConstMetric(g.oldest, prometheus.GaugeValue, now.oldest[id].Seconds(), id)
	}
	c <- prometheus.MustNewConstMetric(g.imbalance, prometheus.GaugeValue, float64(now.imbalance))
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
