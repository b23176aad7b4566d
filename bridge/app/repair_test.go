package app

import (
	"context"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/pbx/ari"
	"callbridge/pbx/ari/aristream"
	"callbridge/pbx/cdr"
	"callbridge/store"
)

// recorded are the first events of a recorded call, up to the first of a kind.
func recorded(t *testing.T, scenario string, until bridge.EventKind) []bridge.Event {
	t.Helper()
	lines, err := aristream.Load(scenario)
	if err != nil {
		t.Fatal(err)
	}
	dec := ari.NewDecoder(ari.DecodeOptions{PBX: "office", Trunks: []string{"trunk"}})
	var out []bridge.Event
	for _, l := range lines {
		if l.Event == nil {
			continue
		}
		e, useful, err := dec.Decode(l.Event)
		if err != nil {
			t.Fatal(err)
		}
		if useful && e.Kind != bridge.RouteAsked { // nobody waits for the answer
			out = append(out, e)
		}
		if e.Kind == until {
			return out
		}
	}
	t.Fatalf("%s has no %s", scenario, until)
	return nil
}

// stored waits until the call is in the store as wanted.
func (b *bureau) stored(what string, is func(bridge.Call) bool) bridge.Call {
	b.t.Helper()
	var last []bridge.Call
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
		b.writer.flush()
		calls, _, err := b.db.Calls(b.t.Context(), store.CallFilter{Limit: 10})
		if err != nil {
			b.t.Fatal(err)
		}
		if last = calls; len(calls) == 1 && is(calls[0]) {
			return calls[0]
		}
	}
	b.t.Fatalf("not: %s: %+v", what, last)
	return bridge.Call{}
}

// TestF02LateCallLog: the log tells of a call an hour after the gap, when the
// tracker has forgotten it: the same call is corrected, not a second one made,
// and the gap that is shown says so.
func TestF02LateCallLog(t *testing.T) {
	b := openBureau(t, bureauSeed(), nil)
	events := recorded(t, "in_answered", bridge.DialRinging)
	for _, e := range events {
		b.core.emit(e)
	}
	ring := events[len(events)-1]
	rung := b.stored("the call rings", func(c bridge.Call) bool { return len(c.Rang) == 1 })

	var records []cdr.Record
	p := &phoneSystem{id: "office", channel: asteriskChannel(ari.Config{ID: "office", Trunks: []string{"trunk"}}),
		log: func(context.Context, bridge.Time, bridge.Time) ([]cdr.Record, error) { return records, nil }}
	after := func(d time.Duration) bridge.Time { return bridge.At(ring.At.Add(d)) }
	lost := bridge.Event{ID: "lost", PBX: "office", Kind: bridge.LinkLost, At: after(10 * time.Second), From: ring.At, To: after(10 * time.Second)}
	up := bridge.Event{ID: "up", PBX: "office", Kind: bridge.LinkUp, At: after(10 * time.Second), Snapshot: &bridge.Snapshot{StartedAt: bridge.At(ring.At.Add(-time.Hour))}}
	b.core.emit(lost)
	b.writer.flush()
	g := gap{p: p, from: lost.From, to: up.At, now: up.Snapshot}
	if err := b.whatLived(&g); err != nil {
		t.Fatal(err)
	}
	found, err := b.readLog(&g)
	if err != nil || len(found.Unknown) != 1 {
		t.Fatalf("the log tells %+v, %v", found, err)
	}
	b.core.emitTogether([]bridge.Event{up})
	g.settle(found)
	b.stored("what became of it is unknown", func(c bridge.Call) bool { return c.Outcome == bridge.Missed && c.Reason == bridge.ReasonUnknown })

	// An hour of other traffic, and the tracker knows it no more.
	for i := range 3 {
		b.core.emit(bridge.Event{ID: "later" + string(rune('a'+i)), PBX: "office", Kind: bridge.ChannelEnded, At: after(time.Duration(i+1) * time.Hour), Leg: &bridge.Channel{ID: "x"}})
	}
	row := map[string]string{"src": "79161234567", "dst": "74951234567", "channel": ring.Leg.Name, "dstchannel": ring.Peer.Name, "disposition": "ANSWERED",
		"start": rung.StartedAt.Format("2006-01-02 15:04:05"), "answer": after(2 * time.Second).Format("2006-01-02 15:04:05"), "end": after(7 * time.Second).Format("2006-01-02 15:04:05"),
		"uniqueid": ring.Leg.ID, "linkedid": ring.Leg.Group, "lastapp": "Dial", "sequence": "1"}
	record, err := cdr.Parse(row, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	records = append(records, record)
	b.readLate(&g, found)
	got := b.stored("the log's word counts", func(c bridge.Call) bool { return c.Outcome == bridge.Answered })
	if got.ID != rung.ID || len(got.AnsweredBy) != 1 || got.AnsweredBy[0] != "101" || len(got.Gaps) != 1 || got.Gaps[0].Reason != "call_log" {
		t.Errorf("the call is %+v, want %s answered by 101, from the log", got, rung.ID)
	}
	if open := b.core.liveCalls(); len(open) != 0 {
		t.Errorf("%d calls are open", len(open))
	}
	gaps, err := b.db.Gaps(t.Context(), ring.At.Add(-time.Hour))
	if err != nil || len(gaps) != 1 || gaps[0].From != ring.At || gaps[0].Calls != 1 {
		t.Errorf("the gaps shown are %+v, %v", gaps, err)
	}
}

// TestD29EndThatWasNeverTold: the link is there, but the PBX dropped the end of
// the call. It is asked what there is, and the call ends, saying so.
func TestD29EndThatWasNeverTold(t *testing.T) {
	b := openBureau(t, bureauSeed(), nil)
	for _, e := range recorded(t, "in_answered", bridge.DialAnswered) {
		b.core.emit(e)
	}
	talking := b.stored("they talk", func(c bridge.Call) bool { return !c.AnsweredAt.IsZero() })
	if len(silentCalls(b.core.liveCalls(), "office", talking.AnsweredAt.Add(time.Minute))) != 0 {
		t.Error("a talk of a minute is taken for a silent call")
	}
	asked := bridge.At(talking.AnsweredAt.Add(10 * time.Minute))
	if silent := silentCalls(b.core.liveCalls(), "office", asked.Time); len(silent) != 1 {
		t.Fatalf("%d calls are silent, want 1", len(silent))
	}
	b.core.emit(bridge.Event{ID: "watched:1", PBX: "office", Kind: bridge.LinkUp, Value: bridge.Watched, At: asked,
		Snapshot: &bridge.Snapshot{StartedAt: bridge.At(talking.StartedAt.Add(-time.Hour))}})
	got := b.stored("it is over", func(c bridge.Call) bool { return c.Ended() })
	if got.Outcome != bridge.Answered || len(got.Gaps) != 1 || got.Gaps[0].Reason != "not_told" || len(got.Unknown) == 0 {
		t.Errorf("%s, gaps %v, unknown %v", got.Outcome, got.Gaps, got.Unknown)
	}
}
