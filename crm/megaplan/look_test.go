package megaplan_test

import (
	"testing"

	"callbridge/bridge"
	"callbridge/crm"
	"callbridge/crm/crmtest"
)

// TestLookFindsWhatWasMadeBeforeTheContact: a client got his contact only
// after the first attempt, whose answer was lost, had made his communication
// and his deal. The second attempt looked among the contact's only, and both
// were there twice. Found by killing the program under load.
func TestLookFindsWhatWasMadeBeforeTheContact(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		todo := r.communication(key("communication"), "")
		deal, err := r.CreateDeal(r.ctx(), key("process"), crm.NewDeal{Title: "Звонок", Phone: "+79167654321"})
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.CreateContact(r.ctx(), key("contact"), crm.NewContact{Name: "Новый", Phone: "+79167654321"})
		if err != nil {
			t.Fatal(err)
		}
		if m := r.communication(again("communication"), c.ID); m.ID != todo.ID || !m.Found {
			t.Errorf("the second attempt made %+v, the first %+v", m, todo)
		}
		m, err := r.CreateDeal(r.ctx(), again("process"), crm.NewDeal{Title: "Звонок", Phone: "+79167654321", Contact: c.ID, ContactKind: c.Kind})
		if err != nil || m.ID != deal.ID || !m.Found {
			t.Errorf("the second attempt made %+v, the first %+v; %v", m, deal, err)
		}
	})
}

// TestFirstPhoneIsAnotherAfterARestart: one phone was known to ring and had the
// window with the name of the call; after a restart it turned out that another
// rang before it. The call was there twice. Found by killing the program under
// load.
func TestFirstPhoneIsAnotherAfterARestart(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		rec := crmtest.Record(number, "", anna)
		rec.Call.AnsweredBy, rec.Call.AnsweredAt, rec.Call.EndedAt, rec.Call.Outcome = nil, bridge.Time{}, bridge.Time{}, ""
		rec.Call.Rang, rec.Agent = []string{"103"}, crm.Person{Extension: "103", User: anna}
		must[crm.Made](t)(r.Popup(r.ctx(), key("popup-ring-103"), bridge.OnRing, rec))
		r.restart()
		rec.Call.Gaps = []bridge.Gap{{Reason: "link_lost"}}
		rec.Call.Rang, rec.Agent = []string{"101", "103"}, crm.Person{Extension: "101", User: ivan}
		must[crm.Made](t)(r.Popup(r.ctx(), key("popup-ring-101"), bridge.OnRing, rec))
		if calls := r.made("call"); len(calls) != 1 {
			t.Errorf("%d calls with one name: %+v", len(calls), calls)
		}
	})
}
