package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
	"callbridge/crm/sandbox"
	"callbridge/store"
)

const rcLine = "+74951234567"

// plays lets the rules and the CRM see a call at its moments.
func (f *firm) plays(moments ...bridge.Call) {
	f.t.Helper()
	var was bridge.Call
	for _, c := range moments {
		var b store.Batch
		f.core.collect(&track.Change{Call: c, Was: was}, &b)
		if c.Ended() {
			b.Events = []store.EventRow{{CallID: c.ID, Event: bridge.Event{ID: c.ID, PBX: "office", Kind: bridge.ChannelBegan, At: c.StartedAt, Seen: c.StartedAt}}}
		}
		f.writer.add(b)
		f.settle(5 * time.Second)
		was = c
	}
}

// begun is a call of a client with a phone that rings; its methods go on with it.
func begun(id string, d bridge.Direction, ext string) bridge.Call {
	now := bridge.At(time.Now())
	c := bridge.Call{ID: id, PBX: "office", Direction: d, Client: "+79161234567", ClientRaw: "89161234567", Line: rcLine, StartedAt: now,
		Rang: []string{ext}, Legs: []bridge.Leg{{Extension: ext, RingAt: now}}}
	if d == bridge.Out {
		c.Agent, c.Rang = ext, nil
	}
	return c
}

func answered(c bridge.Call, ext string) bridge.Call {
	c.Legs = slices.Clone(c.Legs)
	i := slices.IndexFunc(c.Legs, func(l bridge.Leg) bool { return l.Extension == ext })
	c.AnsweredAt = bridge.At(time.Now())
	c.Legs[i].AnswerAt = c.AnsweredAt
	c.AnsweredBy = []string{ext}
	return c
}

func ended(c bridge.Call, o bridge.Outcome, r bridge.Reason) bridge.Call {
	c.Legs = slices.Clone(c.Legs)
	now := bridge.At(time.Now())
	talk, wait := int64(83_400), int64(7_000)
	for i := range c.Legs {
		c.Legs[i].EndAt = now
	}
	c.EndedAt, c.Outcome, c.Reason, c.WaitMS = now, o, r, &wait
	if o == bridge.Answered {
		c.TalkMS = &talk
	}
	return c
}

func (f *firm) objectsOf(kind string) (out []sandbox.Object) {
	for _, o := range f.retail.Objects() {
		if o.Kind == kind && !o.Seed {
			out = append(out, o)
		}
	}
	return out
}

// TestR10MarksOfTheVisitOnClientAndOrder: where the client came from stands in
// the CRM's own source of client, order and call, and in the special fields
// that the admin picked.
func TestR10MarksOfTheVisitOnClientAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", func(s *bridge.Settings) {
			s.Lines = []bridge.Line{{Number: rcLine, Name: "Сайт", Source: map[string]string{"utm_source": "yandex", "utm_medium": "cpc", "utm_campaign": "osen",
				"utm_term": "шкаф", "utm_content": "a1"}}}
			c := &s.Integrations[1].Calls
			c.Fields = []bridge.FieldRule{{CRM: "customFields.reklama", From: "source.utm_campaign"}}
			c.Processes = []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: bridge.In}, Title: "Звонок", Fields: []bridge.FieldRule{
				{CRM: "customFields.metka", From: "source.utm_term"}, {CRM: "managerComment", From: "line.name"}}}}
		})
		defer f.close()
		c := answered(begun("utm", bridge.In, "101"), "101")
		f.plays(c, ended(c, bridge.Answered, ""))
		f.settle(time.Minute)
		want := map[string]string{"source": "yandex", "medium": "cpc", "campaign": "osen", "keyword": "шкаф", "content": "a1"}
		for kind, custom := range map[string]string{"contact": `"reklama":"osen"`, "deal": `"metka":"шкаф"`, "call": ""} {
			list := f.objectsOf(kind)
			if len(list) != 1 {
				t.Fatalf("%d of %s", len(list), kind)
			}
			var got map[string]string
			if err := json.Unmarshal([]byte(list[0].Value("source")), &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: source %v, %v", kind, got, err)
			}
			if text := list[0].Value("customFields"); custom != "" && !strings.Contains(text, custom) {
				t.Errorf("%s: special fields %q, want %s", kind, text, custom)
			}
		}
	})
}

// TestR11WhatIsPassedOfACall: both numbers, who, when, how it ended and how
// long, in the account's zone and the CRM's words, with our key.
func TestR11WhatIsPassedOfACall(t *testing.T) {
	type row struct {
		direction bridge.Direction
		outcome   bridge.Outcome
		reason    bridge.Reason
		want      map[string]string
	}
	for name, tc := range map[string]row{
		"in, answered":    {bridge.In, bridge.Answered, "", map[string]string{"type": "in", "result": "answered", "duration": "83", "durationWaiting": "7"}},
		"in, hung up":     {bridge.In, bridge.Missed, bridge.CallerHungUp, map[string]string{"type": "in", "result": "no answer", "duration": "0", "durationWaiting": "7"}},
		"in, busy":        {bridge.In, bridge.Missed, bridge.Busy, map[string]string{"type": "in", "result": "busy"}},
		"in, lost":        {bridge.In, bridge.Missed, bridge.PBXRestarted, map[string]string{"type": "in", "result": "unknown"}},
		"out, answered":   {bridge.Out, bridge.Answered, "", map[string]string{"type": "out", "result": "answered", "duration": "83"}},
		"out, no answer":  {bridge.Out, bridge.Failed, bridge.NoAnswer, map[string]string{"type": "out", "result": "no answer"}},
		"out, bad number": {bridge.Out, bridge.Failed, bridge.BadNumber, map[string]string{"type": "out", "result": "failed"}},
		"out, blocked":    {bridge.Out, bridge.Failed, bridge.BlockedByPBX, map[string]string{"type": "out", "result": "not allowed"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := openFirm(t, "Asia/Yekaterinburg", nil)
				defer f.close()
				c := begun("r11", tc.direction, "101")
				if tc.outcome == bridge.Answered {
					c = answered(c, "101")
				}
				f.plays(c, ended(c, tc.outcome, tc.reason))
				f.settle(time.Minute)
				calls := f.objectsOf("call")
				if len(calls) != 1 {
					t.Fatalf("%d calls", len(calls))
				}
				zone, err := time.LoadLocation("Asia/Yekaterinburg")
				must(t, err)
				tc.want["phone"], tc.want["externalPhone"], tc.want["userId"] = "79161234567", "74951234567", "11"
				tc.want["date"], tc.want["externalId"] = c.StartedAt.In(zone).Format(time.DateTime), "callbridge:r11:call"
				for k, v := range tc.want {
					if got := calls[0].Value(k); got != v {
						t.Errorf("%s is %q, want %q", k, got, v)
					}
				}
			})
		})
	}
}

// TestCallEventsForTheRightUsers: the CRM's own window opens for each phone
// that rings and its user alone, follows the answer, and closes once for all,
// under the key the call history has too.
func TestCallEventsForTheRightUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openOffice(t)
		defer f.close()
		must(t, f.LinkStaff(t.Context(), "anna", rc, map[string]string{"12": "102"}, ""))
		f.settle(5 * time.Second)
		one := begun("pop", bridge.In, "101")
		two := one
		two.Rang, two.Legs = []string{"101", "102", "103"}, slices.Clone(one.Legs)
		now := bridge.At(time.Now())
		two.Legs = append(two.Legs, bridge.Leg{Extension: "102", RingAt: now}, bridge.Leg{Extension: "103", RingAt: now}) // 103 is nobody in the CRM
		talk := answered(two, "102")
		f.plays(one, two, talk, ended(talk, bridge.Answered, ""))
		f.settle(time.Minute)
		var got []string
		for _, e := range f.retail.Events() {
			slices.Sort(e.UserIDs)
			got = append(got, fmt.Sprint(e.Type, e.UserIDs, e.HangupStatus))
			if e.Phone != "79161234567" || e.CallExternalID != "callbridge:pop:call" {
				t.Errorf("%+v", e)
			}
		}
		if want := "in[11] in[12] in[12] hangup[11 12]answered"; strings.Join(got, " ") != want {
			t.Errorf("events %q, want %q", strings.Join(got, " "), want)
		}
		if c := f.objectsOf("call"); len(c) != 1 || c[0].Value("externalId") != "callbridge:pop:call" || c[0].Value("userId") != "12" {
			t.Errorf("%+v", c)
		}
		// Days later nobody's window opens.
		f.retail.Revoke()
		f.call("+79160000009")
		f.settle(time.Minute)
		f.retail.SetKey("rcrm-key-5f0c9d27b1")
		_, err := switcher{f.App}.Activate(t.Context(), rc, "anna", true)
		must(t, err)
		f.settle(time.Minute)
		if n := len(f.retail.Events()); n != 4 {
			t.Errorf("%d events after the reactivation", n)
		}
	})
}
