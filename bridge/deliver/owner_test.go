package deliver

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

var owner = bridge.Action{Kind: bridge.ActOwner, Responsible: "last_talked"}

// ownedCRM is a CRM in which responsibles can be changed.
type ownedCRM struct{ *fakeCRM }

func (f ownedCRM) ChangeOwner(_ context.Context, c crm.Contact, to crm.UserID) error {
	if err := f.do("change owner"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.contacts {
		if f.contacts[i].ID == c.ID {
			f.contacts[i].Responsible = to
			return nil
		}
	}
	return fault.New(fault.Gone, "test", "no such contact")
}

func TestM411OwnerOnlyOfAContactThisCallMade(t *testing.T) {
	for name, tc := range map[string]struct {
		before  []crm.Contact        // in the CRM before the call
		between func(*ownedCRM)      // what people do after the contact is made
		script  []func(string) error // answers of the CRM: find, create, find, change
		state   bridge.DeliveryState // of the owner action
		note    string
		owner   crm.UserID
	}{
		"made by this call":     {state: bridge.Done, note: "extension 102", owner: "8"},
		"there before":          {before: []crm.Contact{{ID: "1", Phones: []bridge.Number{"+79161234567"}, Responsible: "7"}}, state: bridge.Skipped, note: "made no contact", owner: "7"},
		"given to somebody":     {between: func(f *ownedCRM) { f.contacts[0].Responsible = "99" }, state: bridge.Skipped, note: "meanwhile", owner: "99"},
		"deleted":               {between: func(f *ownedCRM) { f.contacts = nil }, state: bridge.Skipped, note: "no longer there"},
		"answer of change lost": {script: []func(string) error{nil, nil, nil, fail(fault.Uncertain, 0)}, state: bridge.Done, owner: "8"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				f := &ownedCRM{b.crm}
				b.worker.target.Client, b.worker.target.Book = f, NewBook("x", f, b.memory, time.Now)
				b.crm.contacts, b.crm.script = tc.before, tc.script
				ids := b.call("A", "+79161234567", "101", contact)
				if tc.script == nil {
					b.during(t, time.Minute)
					if tc.between != nil {
						tc.between(f)
					}
				} else {
					b.worker.one(t.Context(), claimed(t, b))
				}
				b.mu.Lock()
				c := b.calls["A"] // he passed the client on
				c.AnsweredBy = []string{"101", "102"}
				b.calls["A"] = c
				b.mu.Unlock()
				row := owner
				ids = append(ids, b.more("A", row))
				b.during(t, time.Hour)
				got := b.row(ids[1])
				if got.State != tc.state || !strings.Contains(got.Note, tc.note) {
					t.Errorf("owner action is %s (%s) %s, want %s %q", got.State, got.Note, got.Error, tc.state, tc.note)
				}
				if len(b.crm.contacts) > 0 && b.crm.contacts[0].Responsible != tc.owner {
					t.Errorf("the contact is %s's, want %s's", b.crm.contacts[0].Responsible, tc.owner)
				}
			})
		})
	}
}

// A CRM whose responsibles cannot be changed says so in the ledger.
func TestM411WithoutTheAbilityTheLedgerSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ids := b.call("A", "+79161234567", "101", contact, owner)
		b.during(t, time.Minute)
		if r := b.row(ids[1]); r.State != bridge.Skipped || !strings.Contains(r.Note, "does not let") {
			t.Errorf("%+v", r)
		}
	})
}

func claimed(t *testing.T, b *bench) bridge.Delivery {
	t.Helper()
	rows, err := b.ClaimUpTo(t.Context(), "x", time.Now(), lease, 1, 1)
	if err != nil || len(rows) != 1 {
		t.Fatalf("claimed %v, %v", rows, err)
	}
	return rows[0]
}

// more adds an action to a call that is in the store.
func (b *bench) more(call string, a bridge.Action) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nextID++
	c := b.calls[call]
	a.Key, a.Wanted = "callbridge:"+call+":contact-"+string(a.Kind), true
	b.rows[b.nextID] = &bridge.Delivery{ID: b.nextID, Integration: "x", CallID: call, Client: c.ClientKey(), Action: a,
		State: bridge.Waiting, CreatedAt: bridge.At(time.Now()), NextAt: bridge.At(time.Now())}
	return b.nextID
}
