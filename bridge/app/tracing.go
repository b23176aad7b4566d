package app

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/trace"
	"callbridge/bridge/track"
	"callbridge/store"
)

// stages is when events passed the stages of the call path; nothing is noted
// where calls are not followed.
type stages struct {
	on                      bool
	arrived, tracked, shown time.Time
	began                   time.Time // of the tracker's work
}

func (c *core) stages(arrived time.Time) *stages {
	s := &stages{on: c.trace != nil, arrived: arrived}
	s.passed(&s.began)
	return s
}

func (s *stages) passed(at *time.Time) {
	if s.on {
		*at = time.Now()
	}
}

// follow adds what the events just did to the traces of their calls: how long
// they waited, the tracker, the cards, the rules. It returns the places under
// which the store's part belongs.
func (c *core) follow(s *stages, events []bridge.Event, changes []track.Change, b *store.Batch) []trace.Mark {
	if c.trace == nil {
		return nil
	}
	ruled := time.Now()
	var marks []trace.Mark
	for i := range changes {
		ch := &changes[i]
		call := &ch.Call
		attrs := []trace.Attr{trace.Text("pbx", call.PBX), trace.Flag("changed", ch.Changed())}
		for _, e := range events {
			if slices.Contains(ch.Events, e.ID) {
				attrs = append(attrs, trace.Text("event", string(e.Kind)))
			}
		}
		for _, young := range ch.Merged {
			attrs = append(attrs, trace.Text("merged", trace.ID(young)))
		}
		ctx := c.trace.Past(c.trace.Call(context.Background(), call.ID), "event", s.arrived, ruled, attrs...)
		c.trace.Past(ctx, "track", s.began, s.tracked)
		if ch.Changed() {
			c.trace.Past(ctx, "cards", s.tracked, s.shown, trace.Number("ringing", len(ch.Rings())))
			wanted, skipped := 0, 0
			for _, d := range b.Deliveries {
				switch {
				case d.CallID != call.ID:
				case d.Action.Wanted:
					wanted++
				default:
					skipped++
				}
			}
			c.trace.Past(ctx, "rules", s.shown, ruled, trace.Number("wanted", wanted), trace.Number("skipped", skipped))
		}
		marks = append(marks, trace.MarkOf(ctx))
		if ch.Ended() {
			c.trace.Ended(call.ID, call.StartedAt.Time, call.EndedAt.Time, trace.Text("pbx", call.PBX), trace.Text("direction", string(call.Direction)),
				trace.Text("outcome", string(call.Outcome)), trace.Text("reason", string(call.Reason)), trace.Number("legs", len(call.Legs)),
				trace.Number("transfers", len(call.Transfers)), trace.Number("gaps", len(call.Gaps)))
		}
	}
	return marks
}

// followAttempts follows each attempt of a delivery in the trace of its call.
func (a *App) followAttempts() func(context.Context, *bridge.Delivery) (context.Context, func(bridge.DeliveryState, string)) {
	tr := a.opts.Trace
	if tr == nil {
		return nil
	}
	return func(ctx context.Context, d *bridge.Delivery) (context.Context, func(bridge.DeliveryState, string)) {
		ctx, span := tr.Start(tr.Call(ctx, d.CallID), "delivery "+string(d.Action.Kind), false, trace.Text("integration", d.Integration),
			trace.Text("delivery", strconv.FormatInt(d.ID, 10)), trace.Number("attempt", d.Attempts+1), trace.Flag("look", d.Look), trace.Flag("backlog", d.Backlog))
		return ctx, func(state bridge.DeliveryState, kind string) {
			span.Say(trace.Text("state", string(state)))
			span.End(kind)
		}
	}
}

// followRequests follows each request to a CRM under what it was made for.
func (a *App) followRequests(integration string) func(context.Context, string, string) (context.Context, func(int, error)) {
	tr := a.opts.Trace
	if tr == nil {
		return nil
	}
	return func(ctx context.Context, op, id string) (context.Context, func(int, error)) {
		ctx, span := tr.Start(ctx, "crm "+op, true, trace.Text("integration", integration), trace.Text("request", id))
		return ctx, func(code int, err error) {
			span.Say(trace.Number("http_status", code))
			span.End(failed(err))
		}
	}
}

// spanCounters tell how many spans the collector has taken.
func spanCounters(tr *trace.Tracer) []prometheus.Collector {
	counter := func(result string, n func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "callbridge_trace_spans_total", ConstLabels: prometheus.Labels{"result": result},
			Help: "Spans of traces, by what became of them: sent to the collector, or lost because it did not take them."}, func() float64 { return float64(n()) })
	}
	return []prometheus.Collector{counter("sent", func() uint64 { n, _ := tr.Counts(); return n }), counter("lost", func() uint64 { _, n := tr.Counts(); return n })}
}

// failed is the kind of an error: what a CRM says in words may name the client.
func failed(err error) string {
	if err == nil {
		return ""
	}
	return fault.KindOf(err).String()
}
