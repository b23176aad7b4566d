package storetest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

const (
	secretClient = bridge.Number("+79161234567")
	otherClient  = bridge.Number("+79035550102")
)

// testPersonal: F-22.
func testPersonal(t *testing.T, dsn func(testing.TB) string) {
	t.Run("search, export and erasure of a number", func(t *testing.T) {
		where := dsn(t)
		db := Open(t, where)
		fillPersonal(t, db)

		sum, err := db.SearchPersonal(t.Context(), secretClient)
		if err != nil || sum.Calls != 2 || sum.Events != 2 || sum.Deliveries != 4 || sum.Open != 1 || sum.Contacts != 1 || sum.Missed != 1 || sum.Clicks != 1 ||
			sum.Mentioned != 6 || strings.Join(sum.Recordings, " ") != "in-79161234567.wav" {
			t.Errorf("%+v %v", sum, err)
		}
		whole, err := db.ExportPersonal(t.Context(), secretClient)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Анна Кузнецова", "любит чай", `"raw":"{\"caller\":\"79161234567\"}"`, "Client Anna", "in-79161234567.wav", "***", "a-1"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the export lacks %q", want)
			}
		}

		got, err := db.Erase(t.Context(), secretClient)
		if err != nil {
			t.Fatal(err)
		}
		if got.Calls != 2 || got.Events != 2 || got.Deliveries != 4 || got.Skipped != 2 || got.Contacts != 1 || got.Missed != 1 || got.Clicks != 1 || got.Mentions != 6 || len(got.Recordings) != 1 {
			t.Errorf("%+v", got)
		}
		balanced(t, db)
		if sum, err := db.SearchPersonal(t.Context(), secretClient); err != nil || sum.Calls+sum.Contacts+sum.Missed+sum.Clicks+sum.Mentioned != 0 {
			t.Errorf("something is left: %+v %v", sum, err)
		}
		// That calls took place stays, and the other client's things.
		calls, _, err := db.Calls(t.Context(), store.CallFilter{})
		if err != nil || len(calls) != 3 {
			t.Errorf("%d calls %v", len(calls), err)
		}
		if c, err := db.Contact(t.Context(), "mega", otherClient); err != nil || c.Name != "Глеб, просил за ***" {
			t.Errorf("%+v %v", c, err)
		}
		if st := states(t, db, "mega"); st[bridge.Done] != 3 || st[bridge.Skipped] != 2 || st[bridge.Waiting] != 1 {
			t.Errorf("states %v", st)
		}
		// Nothing of it is taken up again, and the other's goes on.
		if ds := claim(t, db, "mega", 0, 10); len(ds) != 1 || ds[0].Client != string(otherClient) {
			t.Errorf("claimed %+v", ds)
		}
		if again, err := db.Erase(t.Context(), secretClient); err != nil || again.Calls+again.Mentions != 0 {
			t.Errorf("again: %+v %v", again, err)
		}
		if path, ok := strings.CutPrefix(where, "sqlite:"); ok {
			noTrace(t, path)
		}
	})
	t.Run("a number in use is not erased", func(t *testing.T) {
		db := Open(t, dsn(t))
		living := call("c1", 0, secretClient)
		commit(t, db, store.Batch{Calls: []bridge.Call{living}})
		if _, err := db.Erase(t.Context(), secretClient); !errors.Is(err, store.ErrInUse) {
			t.Errorf("erased in mid-call: %v", err)
		}
		over := living
		over.Outcome, over.StartedAt, over.EndedAt = bridge.Missed, bridge.At(time.Now().Add(-time.Minute)), bridge.At(time.Now())
		commit(t, db, store.Batch{Calls: []bridge.Call{over}})
		if _, err := db.Erase(t.Context(), secretClient); !errors.Is(err, store.ErrInUse) {
			t.Errorf("erased while late events may come: %v", err)
		}
	})
	t.Run("retention is per kind of data", func(t *testing.T) {
		db := Open(t, dsn(t))
		fillPersonal(t, db)
		future := time.Now().Add(time.Hour)
		for _, c := range []struct {
			kind string
			r    store.Retention
			want store.Purged
		}{
			{"cards", store.Retention{Cards: future}, store.Purged{Cards: 2}},
			{"contacts", store.Retention{Contacts: future}, store.Purged{Contacts: 2}},
			{"missed", store.Retention{Missed: future}, store.Purged{Missed: 1}},
			{"clicks", store.Retention{Clicks: future}, store.Purged{Clicks: 1}},
			{"audit", store.Retention{Audit: future}, store.Purged{Audit: 1}},
			{"events", store.Retention{Events: future}, store.Purged{Events: 3}},
			{"attempts", store.Retention{Attempts: future}, store.Purged{Attempts: 1}},
			{"nothing twice", store.Retention{Cards: future, Contacts: future, Missed: future, Clicks: future, Audit: future, Events: future, Attempts: future}, store.Purged{}},
		} {
			if got, err := db.Purge(t.Context(), c.r); err != nil || got != c.want {
				t.Errorf("%s: %+v %v, want %+v", c.kind, got, err, c.want)
			}
		}
		if calls, _, err := db.Calls(t.Context(), store.CallFilter{}); err != nil || len(calls) != 3 {
			t.Errorf("calls went too: %d %v", len(calls), err)
		}
	})
}

// fillPersonal stores two calls of one client, a call of another in which his
// number stands, and all that comes with them.
func fillPersonal(t *testing.T, db *store.DB) {
	t.Helper()
	ctx := t.Context()
	first, second := ended(call("c1", 0, secretClient), bridge.Answered), ended(call("c2", 100, secretClient), bridge.Missed)
	first.ClientRaw, first.ClientName, first.Recordings = "89161234567", "Client Anna", []bridge.Recording{{Name: "in-79161234567.wav"}}
	third := ended(call("c3", 200, otherClient), bridge.Answered)
	third.Transfers = []bridge.Transfer{{Type: "blind", From: "101", To: "8 (916) 123-45-67"}}
	b := store.Batch{Calls: []bridge.Call{first, second, third}}
	for i, c := range b.Calls {
		e := event("e"+c.ID, i*100, c.ID)
		e.Event.Raw = []byte(`{"caller":"79161234567"}`)
		if c.ID == "c3" {
			e.Event.Leg.Number, e.Event.Dialled = "79035550102", "89161234567"
		}
		b.Events = append(b.Events, e)
	}
	planned(&b, first, "mega", "contact", "note", "task")
	planned(&b, second, "mega", "task2")
	planned(&b, third, "mega", "call", "note2")
	for i := range b.Deliveries {
		b.Deliveries[i].Action.Text = "любит чай, " + b.Deliveries[i].Client
	}
	b.Deliveries[5].Action.Text = "перезвонить по +7 916 123-45-67, а не 279161234567"
	commit(t, db, b)
	for range 5 {
		for _, d := range claim(t, db, "mega", 0, 10) {
			switch {
			case d.CallID == "c2" || d.Action.Kind == bridge.ActNote && d.CallID == "c3":
				finish(t, db, d, bridge.Waiting)
			case d.CallID == "c1" && d.Action.Kind == bridge.ActTask:
				finish(t, db, d, bridge.Refused)
			default:
				if d.CallID == "c1" && d.Action.Kind == bridge.ActContact {
					must(t, db.AddAttempt(ctx, store.Attempt{DeliveryID: d.ID, At: at(0), Request: "***", Response: `{"id":"a-1"}`}))
				}
				d.ObjectID, d.ObjectURL = map[string]string{"c1": "a-1", "c3": "a-3"}[d.CallID], "https://crm.example/79161234567"
				finish(t, db, d, bridge.Done)
			}
		}
	}
	must(t, db.SaveContact(ctx, store.ContactRow{Integration: "mega", Number: secretClient, ID: "1", Name: "Анна Кузнецова"}))
	must(t, db.SaveContact(ctx, store.ContactRow{Integration: "mega", Number: otherClient, ID: "2", Name: "Глеб, просил за 9161234567"}))
	must(t, db.SaveMissed(ctx, []bridge.MissedEntry{{ID: "c2", Client: secretClient, Line: "x", Count: 1, Calls: []string{"c2"}, LastAt: at(100), ClosedAt: at(200)}}, store.Batch{}))
	_, _, err := db.ClaimClick(ctx, "r1", "ivan", "101", string(secretClient))
	must(t, err)
	must(t, db.SaveRoute(ctx, store.RouteDecision{ID: "d1", PBX: "office", Client: secretClient, At: at(0), Data: `{"client":"79161234567"}`}))
	must(t, db.AwaitRecordings(ctx, []bridge.Call{first}, time.Now()))
	must(t, db.SaveReceipts(ctx, []store.Receipt{{CallID: "c1", Extension: "101", Login: "ivan", SentAt: at(0), ShownAt: at(1)}}))
	must(t, db.SaveRings(ctx, []store.Ring{{CallID: "c1", Extension: "101", At: at(0), Tabs: 1}}))
	must(t, db.AddAudit(ctx, "admin", "case", "c1"))
}

// noTrace looks into the files of the database while it is open.
func noTrace(t *testing.T, path string) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		// What is longer, or another's, may stand there: 279161234567 is no spelling of it.
		text := strings.ReplaceAll(string(raw), "279161234567", "")
		for _, s := range []string{"9161234567", "916 123-45-67", "(916) 123-45-67", "Анна Кузнецова", "Client Anna", "a-1", "crm.example/7916"} {
			if strings.Contains(text, s) {
				t.Errorf("%s still holds %q", filepath.Base(f), s)
			}
		}
	}
}
