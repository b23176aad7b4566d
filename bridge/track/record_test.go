package track_test

import (
	"slices"
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/track"
)

// place puts a channel somewhere in the dialplan.
func (s *script) place(id, context, exten string) *script {
	c := s.chans[id]
	c.Context, c.Exten = context, exten
	s.chans[id] = c
	return s
}

func (s *script) press(id, digit string) *script {
	return s.add(bridge.Event{Kind: bridge.DigitPressed, Leg: s.c(id), Value: digit})
}

func (s *script) enter(room string, members ...string) *script {
	return s.add(bridge.Event{Kind: bridge.RoomEntered, Leg: s.c(members[len(members)-1]), Room: room, Members: members})
}

func (s *script) recording(id, name string) *script {
	return s.add(bridge.Event{Kind: bridge.VariableSet, Name: "recording", Value: name, Leg: s.c(id)})
}

// The way through a menu is in the record, until somebody answers.
func TestPathThroughTheMenu(t *testing.T) {
	s := in(newScript()).place("t.1", "from-trunk", "74951234567")
	s.at(10).up("t.1")
	s.at(1000).place("t.1", "menu", "s").press("t.1", "2").place("t.1", "menu-sales", "s")
	s.at(3000).press("t.1", "1").place("t.1", "to-phones", "102")
	s.at(3100).dialled("t.1", "p.2", "102", "102").dial(bridge.DialRinging, "t.1", "p.2")
	s.at(5000).dial(bridge.DialAnswered, "t.1", "p.2")
	s.at(6000).press("t.1", "7") // no choice any more
	s.at(9000).hang("t.1", 16).gone("t.1", 16).gone("p.2", 16)
	var got []string
	for _, p := range s.one(t).Path {
		got = append(got, p.Context+"/"+p.Exten+p.Digit)
	}
	if want := []string{"/74951234567", "from-trunk/74951234567", "menu/s2", "menu-sales/s1", "to-phones/102"}; !slices.Equal(got, want) {
		t.Errorf("the way is %q, want %q", got, want)
	}
	s = in(newScript())
	s.at(100).dialled("t.1", "p.2", "101", "101").dial(bridge.DialRinging, "t.1", "p.2")
	s.at(2000).dial(bridge.DialAnswered, "t.1", "p.2")
	s.at(5000).hang("t.1", 16).gone("t.1", 16).gone("p.2", 16)
	if c := s.one(t); c.Path != nil {
		t.Errorf("a call without a menu has the way %v", c.Path)
	}
}

// A call that 102 takes from the parking place is his, although nobody dialled him.
func TestParkedCallIsTaken(t *testing.T) {
	s := in(newScript())
	s.at(100).dialled("t.1", "p.2", "101", "101").dial(bridge.DialRinging, "t.1", "p.2")
	s.at(2000).dial(bridge.DialAnswered, "t.1", "p.2")
	s.up("t.1").up("p.2").enter("r1", "p.2", "t.1")
	s.at(4000).add(bridge.Event{Kind: bridge.BlindTransfer, Leg: s.c("p.2"), Peer: s.c("t.1"), Dialled: "700", Result: bridge.TransferDone})
	s.gone("p.2", 16).add(bridge.Event{Kind: bridge.RoomEntered, Leg: s.c("t.1"), Room: "parking"})
	s.at(9000).begin("p.3", "102", true, "102", "701").up("p.3")
	s.at(9010).enter("r2", "p.3", "t.1")
	s.at(15000).hang("t.1", 16).gone("t.1", 16).gone("p.3", 16)
	c := s.one(t)
	check(t, c, bridge.In, bridge.Answered, "", bridge.ByClient, "101", "102")
	if c.TalkedFirst != "101" || c.TalkedLast != "102" || c.TalkedLongest != "102" || len(c.Transfers) != 1 || c.Transfers[0].To != "700" {
		t.Errorf("%+v", c)
	}
}

// D-03: each recording says whose talk it holds, if it is one's.
func TestD03RecordingsOfTheParts(t *testing.T) {
	s := in(newScript())
	s.at(50).recording("t.1", "first.wav")
	s.at(100).dialled("t.1", "p.2", "101", "101").dial(bridge.DialRinging, "t.1", "p.2")
	s.at(2000).dial(bridge.DialAnswered, "t.1", "p.2")
	s.at(4000).add(bridge.Event{Kind: bridge.BlindTransfer, Leg: s.c("p.2"), Peer: s.c("t.1"), Dialled: "103", Result: bridge.TransferDone}).gone("p.2", 16)
	s.at(4010).recording("t.1", "second.wav")
	s.at(4100).dialled("t.1", "p.3", "103", "103").dial(bridge.DialRinging, "t.1", "p.3")
	s.at(6000).dial(bridge.DialAnswered, "t.1", "p.3")
	s.at(8000).hang("t.1", 16).gone("t.1", 16).gone("p.3", 16)
	want := []bridge.Recording{{Name: "first.wav", Extension: "101"}, {Name: "second.wav", Extension: "103"}}
	if c := s.one(t); !slices.Equal(c.Recordings, want) {
		t.Errorf("recordings %v, want %v", c.Recordings, want)
	}
	whole := slices.DeleteFunc(slices.Clone(s.events), func(e bridge.Event) bool { return e.Value == "second.wav" })
	if c := track.Calls(whole, opts)[0]; len(c.Recordings) != 1 || c.Recordings[0].Extension != "" {
		t.Errorf("one file for both has %v", c.Recordings)
	}
}

// A call that others took over without a transfer that we saw says so.
func TestUnknownIsNamed(t *testing.T) {
	s := in(newScript())
	s.at(100).dialled("t.1", "p.2", "101", "101").dial(bridge.DialRinging, "t.1", "p.2")
	s.at(2000).dial(bridge.DialAnswered, "t.1", "p.2")
	s.at(4000).gone("p.2", 16).dialled("t.1", "p.3", "103", "103").dial(bridge.DialRinging, "t.1", "p.3")
	s.at(6000).dial(bridge.DialAnswered, "t.1", "p.3")
	s.at(8000).gone("t.1", 16).gone("p.3", 16)
	if c := s.one(t); !slices.Equal(c.Unknown, []string{"hung_up_by", "legs", "longest_talked", "recordings", "transfers"}) || c.HungUpBy != "" {
		t.Errorf("unknown %v, hung up by %q", c.Unknown, c.HungUpBy)
	}
}
