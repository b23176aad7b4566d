package track_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
)

// script writes the events of calls nobody recorded.
type script struct {
	events []bridge.Event
	now    bridge.Time
	chans  map[string]bridge.Channel
}

func newScript() *script {
	return &script{now: bridge.At(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)), chans: map[string]bridge.Channel{}}
}

// at moves the clock to so many milliseconds after the beginning.
func (s *script) at(ms int) *script {
	s.now = bridge.At(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond))
	return s
}

func (s *script) add(e bridge.Event) *script {
	e.ID, e.PBX, e.At = fmt.Sprintf("e%03d", len(s.events)), "office", s.now
	s.events = append(s.events, e)
	return s
}

func (s *script) c(id string) *bridge.Channel {
	if id == "" {
		return nil
	}
	c := s.chans[id]
	return &c
}

// begin makes a channel: "trunk", an extension, or a helper "Local".
func (s *script) begin(id, end string, incoming bool, number, exten string) *script {
	c := bridge.Channel{ID: id, Number: number, Exten: exten, Since: s.now, Incoming: incoming, State: "down"}
	if incoming {
		c.State = "ring"
	}
	switch {
	case end == "Local":
		c.Helper, c.Pair = true, exten
	case len(end) <= 4:
		c.Extension = end
	default:
		c.Trunk = end
	}
	s.chans[id] = c
	return s.add(bridge.Event{Kind: bridge.ChannelBegan, Leg: s.c(id)})
}

func (s *script) app(id, app, data string) *script {
	c := s.chans[id]
	c.App, c.AppData = app, data
	s.chans[id] = c
	return s
}

func (s *script) dial(kind bridge.EventKind, from, to string) *script {
	return s.add(bridge.Event{Kind: kind, Leg: s.c(from), Peer: s.c(to)})
}

func (s *script) dialled(from, to, ext, number string) *script {
	return s.begin(to, ext, false, number, "s").dial(bridge.Dialling, from, to)
}

func (s *script) noAnswer(from, to, result string, cause int) *script {
	return s.add(bridge.Event{Kind: bridge.DialEnded, Leg: s.c(from), Peer: s.c(to), Result: result}).gone(to, cause)
}

func (s *script) up(id string) *script {
	c := s.chans[id]
	c.State, c.Incoming = "up", false
	s.chans[id] = c
	return s.add(bridge.Event{Kind: bridge.ChannelUp, Leg: s.c(id)})
}

func (s *script) hang(id string, cause int) *script {
	return s.add(bridge.Event{Kind: bridge.Hangup, Leg: s.c(id), Cause: cause})
}

func (s *script) gone(id string, cause int) *script {
	return s.add(bridge.Event{Kind: bridge.ChannelEnded, Leg: s.c(id), Cause: cause})
}

// one returns the only call, which must be the same in any order.
func (s *script) one(t *testing.T) bridge.Call {
	t.Helper()
	calls := track.Calls(s.events, opts)
	if len(calls) != 1 {
		t.Fatalf("%d calls: %+v", len(calls), calls)
	}
	back := slices.Clone(s.events)
	slices.Reverse(back)
	if again := track.Calls(back, opts); len(again) != 1 || !track.Equal(&again[0], &calls[0]) {
		t.Fatalf("another call from the same events backwards: %+v", again)
	}
	return calls[0]
}

func in(s *script) *script {
	return s.begin("t.1", "trunk", true, "79161234567", "74951234567")
}

func check(t *testing.T, c bridge.Call, dir bridge.Direction, outcome bridge.Outcome, reason bridge.Reason, by bridge.Side, answered ...string) {
	t.Helper()
	if c.Direction != dir || c.Outcome != outcome || c.Reason != reason || c.HungUpBy != by || !slices.Equal(c.AnsweredBy, answered) {
		t.Errorf("got %s %s %q, hung up by %q, answered by %v; want %s %s %q %q %v",
			c.Direction, c.Outcome, c.Reason, c.HungUpBy, c.AnsweredBy, dir, outcome, reason, by, answered)
	}
}

// D-01: what the queue and the menu ended with never decides over the talk.
func TestD01LegOrderNeverDecides(t *testing.T) {
	s := in(newScript()).up("t.1").app("t.1", "Queue", "sales,t,,,20")
	s.at(100).dialled("t.1", "p.2", "101", "101").dial(bridge.DialRinging, "t.1", "p.2")
	s.at(5000).noAnswer("t.1", "p.2", bridge.DialNoAnswer, 0)
	s.at(5100).dialled("t.1", "p.3", "102", "102").dial(bridge.DialRinging, "t.1", "p.3")
	s.at(7000).dial(bridge.DialAnswered, "t.1", "p.3")
	s.at(9000).hang("t.1", 16).gone("t.1", 16).gone("p.3", 16)
	c := s.one(t)
	check(t, c, bridge.In, bridge.Answered, "", bridge.ByClient, "102")
	if c.Queue != "sales" || *c.WaitMS != 7000 || *c.TalkMS != 2000 || c.Legs[0].Result != bridge.LegNoAnswer {
		t.Errorf("%+v", c)
	}
}

// D-02: a queue with many agents whom nobody reaches is one missed call.
func TestD02QueueIsOneMissedCall(t *testing.T) {
	s := in(newScript()).up("t.1").app("t.1", "Queue", "sales")
	for round := range 3 {
		for i, x := range []string{"101", "102", "103"} {
			id := fmt.Sprintf("p.%d", 10*round+i)
			s.at(round*5000+100).dialled("t.1", id, x, x).dial(bridge.DialRinging, "t.1", id)
			s.at(round*5000+4000).noAnswer("t.1", id, bridge.DialNoAnswer, 0)
		}
	}
	s.at(14500).hang("t.1", 0).gone("t.1", 0)
	c := s.one(t)
	check(t, c, bridge.In, bridge.Missed, bridge.AbandonedQueue, bridge.ByClient)
	if !slices.Equal(c.Rang, []string{"101", "102", "103"}) || len(c.Legs) != 9 {
		t.Errorf("rang %v, %d legs", c.Rang, len(c.Legs))
	}
}

func TestD05CallerLeavesTheMenu(t *testing.T) {
	s := in(newScript()).up("t.1").app("t.1", "BackGround", "menu")
	s.at(3000).hang("t.1", 16).gone("t.1", 16)
	check(t, s.one(t), bridge.In, bridge.Missed, bridge.AbandonedIVR, bridge.ByClient)
}

func TestD06VoicemailIsMissed(t *testing.T) {
	s := in(newScript())
	s.at(100).dialled("t.1", "p.2", "101", "101").dial(bridge.DialRinging, "t.1", "p.2")
	s.at(5000).noAnswer("t.1", "p.2", bridge.DialNoAnswer, 0)
	s.up("t.1").app("t.1", "VoiceMail", "101@default,u")
	s.at(20000).hang("t.1", 16).gone("t.1", 16)
	check(t, s.one(t), bridge.In, bridge.Missed, bridge.Voicemail, bridge.ByClient)
}

// D-21, D-22: the direction is fixed by the first leg, whatever comes later.
func TestD21FailedOutgoingStaysOutgoing(t *testing.T) {
	s := newScript().begin("p.1", "101", true, "101", "89161234567")
	s.at(10).dialled("p.1", "t.2", "trunk", "89161234567")
	s.at(900).hang("t.2", 17).noAnswer("p.1", "t.2", bridge.DialBusy, 17)
	s.at(910).gone("p.1", 17)
	c := s.one(t)
	check(t, c, bridge.Out, bridge.Failed, bridge.Busy, bridge.ByClient)
	if c.Agent != "101" || c.ClientRaw != "89161234567" {
		t.Errorf("%+v", c)
	}
}

func TestSpareLineAnswersAfterTheFirstFailed(t *testing.T) {
	s := newScript().begin("p.1", "101", true, "101", "79161234567")
	s.at(10).dialled("p.1", "t.2", "trunk1", "79161234567")
	s.at(50).hang("t.2", 34).noAnswer("p.1", "t.2", bridge.DialCongestion, 34)
	s.at(60).dialled("p.1", "t.3", "trunk2", "79161234567").dial(bridge.DialRinging, "p.1", "t.3")
	s.at(2060).dial(bridge.DialAnswered, "p.1", "t.3")
	s.at(4060).hang("p.1", 16).gone("p.1", 16).gone("t.3", 16)
	check(t, s.one(t), bridge.Out, bridge.Answered, "", bridge.ByAgent, "101")
}

func TestPhonesRefuseAndTheCallerHearsIt(t *testing.T) {
	s := in(newScript())
	s.at(100).dialled("t.1", "p.2", "101", "101").dialled("t.1", "p.3", "102", "102").dial(bridge.DialRinging, "t.1", "p.2")
	s.at(500).noAnswer("t.1", "p.3", bridge.DialBusy, 17)
	s.at(1500).hang("p.2", 21).noAnswer("t.1", "p.2", bridge.DialNoAnswer, 21)
	s.at(9000).hang("t.1", 16).gone("t.1", 16) // after a busy tone
	check(t, s.one(t), bridge.In, bridge.Missed, bridge.Busy, bridge.ByClient)
}

func TestOneOfTwoRefusesThenTheCallerLeaves(t *testing.T) {
	s := in(newScript())
	s.at(100).dialled("t.1", "p.2", "101", "101").dialled("t.1", "p.3", "102", "102")
	s.at(200).dial(bridge.DialRinging, "t.1", "p.2").dial(bridge.DialRinging, "t.1", "p.3")
	s.at(900).hang("p.2", 21).noAnswer("t.1", "p.2", bridge.DialNoAnswer, 21)
	s.at(3000).hang("t.1", 0).noAnswer("t.1", "p.3", bridge.DialCancelled, 0).gone("t.1", 0)
	check(t, s.one(t), bridge.In, bridge.Missed, bridge.CallerHungUp, bridge.ByClient)
}

// A client who is connected to two colleagues already talking is the call.
func TestClientJoinsAnOlderInternalCall(t *testing.T) {
	s := newScript().begin("p.1", "101", true, "101", "103")
	s.at(10).dialled("p.1", "p.2", "103", "103").dial(bridge.DialRinging, "p.1", "p.2")
	s.at(1000).dial(bridge.DialAnswered, "p.1", "p.2")
	s.at(5000).begin("t.3", "trunk", true, "79161234567", "74951234567")
	s.at(5010).dialled("t.3", "p.4", "101", "101").dial(bridge.DialRinging, "t.3", "p.4")
	s.at(7000).dial(bridge.DialAnswered, "t.3", "p.4")
	s.at(9000).add(bridge.Event{Kind: bridge.AttendedXfer, Leg: s.c("p.1"), Result: bridge.TransferDone,
		More: []bridge.Channel{*s.c("p.4"), *s.c("p.2"), *s.c("t.3")}})
	s.at(9010).gone("p.1", 16).gone("p.4", 16)
	s.at(15000).hang("p.2", 16).gone("p.2", 16).gone("t.3", 16)
	c := s.one(t)
	check(t, c, bridge.In, bridge.Answered, "", bridge.ByAgent, "101", "103")
	if c.Client != "+79161234567" || len(c.Transfers) != 1 || c.Transfers[0].To != "103" || !c.Transfers[0].Answered {
		t.Errorf("%+v", c)
	}
}

// Click-to-call as FreePBX does it: a helper pair dials the phone.
func TestOriginateThroughHelpers(t *testing.T) {
	s := newScript().begin("l.1", "Local", false, "", "pair").begin("l.2", "Local", true, "", "pair")
	s.at(5).dial(bridge.Dialling, "", "l.1").dialled("l.2", "p.3", "101", "101").dial(bridge.DialRinging, "l.2", "p.3")
	s.at(1000).dial(bridge.DialAnswered, "l.2", "p.3").dial(bridge.DialAnswered, "", "l.1")
	s.at(1010).dialled("l.1", "t.4", "trunk", "79161234567").dial(bridge.DialRinging, "l.1", "t.4")
	s.at(3000).dial(bridge.DialAnswered, "l.1", "t.4").gone("l.1", 16).gone("l.2", 16)
	s.at(8000).hang("t.4", 16).gone("t.4", 16).gone("p.3", 16)
	c := s.one(t)
	if c.Direction != bridge.Out || c.Outcome != bridge.Answered || !slices.Equal(c.AnsweredBy, []string{"101"}) || *c.TalkMS != 5000 {
		t.Errorf("%+v", c)
	}
}

// TestLiveState: a card must know who rings, who talks and what is held.
func TestLiveState(t *testing.T) {
	s := in(newScript())
	s.at(100).dialled("t.1", "p.2", "101", "101").dialled("t.1", "p.3", "102", "102")
	s.at(200).dial(bridge.DialRinging, "t.1", "p.2").dial(bridge.DialRinging, "t.1", "p.3")
	s.at(2000).dial(bridge.DialAnswered, "t.1", "p.3")
	s.at(2001).noAnswer("t.1", "p.2", bridge.DialCancelled, 26)
	s.at(3000).add(bridge.Event{Kind: bridge.HoldBegan, Leg: s.c("p.3")})
	s.at(4000).add(bridge.Event{Kind: bridge.HoldEnded, Leg: s.c("p.3")})
	s.at(5000).hang("t.1", 16).gone("t.1", 16).gone("p.3", 16)
	tr := track.New(opts)
	var got []string
	for _, e := range s.events {
		for _, c := range tr.Add(e) {
			note := ""
			if c.New() {
				note += " new"
			}
			if r := c.Rings(); r != nil {
				note += fmt.Sprint(" rings", r)
			}
			if r := c.Stopped(); r != nil {
				note += fmt.Sprint(" stopped", r)
			}
			if c.Answered() {
				note += " answered"
			}
			for _, l := range c.Call.Legs {
				if l.Held {
					note += " held[" + l.Extension + "]"
				}
			}
			if c.Ended() {
				note += " ended"
			}
			if note != "" {
				got = append(got, note[1:])
			}
			if (c.Call.Outcome == "") == c.Call.Ended() || c.Call.Ended() == c.Call.EndedAt.IsZero() {
				t.Errorf("outcome %q, ended at %v", c.Call.Outcome, c.Call.EndedAt)
			}
		}
	}
	want := []string{"new", "rings[101]", "rings[102]", "stopped[102] answered", "stopped[101]", "held[102]", "ended"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if tr.CallOf("office", "p.3") == "" || tr.CallOf("other", "p.3") != "" {
		t.Error("CallOf")
	}
}

// D-29: no call stays open for ever after the link was lost.
func TestD29CallsThatAreGoneAfterAGapEnd(t *testing.T) {
	ring := func() *script {
		s := in(newScript())
		return s.at(100).dialled("t.1", "p.2", "101", "101").dial(bridge.DialRinging, "t.1", "p.2")
	}
	back := func(s *script, started int, chans ...bridge.Channel) *script {
		from := s.now
		s.at(60000)
		to := s.now
		s.add(bridge.Event{Kind: bridge.LinkLost, From: from, To: to})
		return s.add(bridge.Event{Kind: bridge.LinkUp, Snapshot: &bridge.Snapshot{StartedAt: bridge.Time{Time: to.Add(time.Duration(started) * time.Millisecond)}, Channels: chans}})
	}
	t.Run("while it rang", func(t *testing.T) {
		c := back(ring(), -86400000).one(t)
		check(t, c, bridge.In, bridge.Missed, bridge.ReasonUnknown, "")
		if len(c.Gaps) != 1 || c.Gaps[0].Reason != track.GapLinkLost || *c.WaitMS != 100 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("the PBX was started anew", func(t *testing.T) {
		c := back(ring(), -5000).one(t)
		check(t, c, bridge.In, bridge.Missed, bridge.PBXRestarted, "")
		if len(c.Gaps) != 1 || c.Gaps[0].Reason != track.GapRestarted {
			t.Errorf("%+v", c.Gaps)
		}
	})
	t.Run("while they talked", func(t *testing.T) {
		s := ring()
		s.at(2000).dial(bridge.DialAnswered, "t.1", "p.2")
		check(t, back(s, -86400000).one(t), bridge.In, bridge.Answered, "", "", "101")
	})
	t.Run("it goes on", func(t *testing.T) {
		s := ring()
		back(s, -86400000, *s.c("t.1"), *s.c("p.2"))
		if c := s.one(t); c.Ended() || len(c.Gaps) != 1 {
			t.Errorf("%+v", c)
		}
		s.at(61000).dial(bridge.DialAnswered, "t.1", "p.2")
		s.at(62000).hang("t.1", 16).gone("t.1", 16).gone("p.2", 16)
		check(t, s.one(t), bridge.In, bridge.Answered, "", bridge.ByClient, "101")
	})
	t.Run("the link alone was lost", func(t *testing.T) {
		s := ring()
		s.at(3000).add(bridge.Event{Kind: bridge.LinkLost, Value: "overflow"})
		if c := s.one(t); c.Ended() || len(c.Gaps) != 1 || c.Gaps[0].Reason != "overflow" || !c.Gaps[0].To.IsZero() {
			t.Errorf("%+v", c)
		}
	})
	t.Run("told by the tracker", func(t *testing.T) {
		tr := track.New(opts)
		ended := 0
		for _, e := range back(ring(), -86400000).events {
			for _, c := range tr.Add(e) {
				if c.Ended() {
					ended++
				}
			}
		}
		if ended != 1 || len(tr.Open()) != 0 {
			t.Errorf("%d ended, %d open", ended, len(tr.Open()))
		}
	})
}

// Two PBXs may give the same ids.
func TestPBXsAreKeptApart(t *testing.T) {
	s := in(newScript())
	s.at(3000).hang("t.1", 16).gone("t.1", 16)
	both := slices.Clone(s.events)
	for _, e := range s.events {
		e.PBX = "shop"
		both = append(both, e)
	}
	calls := track.Calls(both, opts)
	if len(calls) != 2 || calls[0].ID == calls[1].ID || len(calls[0].ID) != 26 {
		t.Errorf("%+v", calls)
	}
}

func TestNumbers(t *testing.T) {
	for raw, want := range map[string]bridge.Number{"79161234567": "+79161234567", "+79161234567": "+79161234567",
		"anonymous": "", "": "", "101": "", "+7 (916) 123-45-67": "+79161234567", "00791612345678": "", "unknown": ""} {
		s := newScript().begin("t.1", "trunk", true, raw, "74951234567")
		s.at(10).gone("t.1", 21)
		c := s.one(t)
		if c.Client != want || c.ClientRaw != raw {
			t.Errorf("%q: client %q, raw %q", raw, c.Client, c.ClientRaw)
		}
	}
}

// TestMemoryIsBounded: what is over is forgotten, and late events of it do not
// make it again.
func TestMemoryIsBounded(t *testing.T) {
	tr := track.New(opts)
	before := heap()
	for day := range 5 {
		for _, e := range traffic(t, 600, true) {
			e.At = bridge.Time{Time: e.At.Add(time.Duration(day) * time.Hour)}
			e.ID = fmt.Sprint(day, e.ID)
			again := func(c *bridge.Channel) {
				c.ID, c.Since = fmt.Sprint(day, c.ID), bridge.Time{Time: c.Since.Add(time.Duration(day) * time.Hour)}
				if c.Group != "" {
					c.Group = fmt.Sprint(day, c.Group)
				}
			}
			for _, c := range []*bridge.Channel{e.Leg, e.Peer} {
				if c != nil {
					again(c)
				}
			}
			for i := range e.More {
				if e.More[i].ID != "" {
					again(&e.More[i])
				}
			}
			e.Members = nil
			tr.Add(e)
		}
		if n := len(tr.Open()); n != 0 {
			t.Fatalf("%d calls open", n)
		}
	}
	tr.Add(bridge.Event{ID: "x", PBX: "office", Kind: bridge.ChannelEnded, At: bridge.AtMilli(1795323683000 + 30*3600*1000), Leg: &bridge.Channel{ID: "late"}})
	if grown := heap() - before; grown > 2<<20 {
		t.Errorf("%d KB kept of calls that are over", grown>>10)
	}
	runtime.KeepAlive(tr)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
