package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"callbridge/bridge"
)

// Stats is what the overview counts of one stretch of time.
type Stats struct {
	Slots []SlotCount `json:"slots"`
	Waits []WaitCount `json:"waits"`
	// Missed clients of inbound calls, and how many of them somebody has
	// talked to since.
	Missed   int64 `json:"missed_clients"`
	Returned int64 `json:"returned_clients"`
	// Latency lists how many ms after the event cards were on the screen, rising.
	Latency []int64 `json:"-"`
}

// SlotCount is how many calls began in one slot with one outcome.
type SlotCount struct {
	Slot      int              `json:"slot"`
	Direction bridge.Direction `json:"direction"`
	Outcome   bridge.Outcome   `json:"outcome"`
	Count     int64            `json:"count"`
}

// WaitCount is how many inbound calls waited up to one of WaitLimits.
type WaitCount struct {
	Bucket  int            `json:"bucket"`
	Outcome bridge.Outcome `json:"outcome"`
	Count   int64          `json:"count"`
}

// WaitLimits are the bounds of the waiting times that are counted.
func WaitLimits() []time.Duration {
	return []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, 2 * time.Minute}
}

// statsFor is how long counts are believed: many tabs ask, one query answers.
const statsFor = 10 * time.Second

// statsCache keeps the counts of the two stretches the overview shows.
type statsCache struct {
	mu   sync.Mutex
	list map[string]cachedStats
}

type cachedStats struct {
	at    time.Time
	stats Stats
}

// stretch is the time the overview shows.
type stretch struct {
	name     string // day, week
	from, to time.Time
	slot     time.Duration
	labels   []string
	step     int
}

func (s *server) stretch(r *http.Request, now time.Time) stretch {
	zone := s.zone(r)
	at := now.In(zone)
	if r.URL.Query().Get("period") == "week" {
		y, m, d := at.Date()
		x := stretch{name: "week", from: time.Date(y, m, d-6, 0, 0, 0, 0, zone), slot: 24 * time.Hour, step: 1}
		for i := range 7 {
			x.labels = append(x.labels, x.from.AddDate(0, 0, i).Format("02.01"))
		}
		x.to = x.from.Add(7 * 24 * time.Hour)
		return x
	}
	y, m, d := at.Date()
	last := time.Date(y, m, d, at.Hour(), 0, 0, 0, zone)
	x := stretch{name: "day", from: last.Add(-23 * time.Hour), slot: time.Hour, step: 3}
	for i := range 24 {
		x.labels = append(x.labels, x.from.Add(time.Duration(i)*time.Hour).In(zone).Format("15"))
	}
	x.to = x.from.Add(24 * time.Hour)
	return x
}

func (s *server) stats(ctx context.Context, x stretch) (Stats, error) {
	if s.d.Stats == nil {
		return Stats{}, nil
	}
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	key := x.name + x.from.String()
	if c, ok := s.counts.list[key]; ok && time.Since(c.at) < statsFor {
		return c.stats, nil
	}
	got, err := s.d.Stats(ctx, x.from, x.to, x.slot)
	if err != nil {
		return got, err
	}
	if len(s.counts.list) > 2*zoneMost || s.counts.list == nil {
		s.counts.list = map[string]cachedStats{}
	}
	s.counts.list[key] = cachedStats{time.Now(), got}
	return got, nil
}

// overview is the console's first page.
type overview struct {
	PBXs         []PBX
	Integrations []Integration
	Missing      []string
	Live         []bridge.Call
	Calls        []bridge.Call
	Query        url.Values
	Plots        []plot
	Period       string
	Imbalance    int64
	Agents       int
	Alarms       []Alarm
}

func (s *server) overviewPage(w http.ResponseWriter, r *http.Request) error {
	l := s.language(r)
	o := overview{Query: r.URL.Query(), Agents: s.d.Hub.Connected()}
	q, err := s.callQuery(r, 10)
	if err != nil {
		return err
	}
	if s.d.PBXs != nil {
		o.PBXs = s.d.PBXs()
	}
	if s.d.Missing != nil {
		o.Missing = s.d.Missing(r.Context())
	}
	if o.Integrations, err = s.integrations(r.Context()); err != nil {
		return err
	}
	rows, _, _, err := s.balance(r)
	if err != nil {
		return err
	}
	for _, x := range rows {
		n := x.Imbalance()
		o.Imbalance += max(n, -n)
	}
	p := s.page(r, l.t("console.overview"), nil)
	p.Section = "overview"
	part := r.URL.Query().Get("part")
	if part != "plots" {
		if o.Alarms, err = s.alarms(r.Context(), l); err != nil {
			return err
		}
		o.Live = unnamed(r.Context(), s.d.Live())
		slices.SortFunc(o.Live, func(a, b bridge.Call) int { return b.StartedAt.Compare(a.StartedAt.Time) })
	}
	if part != "live" {
		x := s.stretch(r, time.Now())
		o.Period = x.name
		st, err := s.stats(r.Context(), x)
		if err != nil {
			return err
		}
		o.Plots = s.plots(l, x, st, rows)
		if o.Calls, _, err = s.d.Calls.Calls(r.Context(), q); err != nil {
			return err
		}
		o.Calls = unnamed(r.Context(), o.Calls)
	}
	p.Data = o
	switch part {
	case "live", "plots":
		return s.render(w, part, p)
	}
	return s.render(w, "overview.html", p)
}

// plots draws what was counted.
func (s *server) plots(l lang, x stretch, st Stats, rows []LedgerRow) []plot {
	return []plot{callsPlot(l, x, st), missedPlot(l, st), waitPlot(l, st), latencyPlot(l, st), ledgerPlot(l, rows)}
}

func callsPlot(l lang, x stretch, st Stats) plot {
	n := len(x.labels)
	list := []series{{"good", l.t("outcome.answered"), make([]int64, n)}, {"bad", l.t("outcome.missed"), make([]int64, n)}, {"off", l.t("outcome.failed"), make([]int64, n)}}
	for _, c := range st.Slots {
		i := map[bridge.Outcome]int{bridge.Answered: 0, bridge.Missed: 1, bridge.Failed: 2}[c.Outcome]
		if c.Slot >= 0 && c.Slot < n && c.Outcome != "" {
			list[i].values[c.Slot] += c.Count
		}
	}
	sum := total(list[0].values) + total(list[1].values) + total(list[2].values)
	p := plot{ID: "calls", Title: l.t("plot.calls." + x.name), Big: fmt.Sprint(sum), Empty: sum == 0}
	p.SVG = bars(p.Title, x.labels, x.step, list...)
	for _, s := range list {
		p.Legend = append(p.Legend, legend{s.class, s.name, fmt.Sprint(total(s.values))})
	}
	p.table(l.t("plot.slot."+x.name), x.labels, list...)
	return p
}

func missedPlot(l lang, st Stats) plot {
	open := st.Missed - st.Returned
	list := []series{{"good", l.t("plot.returned"), []int64{st.Returned}}, {"bad", l.t("plot.open"), []int64{open}}}
	p := plot{ID: "missed", Title: l.t("plot.missed"), Big: fmt.Sprint(open), Note: l.t("plot.missed.note"), Empty: st.Missed == 0}
	p.SVG = strip(p.Title, list...)
	for _, s := range list {
		p.Legend = append(p.Legend, legend{s.class, s.name, fmt.Sprint(s.values[0])})
	}
	return p
}

func waitPlot(l lang, st Stats) plot {
	limits := WaitLimits()
	var labels []string
	for _, d := range limits {
		labels = append(labels, "<"+secs(l, d))
	}
	labels = append(labels, "≥"+secs(l, limits[len(limits)-1]))
	list := []series{{"good", l.t("plot.talked"), make([]int64, len(labels))}, {"bad", l.t("plot.gaveup"), make([]int64, len(labels))}}
	var quick int64
	for _, w := range st.Waits {
		i := 1
		if w.Outcome == bridge.Answered {
			i = 0
			if w.Bucket <= 2 {
				quick += w.Count
			}
		}
		if w.Bucket >= 0 && w.Bucket < len(labels) {
			list[i].values[w.Bucket] += w.Count
		}
	}
	all := total(list[0].values) + total(list[1].values)
	p := plot{ID: "wait", Title: l.t("plot.wait"), Note: l.t("plot.wait.note"), Empty: all == 0}
	if all > 0 {
		p.Big = fmt.Sprintf("%d %%", quick*100/all)
	}
	p.SVG = bars(p.Title, labels, 1, list...)
	for _, s := range list {
		p.Legend = append(p.Legend, legend{s.class, s.name, fmt.Sprint(total(s.values))})
	}
	p.table(l.t("console.wait"), labels, list...)
	return p
}

// secs writes a round length: 20 s, 2 min.
func secs(l lang, d time.Duration) string {
	if d >= time.Minute {
		return fmt.Sprintf("%d %s", int(d/time.Minute), l.t("plot.min"))
	}
	return fmt.Sprintf("%d %s", int(d/time.Second), l.t("plot.s"))
}

func latencyPlot(l lang, st Stats) plot {
	limits := []int64{10, 20, 50, 100, 250, 1000}
	labels := []string{"<10", "<20", "<50", "<100", "<250", "<1000", "≥1000"}
	s := series{"good", l.t("plot.cards"), make([]int64, len(labels))}
	for _, ms := range st.Latency {
		i := slices.IndexFunc(limits, func(n int64) bool { return ms < n })
		if i < 0 {
			i = len(limits)
		}
		s.values[i]++
	}
	p := plot{ID: "latency", Title: l.t("plot.latency"), Empty: len(st.Latency) == 0}
	if n := len(st.Latency); n > 0 {
		at := func(share float64) int64 { return st.Latency[min(n-1, int(share*float64(n)))] }
		p.Big = fmt.Sprintf("%d %s", at(.5), l.t("console.ms"))
		p.Note = strings.NewReplacer("{p95}", fmt.Sprint(at(.95)), "{p99}", fmt.Sprint(at(.99))).Replace(l.t("plot.latency.note"))
	}
	p.SVG = bars(p.Title, labels, 1, s)
	p.Legend = []legend{{s.class, s.name, fmt.Sprint(len(st.Latency))}}
	p.table(l.t("console.ms"), labels, s)
	return p
}

// ledgerPlot shows what became of what the rules wanted.
func ledgerPlot(l lang, rows []LedgerRow) plot {
	groups := []struct {
		class  string
		states []bridge.DeliveryState
	}{{"good", []bridge.DeliveryState{bridge.Done}}, {"part", []bridge.DeliveryState{bridge.Waiting, bridge.Trying, bridge.Held}},
		{"bad", []bridge.DeliveryState{bridge.Refused, bridge.Expired}}, {"off", []bridge.DeliveryState{bridge.Skipped}}}
	sums := map[bridge.DeliveryState]int64{}
	var planned int64
	for _, r := range rows {
		planned += r.Planned
		for k, v := range r.States {
			sums[k] += v
		}
	}
	p := plot{ID: "ledger", Title: l.t("plot.ledger"), Note: l.t("plot.ledger.note"), Empty: planned == 0, Head: []string{l.t("console.state"), l.t("plot.number")}}
	var list []series
	for _, g := range groups {
		var n int64
		var names []string
		for _, st := range g.states {
			n += sums[st]
			names = append(names, l.t("delivery."+string(st)))
			p.Rows = append(p.Rows, []string{l.t("delivery." + string(st)), fmt.Sprint(sums[st])})
		}
		x := series{g.class, strings.Join(names, ", "), []int64{n}}
		list = append(list, x)
		p.Legend = append(p.Legend, legend{x.class, x.name, fmt.Sprint(n)})
	}
	p.Big = fmt.Sprint(sums[bridge.Done])
	p.SVG = strip(p.Title, list...)
	return p
}

func (s *server) apiStats(w http.ResponseWriter, r *http.Request) error {
	x := s.stretch(r, time.Now())
	st, err := s.stats(r.Context(), x)
	if err != nil {
		return err
	}
	out := map[string]any{"from": bridge.At(x.from), "to": bridge.At(x.to), "slot_seconds": int(x.slot / time.Second), "slots": append([]SlotCount{}, st.Slots...),
		"waits": append([]WaitCount{}, st.Waits...), "missed_clients": st.Missed, "returned_clients": st.Returned, "cards": len(st.Latency)}
	var limits []int64
	for _, d := range WaitLimits() {
		limits = append(limits, d.Milliseconds())
	}
	out["wait_limits_ms"] = limits
	if n := len(st.Latency); n > 0 {
		out["card_ms"] = map[string]int64{"p50": st.Latency[n/2], "p95": st.Latency[min(n-1, n*95/100)], "p99": st.Latency[min(n-1, n*99/100)]}
	}
	writeJSON(w, 200, out)
	return nil
}

// callsView is the list of calls with its search.
type callsView struct {
	Calls []bridge.Call
	Query url.Values
	Next  string
	Lines []bridge.Line
	Staff []bridge.Employee
	Any   bool // something is searched for
}

func (s *server) callsPage(w http.ResponseWriter, r *http.Request) error {
	q, err := s.callQuery(r, 50)
	if err != nil {
		return err
	}
	v := callsView{Query: r.URL.Query()}
	for k, x := range v.Query {
		v.Any = v.Any || k != "limit" && k != "before" && x[0] != ""
	}
	if s.d.Names != nil {
		v.Lines, v.Staff = s.d.Names()
	}
	if v.Calls, v.Next, err = s.d.Calls.Calls(r.Context(), q); err != nil {
		return err
	}
	p := s.page(r, s.language(r).t("console.calls"), v)
	p.Section = "calls"
	return s.render(w, "calls.html", p)
}
