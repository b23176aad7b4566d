package app

import (
	"context"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"callbridge/bridge"
	"callbridge/store"
)

// gauges asks when Prometheus asks us: states of the ledger, the oldest waiting
// row, the equation that must balance, and how PBXs and integrations are.
type gauges struct {
	read         func(ctx context.Context) (ledgerNow, error)
	pbxs         func() []pbxNow
	integrations func() []integrationNow

	deliveries, oldest, imbalance, up                    *prometheus.Desc
	today                                                *prometheus.Desc
	connected, lastEvent                                 *prometheus.Desc
	active, held, staffAt, staffAge, staff, bad, refused *prometheus.Desc
}

type ledgerNow struct {
	counts    map[string]map[bridge.DeliveryState]int64 // integration → state → rows
	oldest    map[string]time.Duration
	imbalance int64
	today     []store.LedgerRow
}

type pbxNow struct {
	id        string
	connected bool
	age       time.Duration // since the last event, or since the start if none came
}

// integrationNow is what is known of an integration without asking anybody.
type integrationNow struct {
	id      string
	active  bool
	held    bool      // switched on, but the CRM refuses the credentials
	staffAt time.Time // of the last list of employees that was believed; zero: none yet
	// staffAge is the age of that list, or of the program if there was none.
	staffAge time.Duration
	staff    int  // extensions joined to a user
	issues   int  // that do not fit together
	refused  bool // the CRM's last list was empty or shrunken, the old one stays (D-07)
}

func newGauges(read func(context.Context) (ledgerNow, error), pbxs func() []pbxNow, integrations func() []integrationNow) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("callbridge_"+name, help, labels, nil)
	}
	return &gauges{read: read, pbxs: pbxs, integrations: integrations,
		deliveries: desc("deliveries", "Rows of the ledger by state.", "integration", "state"),
		oldest:     desc("delivery_oldest_waiting_seconds", "Age of the oldest row that waits.", "integration"),
		imbalance:  desc("ledger_imbalance", "Planned actions that have no row, or rows nobody planned; must be 0."),
		today:      desc("ledger_today", "The ledger of the present day: what came in (state planned) and where it stands.", "integration", "state"),
		up:         desc("store_readable", "1 if the ledger could be read for this scrape."),
		connected:  desc("pbx_connected", "1 if events come in from the PBX.", "pbx"),
		lastEvent:  desc("pbx_last_event_age_seconds", "Time since the last event of the PBX; since the start if there was none.", "pbx"),
		active:     desc("integration_active", "1 if deliveries go to the integration, 0 if it is off, held or cannot be opened.", "integration"),
		held:       desc("integration_held", "1 if the integration is switched on and the CRM has refused its credentials, so that everything for it waits.", "integration"),
		staffAt:    desc("employee_sync_timestamp_seconds", "Time of the last list of employees that was taken over; 0: none yet.", "integration"),
		staffAge:   desc("employee_sync_age_seconds", "Age of that list; since the start if there was none.", "integration"),
		staff:      desc("employees", "Extensions joined to a user of the CRM.", "integration"),
		bad:        desc("employee_issues", "Extensions and users that do not fit together.", "integration"),
		refused:    desc("employee_list_refused", "1 if the CRM's last list of employees was empty or had shrunken, so that the old one stays in force.", "integration"),
	}
}

// Describe and Collect make gauges a prometheus.Collector.
func (g *gauges) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.deliveries, g.oldest, g.imbalance, g.today, g.up, g.connected, g.lastEvent,
		g.active, g.held, g.staffAt, g.staffAge, g.staff, g.bad, g.refused} {
		c <- d
	}
}

// Collect sends everything of now.
func (g *gauges) Collect(c chan<- prometheus.Metric) {
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, p := range g.pbxs() {
		set(g.connected, one(p.connected), p.id)
		set(g.lastEvent, p.age.Seconds(), p.id)
	}
	for _, i := range g.integrations() {
		set(g.active, one(i.active), i.id)
		set(g.held, one(i.held), i.id)
		at := 0.0
		if !i.staffAt.IsZero() {
			at = float64(i.staffAt.UnixMilli()) / 1000
		}
		set(g.staffAt, at, i.id)
		set(g.staffAge, i.staffAge.Seconds(), i.id)
		set(g.staff, float64(i.staff), i.id)
		set(g.bad, float64(i.issues), i.id)
		set(g.refused, one(i.refused), i.id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	now, err := g.read(ctx)
	if err != nil {
		// A database in trouble must not hide the other metrics.
		set(g.up, 0)
		return
	}
	set(g.up, 1)
	for id, states := range now.counts {
		for _, s := range bridge.DeliveryStates() {
			set(g.deliveries, float64(states[s]), id, string(s))
		}
		set(g.oldest, now.oldest[id].Seconds(), id)
	}
	set(g.imbalance, float64(now.imbalance))
	for _, r := range now.today {
		set(g.today, float64(r.Planned), r.Integration, "planned")
		for _, s := range bridge.DeliveryStates() {
			set(g.today, float64(r.ByState[s]), r.Integration, string(s))
		}
	}
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// integrationsNow lists the integrations of the settings, those that could not
// be opened included.
func (a *App) integrationsNow() []integrationNow {
	settings := a.plan.Load().settings.Integrations
	out := make([]integrationNow, 0, len(settings))
	for _, in := range settings {
		n := integrationNow{id: in.ID}
		if t := a.targetOf(in.ID); t != nil {
			n.active = t.active && !t.held.Load()
			n.held = in.Active && (t.held.Load() || !t.accepted)
			n.staffAt = bridge.AtMilli(t.staffAt.Load()).Time
			n.refused = t.shrunken.Load()
			n.staffAge = time.Since(a.orBegan(n.staffAt))
			if m := t.staff.Load(); m != nil {
				n.staff, n.issues = m.Size(), len(m.Issues())
			}
		}
		out = append(out, n)
	}
	return out
}

// metricsHandler answers /metrics to those who show metrics.token, to
// everybody if there is none. The token in force is that of the last reload.
func (a *App) metricsHandler() http.Handler {
	next := promhttp.HandlerFor(a.reg, promhttp.HandlerOpts{Timeout: 10 * time.Second})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if want := a.live.Load().Metrics.Token.Reveal(); want != "" {
			kind, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if !strings.EqualFold(kind, "Bearer") || subtle.ConstantTimeCompare([]byte(strings.TrimSpace(got)), []byte(want)) != 1 {
				w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
				http.Error(w, "show metrics.token of the configuration as a bearer token", http.StatusUnauthorized)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// orBegan is t, or the start of the program for what never came: ages grow
// from there.
func (a *App) orBegan(t time.Time) time.Time {
	if t.IsZero() {
		return a.began
	}
	return t
}
