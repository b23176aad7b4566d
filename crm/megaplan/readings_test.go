package megaplan_test

import (
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/setting"
	"callbridge/crm"
	"callbridge/crm/crmtest"
	"callbridge/crm/megaplan"
	"callbridge/crm/megaplan/megaplantest"
)

// otherFake is the account that answers in the other way wherever the
// reference offers two readings.
func otherFake() *megaplantest.Server {
	s := fake()
	s.Change(megaplantest.OtherReading)
	return s
}

// TestContractInTheOtherReading runs the suite against the other readings of
// the real server. Since that refuses every time at creation, the suite's first
// attempts are the changes that the client then makes at once; how it finds that
// out by itself is TestRefusedWhenNeverLosesTheTodo's business.
func TestContractInTheOtherReading(t *testing.T) {
	crmtest.Run(t, crmtest.Setup{
		Driver: megaplan.Driver, New: func() crmtest.Fake { return otherFake() }, Match: match(), Rights: megaplantest.Rights, Responsible: ivan,
		Values: func(_ crmtest.Fake, url string) setting.Values {
			return setting.Values{"url": secure(url), "username": login, "password": password, "when": "update"}
		},
	})
}

// TestCommunicationThatMegaplanMakesItself: nobody knows whether a call makes a
// communication by itself. If it does, that one is filled in; if not, one is
// made. Either way there is one per call, and a person's own is left alone.
func TestCommunicationThatMegaplanMakesItself(t *testing.T) {
	for name, own := range map[string]bool{"it does": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, fake, nil, func(t *testing.T, r *rig) {
				r.f.Change(func(q *megaplantest.Quirks) { q.CallMakesTodo = own })
				who := must[crm.Contact](t)(r.CreateContact(r.ctx(), key("contact"), crm.NewContact{Phone: number}))
				rec := crmtest.Record(number, who.ID, ivan)
				must[crm.Made](t)(r.Popup(r.ctx(), key("popup"), bridge.OnRing, rec))
				must[crm.Made](t)(r.LogCall(r.ctx(), key("call"), rec))
				must[crm.Made](t)(r.CreateCommunication(r.ctx(), key("communication"), rec, ivan))
				c := r.one("communication")
				if c.Title != rec.Title || c.Value("responsible") != "Петров Иван" || c.Value("client") == "" || c.Value("begin") == "" || c.Value("text") == "" {
					t.Errorf("%+v", c)
				}
				must[crm.Made](t)(r.CreateCommunication(r.ctx(), again("communication"), rec, ivan))
				r.one("communication")
				if n := r.count("GET /callInfo/1/todos"); n != 1 {
					t.Errorf("asked %d times", n)
				}
				if !own { // believed for a day
					other := rec
					other.Call.ID = "01JD0000000000000000000002"
					k := crm.Key{ID: "callbridge:" + other.Call.ID + ":popup"}
					must[crm.Made](t)(r.Popup(r.ctx(), k, bridge.OnRing, other))
					k.ID = "callbridge:" + other.Call.ID + ":communication"
					must[crm.Made](t)(r.CreateCommunication(r.ctx(), k, other, ivan))
					if n := r.count("GET /callInfo/2/todos"); n != 0 {
						t.Errorf("asked again: %d", n)
					}
				}
			})
		})
	}
}
