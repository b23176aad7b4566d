package track_test

import (
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
)

// While somebody still reads the PBX's call log, what is missing in the
// snapshot is not over; with the whole snapshot it is.
func TestPartialSnapshotEndsNothing(t *testing.T) {
	s := in(newScript())
	s.at(100).dialled("t.1", "p.2", "101", "101").dial(bridge.DialRinging, "t.1", "p.2")
	s.at(5000).add(bridge.Event{Kind: bridge.LinkLost, From: bridge.At(s.now.Add(-4 * time.Second)), To: s.now})
	s.add(bridge.Event{Kind: bridge.LinkUp, Snapshot: &bridge.Snapshot{Partial: true}})
	if c := s.one(t); c.Ended() {
		t.Errorf("%+v", c)
	}
	s.add(bridge.Event{Kind: bridge.LinkUp, Name: bridge.FromCallLog, Snapshot: &bridge.Snapshot{}})
	check(t, s.one(t), bridge.In, bridge.Missed, bridge.ReasonUnknown, "")
}

// The program comes back while a consultation is under way: what the dialplan
// said of that one says nothing of the call. Found by killing it under load.
func TestConsultationSeenBeforeItsCall(t *testing.T) {
	s := newScript()
	client := bridge.Channel{ID: "a.1", Group: "a.1", Trunk: "trunk", State: "up", Number: "79161234567", Exten: "74951234567", Dir: "in", Since: s.now}
	agent := bridge.Channel{ID: "a.2", Group: "a.1", Extension: "101", State: "up", Number: "101", Since: s.now}
	s.chans["a.1"], s.chans["a.2"] = client, agent
	s.at(2000).begin("a.3", "101", true, "101", "103")
	consult := s.chans["a.3"]
	consult.Group, consult.Dir = "a.3", "internal"
	s.chans["a.3"] = consult
	s.dialled("a.3", "a.4", "103", "103").dial(bridge.DialRinging, "a.3", "a.4")
	s.at(3000).dial(bridge.DialAnswered, "a.3", "a.4")
	s.at(4000).add(bridge.Event{Kind: bridge.AttendedXfer, Leg: s.c("a.2"), Result: bridge.TransferDone, More: []bridge.Channel{*s.c("a.3"), *s.c("a.1"), *s.c("a.4")}})
	s.gone("a.2", 16).gone("a.3", 16)
	s.at(9000).hang("a.1", 16).gone("a.1", 16).gone("a.4", 16)
	if c := s.one(t); c.Direction != bridge.In || c.Client != "+79161234567" {
		t.Errorf("%+v", c)
	}
}

// Of an outgoing call met in the middle, dialplan and line agree whom it is to.
func TestOutgoingCallMetInTheMiddle(t *testing.T) {
	s := newScript()
	a := bridge.Channel{ID: "p.1", Group: "p.1", Extension: "101", State: "up", Number: "74951234567", Exten: "79161234567", Dir: "out", Since: s.now}
	b := bridge.Channel{ID: "t.2", Group: "p.1", Trunk: "trunk", State: "up", Number: "79161234567", Other: "74951234567", Dir: "out", Since: s.now}
	s.chans["p.1"], s.chans["t.2"] = a, b
	s.at(1000).add(bridge.Event{Kind: bridge.LinkUp, Snapshot: &bridge.Snapshot{Channels: []bridge.Channel{a, b},
		Rooms: []bridge.Room{{ID: "r", Since: s.now, Members: []string{"p.1", "t.2"}}}}})
	s.at(3000).hang("p.1", 16).gone("p.1", 16).gone("t.2", 16)
	if c := s.one(t); c.Client != "+79161234567" || c.Outcome != bridge.Answered || c.Agent != "101" {
		t.Errorf("%+v", c)
	}
}

// The log cuts times to seconds, so that a call of it may lie in no gap; the
// record says all the same where it comes from.
func TestCallOfTheLogSaysSo(t *testing.T) {
	s := in(newScript())
	s.at(0).add(bridge.Event{Kind: bridge.ChannelEnded, Name: bridge.FromCallLog, Leg: s.c("t.1")})
	if c := s.one(t); len(c.Gaps) != 1 || c.Gaps[0].Reason != track.GapRepaired {
		t.Errorf("%+v", c.Gaps)
	}
}
