package megaplan_test

import (
	"testing"

	"callbridge/crm"
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
