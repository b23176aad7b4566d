package megaplan_test

import (
	"strings"
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/setting"
	"callbridge/crm"
	"callbridge/crm/crmtest"
	"callbridge/crm/sandbox"
)

// popup sends one phase for one phone and checks that it worked.
func (r *rig) popup(phase bridge.Trigger, rec crm.CallRecord) crm.Made {
	r.t.Helper()
	m, err := r.Popup(r.ctx(), key("popup-"+rec.Agent.Extension+"-"+string(phase)), phase, rec)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// windows lists what the windows were told: employee, opened (+) or changed, type and state.
func (r *rig) windows() []string {
	var out []string
	for _, w := range r.f.Widget() {
		s := w.Employee + " " + w.Type + " " + w.State
		if w.Created {
			s = "+" + s
		}
		out = append(out, s)
	}
	return out
}

func (r *rig) wantWindows(want ...string) {
	r.t.Helper()
	if got := strings.Join(r.windows(), "\n"); got != strings.Join(want, "\n") {
		r.t.Errorf("the windows were told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestWindowFollowsTheCallAndTheRecordIsTheSameObject(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		client := r.f.SeedContact("Клиент", "+79161234567")
		live := record("", "101", ivan, "101")
		live.Contact, live.Kind = client, "person"
		ring := r.popup(bridge.OnRing, live)
		r.popup(bridge.OnAnswer, live)
		done := record(bridge.Answered, "101", ivan, "101")
		done.Contact, done.Kind, done.RecordURL = client, "person", "https://calls.example.test/r/1"
		r.popup(bridge.OnEnd, done)
		logged := must[crm.Made](t)(r.LogCall(r.ctx(), key("call"), done))
		if ring.ID != logged.ID {
			t.Errorf("window %s, record %s: want one object", ring.ID, logged.ID)
		}
		r.wantWindows("+"+ivan+" in calling", ivan+" in talking", ivan+" in finished")
		o := r.one("call")
		for name, want := range map[string]string{"type": "in", "state": "finished", "from": "Клиент", "to": "Петров Иван",
			"fromPhone": "79161234567", "toPhone": "101", "begin": "2026-03-02T09:30:00+00:00", "end": "2026-03-02T09:31:05+00:00",
			"record": "https://calls.example.test/r/1", "key": "callbridge:" + callID} {
			r.wantField(o, name, want)
		}
	})
}

func TestD02ThreePhonesOneMissedCall(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		for _, phone := range [][2]string{{"101", ivan}, {"103", anna}} {
			r.popup(bridge.OnRing, record("", phone[0], phone[1], "101", "103"))
		}
		for _, phone := range [][2]string{{"101", ivan}, {"103", anna}} {
			r.popup(bridge.OnEnd, record(bridge.Missed, phone[0], phone[1], "101", "103"))
		}
		must[crm.Made](t)(r.LogCall(r.ctx(), key("call"), record(bridge.Missed, "103", anna, "101", "103")))
		r.wantWindows("+"+ivan+" in calling", "+"+anna+" in calling", ivan+" miss finished", anna+" in finished")
		missed := 0
		for _, o := range r.made("call") {
			if o.Value("type") == "miss" {
				missed++
			}
		}
		if missed != 1 {
			t.Errorf("%d missed calls, want 1", missed)
		}
	})
}

func TestOneCardSettingMovesTheCall(t *testing.T) {
	bubble(t, fake, setting.Values{"cards": "one"}, func(t *testing.T, r *rig) {
		r.popup(bridge.OnRing, record("", "101", ivan, "101", "103"))
		r.popup(bridge.OnRing, record("", "103", anna, "101", "103"))
		r.popup(bridge.OnAnswer, record("", "103", anna, "101", "103"))
		r.wantWindows("+"+ivan+" in calling", anna+" in calling", anna+" in talking")
		r.wantField(r.one("call"), "to", "Белова Анна")
	})
}

func TestWindowsAfterRestartAreFoundByProviderID(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		r.popup(bridge.OnRing, record("", "101", ivan, "101"))
		r.restart()
		r.popup(bridge.OnAnswer, record("", "101", ivan, "101"))
		r.restart()
		r.popup(bridge.OnEnd, record(bridge.Answered, "101", ivan, "101"))
		r.restart()
		must[crm.Made](t)(r.LogCall(r.ctx(), again("call"), record(bridge.Answered, "101", ivan, "101")))
		r.one("call")
		if n := r.count("POST /callInfo/provider"); n != 2 {
			t.Errorf("changed %d times by providerId, want 2", n)
		}
	})
}

func TestAnswerWithoutRingOpensAndEndWithoutRingDoesNot(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		m := r.popup(bridge.OnEnd, record(bridge.Missed, "101", ivan, "101"))
		if m.ID != "" || len(r.f.Widget()) != 0 {
			t.Errorf("the end of a call nobody saw opened a window: %+v", m)
		}
		r.popup(bridge.OnAnswer, record("", "101", ivan, "101"))
		r.wantWindows("+" + ivan + " in talking")
	})
}

func TestLostAnswerOfAWindowMakesNoSecondOne(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		r.f.FailNext(1, "POST /api/v3/callInfo", sandbox.Fault{AfterApply: true})
		rec := record("", "101", ivan, "101")
		if _, err := r.Popup(r.ctx(), key("popup"), bridge.OnRing, rec); err == nil {
			t.Fatal("no error")
		}
		m := must[crm.Made](t)(r.Popup(r.ctx(), again("popup"), bridge.OnRing, rec))
		if !m.Found {
			t.Errorf("made %+v, want found", m)
		}
		r.one("call")
	})
}

func TestCallDeletedInMegaplanIsMadeAgain(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		r.popup(bridge.OnRing, record("", "101", ivan, "101"))
		r.f.Reset()
		r.popup(bridge.OnAnswer, record("", "101", ivan, "101"))
		r.wantWindows("+" + ivan + " in talking")
	})
}

func TestM216NoUserNoWindow(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		r.popup(bridge.OnRing, record("", "199", "", "199"))
		if len(r.f.Requests()) != 0 {
			t.Errorf("asked %v", r.f.Requests())
		}
		// The call itself is kept all the same (D-05).
		rec := record(bridge.Missed, "", "")
		must[crm.Made](t)(r.LogCall(r.ctx(), key("call"), rec))
		o := r.one("call")
		r.wantField(o, "type", "miss")
		r.wantField(o, "toPhone", "74951234567")
	})
}

func TestHistoryTellsNoWindow(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		must[crm.Made](t)(r.LogCall(r.ctx(), key("call"), record(bridge.Answered, "101", ivan, "101")))
		r.wantWindows()
		if n := len(r.f.Requests()); n != 1 {
			t.Errorf("%d requests for one call, want 1", n)
		}
	})
}

func TestOutgoingAndInternalCalls(t *testing.T) {
	for _, c := range []struct {
		name                           string
		direction                      bridge.Direction
		outcome                        bridge.Outcome
		kind, from, to, fromPh, toPh   string
		widget                         string
		agentExt, agentUser, ringingAt string
	}{
		{"out", bridge.Out, bridge.Answered, "out", "Петров Иван", "Клиент", "101", "79161234567", ivan, "101", ivan, ""},
		{"failed", bridge.Out, bridge.Failed, "fail", "Петров Иван", "Клиент", "101", "79161234567", ivan, "101", ivan, ""},
		{"internal", bridge.Internal, bridge.Answered, "in", "Петров Иван", "Белова Анна", "101", "103", anna, "103", anna, "103"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, fake, nil, func(t *testing.T, r *rig) {
				rec := record(c.outcome, c.agentExt, c.agentUser)
				rec.Call.Direction, rec.Call.Agent = c.direction, "101"
				rec.People = []crm.Person{{Extension: "101", User: ivan}, {Extension: "103", User: anna}}
				if c.ringingAt != "" {
					rec.Call.Rang = []string{c.ringingAt}
					rec.Call.Client, rec.Call.ClientRaw = "", ""
				} else {
					rec.Contact, rec.Kind = r.f.SeedContact("Клиент", "+79161234567"), "person"
				}
				r.popup(bridge.OnRing, rec)
				must[crm.Made](t)(r.LogCall(r.ctx(), key("call"), rec))
				o := r.one("call")
				for name, want := range map[string]string{"type": c.kind, "from": c.from, "to": c.to, "fromPhone": c.fromPh, "toPhone": c.toPh} {
					r.wantField(o, name, want)
				}
				if w := r.f.Widget(); len(w) != 1 || w[0].Employee != c.widget {
					t.Errorf("windows %+v", w)
				}
			})
		})
	}
}

func TestKindOfClientIsAskedIfUnknown(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		rec := record(bridge.Answered, "101", ivan, "101")
		rec.Contact, rec.Kind = r.f.SeedContact("Клиент", "+79161234567"), ""
		must[crm.Made](t)(r.LogCall(r.ctx(), key("call"), rec))
		r.wantField(r.one("call"), "from", "Клиент")
	})
}

// Two phones ring at the same moment: each keeps his own window, though the
// order in which they stand in the call changes between the two deliveries.
func TestWindowsOfPhonesThatRingTogetherStayApart(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		rec := crmtest.Record(number, "", anna)
		rec.Call.AnsweredBy, rec.Call.AnsweredAt, rec.Call.EndedAt, rec.Call.Outcome = nil, bridge.Time{}, bridge.Time{}, ""
		rec.Call.Rang, rec.Agent = []string{"103"}, crm.Person{Extension: "103", User: anna}
		rec.People = []crm.Person{rec.Agent}
		must[crm.Made](t)(r.Popup(r.ctx(), key("popup-ring-103"), bridge.OnRing, rec))
		rec.Call.Rang, rec.Agent = []string{"101", "103"}, crm.Person{Extension: "101", User: ivan}
		rec.People = []crm.Person{{Extension: "101", User: ivan}, {Extension: "103", User: anna}}
		rec.Call.Legs = []bridge.Leg{{Extension: "101", RingAt: rec.Call.StartedAt}, {Extension: "103", RingAt: rec.Call.StartedAt}}
		must[crm.Made](t)(r.Popup(r.ctx(), key("popup-ring-101"), bridge.OnRing, rec))
		w := r.f.Widget()
		if len(w) != 2 || !w[0].Created || !w[1].Created || w[0].Employee != anna || w[1].Employee != ivan {
			t.Errorf("%+v", w)
		}
	})
}
