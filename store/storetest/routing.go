package storetest

import (
	"testing"

	"callbridge/bridge"
	"callbridge/store"

	"github.com/google/go-cmp/cmp"
)

// testRouting is about routing decisions, and what routing and the sync of
// employees keep.
func testRouting(t *testing.T, dsn func(testing.TB) string) {
	ctx := t.Context()
	db := Open(t, dsn(t))
	t.Run("decisions of a call", func(t *testing.T) {
		c := ended(call("C1", 100, "+79161234567"), bridge.Answered)
		c.PBXCallID = "linked-1"
		for _, r := range []store.RouteDecision{
			{ID: "b", PBX: "office", PBXCallID: "linked-1", Client: "+79161234567", At: at(102), Data: "2"},
			{ID: "a", PBX: "office", PBXCallID: "linked-1", Client: "+79161234567", At: at(101), Data: "1"},
			{ID: "a", PBX: "office", PBXCallID: "linked-1", At: at(101), Data: "told again"},
			{ID: "c", PBX: "office", PBXCallID: "linked-2", Client: "+79161234567", At: at(101), Data: "another call"},
			{ID: "d", PBX: "branch", PBXCallID: "linked-1", At: at(101), Data: "another PBX"},
			{ID: "e", PBX: "office", Client: "+79161234567", At: at(103), Data: "3"},
			{ID: "f", PBX: "office", Client: "+79161234567", At: at(400), Data: "too late"},
			{ID: "g", PBX: "office", Client: "+79030000000", At: at(103), Data: "another client"},
			{ID: "h", PBX: "office", At: at(103), Data: "withheld"},
		} {
			if err := db.SaveRoute(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		got, err := db.RoutesOf(ctx, c)
		var data []string
		for _, r := range got {
			data = append(data, r.Data)
		}
		if want := []string{"1", "2", "3"}; err != nil || !cmp.Equal(data, want) {
			t.Errorf("decisions %v %v, want %v", data, err, want)
		}
		if got, err := db.RoutesOf(ctx, bridge.Call{PBX: "office", StartedAt: at(103), EndedAt: at(104)}); err != nil || len(got) != 0 {
			t.Errorf("a call without a client and without an id: %+v %v", got, err)
		}
		if _, err := db.Purge(ctx, store.Retention{Calls: at(200).Time}); err != nil {
			t.Fatal(err)
		}
		if got, err := db.RoutesOf(ctx, c); err != nil || len(got) != 0 {
			t.Errorf("after the purge: %+v %v", got, err)
		}
	})
	t.Run("contacts with candidates and process", func(t *testing.T) {
		want := store.ContactRow{Integration: "mega", Number: "+79161234567", ID: "1", Name: "Мария", Several: 2, Others: `[{"id":"2"}]`,
			Dealer: "7", Deal: "Окна", DealsAt: at(5), UpdatedAt: at(6)}
		if err := db.SaveContact(ctx, want); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Contact(ctx, "mega", "+79161234567"); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s %v", cmp.Diff(got, want), err)
		}
		want.Others, want.Dealer, want.Deal, want.DealsAt = "", "", "", bridge.Time{}
		if err := db.SaveContact(ctx, want); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Contact(ctx, "mega", "+79161234567"); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s %v", cmp.Diff(got, want), err)
		}
	})
	t.Run("links and alarm of employees", func(t *testing.T) {
		for _, links := range [][]store.StaffLink{{{Extension: "101", Email: "a@example.ru", User: "1"}, {Extension: "102", Email: "b@example.ru", User: "2"}}, {{Extension: "102", Email: "b@example.ru", User: "9"}}, nil} {
			if err := db.SaveStaffLinks(ctx, "mega", links, at(1).Time); err != nil {
				t.Fatal(err)
			}
			if got, err := db.StaffLinks(ctx, "mega"); err != nil || !cmp.Equal(got, links) {
				t.Errorf("links %+v %v, want %+v", got, err, links)
			}
		}
		if a, err := db.StaffAlarm(ctx, "mega"); a != nil || err != nil {
			t.Errorf("before: %+v %v", a, err)
		}
		want := &store.StaffAlarm{At: at(3), Was: 8, Now: 2, Gone: []string{"Иван"}, Text: "fewer"}
		for range 2 {
			if err := db.SaveStaffAlarm(ctx, "mega", want); err != nil {
				t.Fatal(err)
			}
			if got, err := db.StaffAlarm(ctx, "mega"); err != nil || !cmp.Equal(got, want) {
				t.Errorf("alarm %+v %v", got, err)
			}
			want.Now = 1
		}
		if err := db.SaveStaffAlarm(ctx, "mega", nil); err != nil {
			t.Fatal(err)
		}
		if a, err := db.StaffAlarm(ctx, "mega"); a != nil || err != nil {
			t.Errorf("cleared: %+v %v", a, err)
		}
	})
}
