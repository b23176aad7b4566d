package load

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run measured. Times are milliseconds.
type Report struct {
	Options map[string]any `json:"options"`
	Machine string         `json:"machine"`
	At      time.Time      `json:"at"`
	Load1   float64        `json:"load_average"` // of the whole machine, this run included

	StartMS int64   `json:"start_ms"`
	RestMB  float64 `json:"rest_mb"`

	Calls        int     `json:"calls"`
	Frames       int     `json:"frames"`
	CallsPerSec  float64 `json:"calls_per_s"`
	FramesPerSec float64 `json:"frames_per_s"`
	LateP99MS    float64 `json:"load_late_p99_ms"` // how late this program itself was

	Cards        int     `json:"cards"`
	CardsMissing int     `json:"cards_missing"`
	CardP50MS    float64 `json:"card_p50_ms"`
	CardP95MS    float64 `json:"card_p95_ms"`
	CardP99MS    float64 `json:"card_p99_ms"`
	CardMaxMS    float64 `json:"card_max_ms"`

	StoredPerSec float64 `json:"stored_events_per_s"`
	BacklogMax   int     `json:"backlog_max_events"`
	BacklogEnd   int     `json:"backlog_end_events"`

	Deliveries       int     `json:"deliveries"`
	DeliveriesPerSec float64 `json:"deliveries_per_s"`
	DeliveredCallsPS float64 `json:"delivered_calls_per_s"`
	Undelivered      int     `json:"undelivered"`
	DrainS           float64 `json:"drain_s"` // from the last call's end until everything was delivered
	Requests         int64   `json:"crm_requests"`
	RequestsPerCall  float64 `json:"crm_requests_per_call"`
	CRMCalls         int     `json:"crm_calls"`
	CRMTwice         int     `json:"crm_calls_twice"`
	Imbalance        int64   `json:"ledger_imbalance"`

	Held       int     `json:"held,omitempty"`         // deliveries that waited for the activation
	ResendS    float64 `json:"resend_s,omitempty"`     // from the activation until nothing was open
	LimitS     float64 `json:"limit_s,omitempty"`      // what the CRM's own limit dictates for the same requests
	FreshP99MS float64 `json:"fresh_p99_ms,omitempty"` // cards of calls that came meanwhile

	CPUSeconds    float64 `json:"cpu_s"`
	CPUShare      float64 `json:"cpu_share"` // of one core, while calls came
	CPUPerCallMS  float64 `json:"cpu_per_call_ms"`
	PeakMB        float64 `json:"peak_mb"`
	BytesPerAgent float64 `json:"bytes_per_agent"`
	ConnectS      float64 `json:"connect_s"`
	ReconnectS    float64 `json:"reconnect_s,omitempty"`
	Ended         int     `json:"agents_ended"` // connections the daemon closed

	ReaderOver1ms int     `json:"reader_over_1ms"` // reads that began more than 1 ms after the one before was done
	Reads         int     `json:"reads"`
	RouteP50MS    float64 `json:"route_p50_ms"`
	RouteP99MS    float64 `json:"route_p99_ms"`
	RouteMaxMS    float64 `json:"route_max_ms"`
	RouteFailed   int     `json:"route_failed"`

	Missed []string `json:"missed,omitempty"` // bounds that were not kept
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quantile of a sorted list.
func quantile(list []time.Duration, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	return ms(list[min(len(list)-1, int(q*float64(len(list))))])
}

func (r *Report) latency(took []time.Duration) {
	r.CardP50MS, r.CardP95MS, r.CardP99MS, r.CardMaxMS = quantile(took, .5), quantile(took, .95), quantile(took, .99), quantile(took, 1)
}

// Print writes the table.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	row := func(what, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", what, fmt.Sprintf(format, args...)) }
	row("machine", "%s; load average %.1f", r.Machine, r.Load1)
	row("start to ready, memory at rest", "%d ms, %.0f MB", r.StartMS, r.RestMB)
	row("calls", "%d, %.1f/s, %.0f ARI events/s (this program late by p99 %.1f ms)", r.Calls, r.CallsPerSec, r.FramesPerSec, r.LateP99MS)
	row("ARI frame to card on the socket", "p50 %.1f  p95 %.1f  p99 %.1f  max %.1f ms (%d cards, %d missing)", r.CardP50MS, r.CardP95MS, r.CardP99MS, r.CardMaxMS, r.Cards, r.CardsMissing)
	row("stored", "%.0f events/s; backlog at most %d, at the end of the calls %d", r.StoredPerSec, r.BacklogMax, r.BacklogEnd)
	row("deliveries", "%d, %.0f/s, of %.1f calls/s; %d left after %.1f s", r.Deliveries, r.DeliveriesPerSec, r.DeliveredCallsPS, r.Undelivered, r.DrainS)
	row("CRM requests", "%d, %.2f per call; %d calls in CRMs, %d twice; imbalance %d", r.Requests, r.RequestsPerCall, r.CRMCalls, r.CRMTwice, r.Imbalance)
	if r.Held > 0 {
		row("resend", "%d held, delivered with the calls that came meanwhile in %.1f s; the CRM's limit dictates %.1f s; cards meanwhile p99 %.1f ms", r.Held, r.ResendS, r.LimitS, r.FreshP99MS)
	}
	row("daemon", "%.1f s CPU (%.0f %% of a core while calls came, %.2f ms per call), peak %.0f MB", r.CPUSeconds, 100*r.CPUShare, r.CPUPerCallMS, r.PeakMB)
	row("agents", "%.1f KB each; connected in %.1f s, again in %.1f s; %d dropped by the daemon", r.BytesPerAgent/1024, r.ConnectS, r.ReconnectS, r.Ended)
	row("ARI reader", "%d of %d reads came more than 1 ms after the one before was done", r.ReaderOver1ms, r.Reads)
	row("routing answer", "p50 %.1f  p99 %.1f  max %.1f ms, %d without an answer", r.RouteP50MS, r.RouteP99MS, r.RouteMaxMS, r.RouteFailed)
	for _, m := range r.Missed {
		row("MISSED", "%s", m)
	}
	return t.Flush()
}

// Bound compares what was measured with what was asked for.
func (r *Report) Bound(what string, got, most float64, unit string) {
	if most > 0 && got > most {
		r.Missed = append(r.Missed, fmt.Sprintf("%s: %.1f %s, at most %.1f was asked for", what, got, unit, most))
	}
}

// AtLeast is Bound the other way round.
func (r *Report) AtLeast(what string, got, least float64, unit string) {
	if least > 0 && got < least {
		r.Missed = append(r.Missed, fmt.Sprintf("%s: %.1f %s, at least %.1f was asked for", what, got, unit, least))
	}
}

func describe(o Options) map[string]any {
	mix := make([]string, 0, len(o.Mix))
	for _, m := range o.Mix {
		mix = append(mix, fmt.Sprintf("%s=%d", m.Scenario, m.Weight))
	}
	db := "sqlite"
	if strings.HasPrefix(o.Database, "postgres") {
		db = "postgres"
	}
	return map[string]any{"rate": o.Rate, "duration": o.Duration.String(), "agents": o.Agents, "mix": strings.Join(mix, ","), "speed": o.Speed,
		"crms": slices.Clone(o.CRMs), "crm_rate": o.CRMRate, "faults": o.Faults, "resend": o.Resend, "routes": o.Routes, "database": db,
		"cores": runtime.NumCPU()}
}

// Always holds the run against what no load may break.
func (r *Report) Always() {
	if r.Imbalance != 0 {
		r.Missed = append(r.Missed, fmt.Sprintf("the ledger is out of balance by %d", r.Imbalance))
	}
	// A CRM that keeps nothing cannot be looked into, so after a fault a call
	// comes again; `make prove` is the place to count doubles.
	if r.CRMTwice > 0 && r.Options["faults"] == 0.0 {
		r.Missed = append(r.Missed, fmt.Sprintf("%d calls came into a CRM twice", r.CRMTwice))
	}
	if r.Undelivered > 0 {
		r.Missed = append(r.Missed, fmt.Sprintf("%d deliveries were still open at the end", r.Undelivered))
	}
}
