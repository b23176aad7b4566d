package cdr_test

import (
	"slices"
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/track"
	"callbridge/pbx/cdr"
)

// A program that dies again and again leaves several gaps, and records that
// come when it is dead. A call that nobody knows is added from any of them,
// one that is known besides is not, and without an id nobody can say.
func TestF02CallsOfEarlierGaps(t *testing.T) {
	all := bench(t, "07:27:00")
	first := "bench-1795332463.0" // 07:27:43 to 07:27:46
	in := cdr.Input{PBX: "office", From: at("07:27:50"), To: at("07:27:51.500"), Records: all, Channel: channel}
	added := func() []string { return cdr.Events(in).Added }
	if got := added(); slices.Contains(got, first) || !slices.Contains(got, "bench-1795332467.2") {
		t.Errorf("%v: the second call ended in the gap and nobody knows it, the first was before", got)
	}
	in.Earlier = []cdr.Span{{From: at("07:27:44"), To: at("07:27:45")}}
	if got := added(); !slices.Contains(got, first) {
		t.Errorf("%v: the first was in the gap before", got)
	}
	in.Whole = map[string]bool{first: true}
	if got := added(); slices.Contains(got, first) {
		t.Errorf("%v: the first is known", got)
	}
	for i := range in.Records {
		in.Records[i].ID, in.Records[i].Group = "", ""
	}
	in.Whole, in.Earlier = nil, nil
	if got := added(); slices.Contains(got, "PJSIP/trunk-00000002") {
		t.Errorf("%v: who has no id and began before the gap was seen then", got)
	}
}

// An open call is closed by its record even if that lies before this gap; and
// what was not so when we last saw it happened later, whatever the log says:
// the caller of a menu was answered by the menu.
func TestF02RecordOfAnOpenCallCountsAlways(t *testing.T) {
	seen := begun(false)
	in := cdr.Input{PBX: "office", From: at("07:29:00"), To: at("07:29:01"), Records: bench(t, "07:27:00")[:1], Channel: channel,
		Open: []cdr.Seen{{CallID: "X", Events: seen}}, Earlier: []cdr.Span{{From: at("07:27:43.500"), To: at("07:28:59")}}}
	in.Records[0].Answer = at("07:27:41")
	r := cdr.Events(in)
	if !slices.Equal(r.Closed, []string{"X"}) || len(r.Added)+len(r.Unknown) != 0 {
		t.Fatalf("added %v, closed %v, unknown %v", r.Added, r.Closed, r.Unknown)
	}
	calls := track.Calls(slices.Concat(seen, r.Events), track.Options{})
	if len(calls) != 1 || calls[0].Outcome != bridge.Answered || calls[0].AnsweredAt.Before(at("07:27:43.420").Time) || calls[0].EndedAt != at("07:27:46") {
		t.Errorf("%+v", calls)
	}
}

// What the dialplan said of one channel does not come before what it said of
// the call, because the log's times are cut.
func TestF02LogSaysNothingForTheDialplan(t *testing.T) {
	seen := begun(true)
	seen[1].Peer.Dir = "internal"
	r := cdr.Events(cdr.Input{PBX: "office", From: at("07:27:45.100"), To: at("07:27:46.900"), Records: bench(t, "07:27:45.100"), Channel: channel,
		Open: []cdr.Seen{{CallID: "X", Events: seen}}})
	for _, e := range r.Events {
		if e.Leg.Dir != "" || e.Peer != nil && e.Peer.Dir != "" {
			t.Errorf("%+v", e)
		}
	}
}
