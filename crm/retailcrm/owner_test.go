package retailcrm

import (
	"testing"

	"callbridge/bridge/fault"
	"callbridge/crm"
	"callbridge/crm/retailcrm/retailcrmtest"
)

// M-4.1.1, D-03: a customer goes to another manager.
func TestD03ChangeOwner(t *testing.T) {
	test(t, retailcrmtest.Options{}, nil, func(t *testing.T, f *retailcrmtest.Fake, c *client) {
		id := f.SeedContact("Клиент", "+79161234567")
		users, err := c.Employees(t.Context())
		if err != nil || len(users) == 0 {
			t.Fatalf("users %v, %v", users, err)
		}
		if err := c.ChangeOwner(t.Context(), crm.Contact{ID: id}, users[0].User); err != nil {
			t.Fatal(err)
		}
		found, err := c.FindContacts(t.Context(), client1)
		if err != nil || len(found) != 1 || found[0].Responsible != users[0].User {
			t.Errorf("now %+v, %v", found, err)
		}
		wantKind(t, c.ChangeOwner(t.Context(), crm.Contact{ID: id}, "nobody"), fault.Invalid)
		wantKind(t, c.ChangeOwner(t.Context(), crm.Contact{ID: "4040"}, users[0].User), fault.Gone)
	})
}
