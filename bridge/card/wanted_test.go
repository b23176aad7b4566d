package card

import (
	"maps"
	"testing"
	"time"

	"callbridge/bridge"
)

func TestWanted(t *testing.T) {
	t0 := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	at := func(s int) bridge.Time { return bridge.At(t0.Add(time.Duration(s) * time.Second)) }
	for _, tc := range []struct {
		name string
		call bridge.Call
		want map[string]State
	}{
		{"nobody rings yet: greeting or queue", bridge.Call{Direction: bridge.In}, nil},
		{"dialled but not ringing", bridge.Call{Direction: bridge.In, Legs: []bridge.Leg{{Extension: "101", DialledAt: at(0)}}}, nil},
		{"D-11 both members of a group", bridge.Call{Direction: bridge.In, Legs: []bridge.Leg{{Extension: "101", RingAt: at(1)}, {Extension: "102", RingAt: at(2)}}},
			map[string]State{"101": Ringing, "102": Ringing}},
		{"the first gave up, the second rings", bridge.Call{Direction: bridge.In, Legs: []bridge.Leg{
			{Extension: "101", RingAt: at(1), EndAt: at(5), Result: bridge.LegNoAnswer}, {Extension: "102", RingAt: at(6)}}},
			map[string]State{"102": Ringing}},
		{"D-10 a colleague answered and the hang-up was never told", bridge.Call{Direction: bridge.In, AnsweredAt: at(3), Legs: []bridge.Leg{
			{Extension: "101", RingAt: at(1)}, {Extension: "102", RingAt: at(1), AnswerAt: at(3)}}},
			map[string]State{"102": Talking}},
		{"D-10 … and the talk is already over", bridge.Call{Direction: bridge.In, AnsweredAt: at(3), Legs: []bridge.Leg{
			{Extension: "101", RingAt: at(1)}, {Extension: "102", RingAt: at(1), AnswerAt: at(3), EndAt: at(4)}}}, nil},
		{"transfer: the third phone rings while the first talks", bridge.Call{Direction: bridge.In, AnsweredAt: at(3), Legs: []bridge.Leg{
			{Extension: "101", RingAt: at(1), AnswerAt: at(3)}, {Extension: "103", RingAt: at(9)}}},
			map[string]State{"101": Talking, "103": Ringing}},
		{"on hold", bridge.Call{Direction: bridge.In, Legs: []bridge.Leg{{Extension: "101", RingAt: at(1), AnswerAt: at(3), Held: true}}},
			map[string]State{"101": OnHold}},
		{"rang out and rings again", bridge.Call{Direction: bridge.In, Legs: []bridge.Leg{
			{Extension: "101", RingAt: at(1), EndAt: at(5), Result: bridge.LegNoAnswer}, {Extension: "101", RingAt: at(7)}}},
			map[string]State{"101": Ringing}},
		{"over", bridge.Call{Direction: bridge.In, Outcome: bridge.Missed, Legs: []bridge.Leg{{Extension: "101", RingAt: at(1)}}}, nil},
		{"out, without a leg of its own", bridge.Call{Direction: bridge.Out, Agent: "101"}, map[string]State{"101": Dialling}},
		{"out, with a leg", bridge.Call{Direction: bridge.Out, Agent: "101", Legs: []bridge.Leg{{Extension: "101"}}}, map[string]State{"101": Dialling}},
		{"out, answered, without a leg", bridge.Call{Direction: bridge.Out, Agent: "101", AnsweredAt: at(4)}, map[string]State{"101": Talking}},
		{"out, answered", bridge.Call{Direction: bridge.Out, Agent: "101", AnsweredAt: at(4), Legs: []bridge.Leg{{Extension: "101", AnswerAt: at(4)}}},
			map[string]State{"101": Talking}},
		{"click: his own phone rings first", bridge.Call{Direction: bridge.Out, Agent: "101", ClickID: "x", Legs: []bridge.Leg{{Extension: "101", RingAt: at(0)}}},
			map[string]State{"101": Ringing}},
		{"click: he took it, the client rings", bridge.Call{Direction: bridge.Out, Agent: "101", ClickID: "x", Legs: []bridge.Leg{{Extension: "101", RingAt: at(0), AnswerAt: at(2)}}},
			map[string]State{"101": Dialling}},
		{"out, passed on: only who talks now", bridge.Call{Direction: bridge.Out, Agent: "101", AnsweredAt: at(4), Legs: []bridge.Leg{
			{Extension: "101", AnswerAt: at(4), EndAt: at(8)}, {Extension: "103", RingAt: at(8), AnswerAt: at(9)}}},
			map[string]State{"103": Talking}},
		{"internal: who is called", bridge.Call{Direction: bridge.Internal, Agent: "101", Legs: []bridge.Leg{{Extension: "102", RingAt: at(1)}}},
			map[string]State{"102": Ringing}},
		{"internal: both talk", bridge.Call{Direction: bridge.Internal, Agent: "101", AnsweredAt: at(2), Legs: []bridge.Leg{
			{Extension: "101"}, {Extension: "102", RingAt: at(1), AnswerAt: at(2)}}},
			map[string]State{"101": Talking, "102": Talking}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Wanted(&tc.call); !maps.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestInfoMergeReplacesOneIntegration(t *testing.T) {
	var i *Info
	i = i.merge(Info{LineName: "Сайт", Clients: []Client{{Integration: "a", Name: "old"}, {Integration: "b", Name: "other"}}})
	j := i.merge(Info{Clients: []Client{{Integration: "a", Name: "new"}}})
	if j.LineName != "Сайт" || len(j.Clients) != 2 || j.Clients[0].Name != "new" || j.Clients[1].Name != "other" {
		t.Errorf("merged to %+v", j)
	}
	if i.Clients[0].Name != "old" {
		t.Error("the older Info, which a browser may be reading, was changed")
	}
}
