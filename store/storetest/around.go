package storetest

import (
	"errors"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"

	"github.com/google/go-cmp/cmp"
)

func testAround(t *testing.T, dsn func(testing.TB) string) {
	ctx := t.Context()
	db := Open(t, dsn(t))
	t.Run("settings in versions", func(t *testing.T) {
		if s, v, err := db.Settings(ctx); err != nil || v != 0 || len(s.Integrations) != 0 {
			t.Fatalf("before the first: %+v %d %v", s, v, err)
		}
		one := bridge.Settings{Users: []bridge.User{{Login: "a", Role: bridge.Admin, PasswordHash: "$2a$hash"}}}
		two := bridge.Settings{Integrations: []bridge.Integration{{ID: "mega", Kind: "megaplan", Credentials: map[string]string{"password": "s3cret"}}}}
		for i, s := range []bridge.Settings{one, two} {
			if v, err := db.SaveSettings(ctx, "admin", s, "note"); err != nil || v != int64(i+1) {
				t.Fatalf("version %d, %v", v, err)
			}
		}
		if s, v, err := db.Settings(ctx); err != nil || v != 2 || !cmp.Equal(s, two) {
			t.Errorf("newest: %+v %d %v", s, v, err)
		}
		if s, err := db.SettingsVersion(ctx, 1); err != nil || !cmp.Equal(s, one) {
			t.Errorf("first: %+v %v", s, err)
		}
		if _, err := db.SettingsVersion(ctx, 9); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("ninth: %v", err)
		}
		if l, err := db.SettingsVersions(ctx); err != nil || len(l) != 2 || l[0].Version != 2 || l[0].By != "admin" || l[0].Note != "note" || l[0].At.IsZero() {
			t.Errorf("versions %+v %v", l, err)
		}
	})
	t.Run("two who save at once, and who did what", func(t *testing.T) {
		_, v, err := db.Settings(ctx)
		must(t, err)
		if n, err := db.SaveSettingsAfter(ctx, "anna", bridge.Settings{}, "", v); err != nil || n != v+1 {
			t.Fatalf("%d %v", n, err)
		}
		if _, err := db.SaveSettingsAfter(ctx, "boris", bridge.Settings{}, "", v); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%v", err)
		}
		if _, now, err := db.Settings(ctx); err != nil || now != v+1 {
			t.Errorf("a refused version was counted: %d %v", now, err)
		}
		for _, what := range []string{"settings", "token", "check"} {
			must(t, db.AddAudit(ctx, "anna", what, "x"))
		}
		rows, err := db.Audit(ctx, 0, 2)
		if err != nil || len(rows) != 2 || rows[0].What != "check" || rows[0].By != "anna" || rows[0].At.IsZero() {
			t.Errorf("%+v %v", rows, err)
		}
		if rows, err := db.Audit(ctx, rows[1].ID, 2); err != nil || len(rows) != 1 || rows[0].What != "settings" {
			t.Errorf("%+v %v", rows, err)
		}
	})
	t.Run("state of an integration", func(t *testing.T) {
		if s, err := db.IntegrationState(ctx, "new"); err != nil || !s.Active {
			t.Fatalf("new: %+v %v", s, err)
		}
		must(t, db.SaveCheck(ctx, "mega", at(7).Time, `{"account":"x"}`))
		must(t, db.MarkRefused(ctx, "mega", at(5).Time))
		must(t, db.MarkRefused(ctx, "mega", at(9).Time))
		if _, err := db.HoldIntegration(ctx, "mega", at(5).Time, "refused"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.HoldIntegration(ctx, "mega", at(6).Time, "refused again"); err != nil {
			t.Fatal(err)
		}
		want := store.IntegrationState{HeldSince: at(5), HeldReason: "refused again", FirstRefused: at(5), CheckedAt: at(7), Report: `{"account":"x"}`}
		if s, err := db.IntegrationState(ctx, "mega"); err != nil || !cmp.Equal(want, s) {
			t.Errorf("%s %v", cmp.Diff(want, s), err)
		}
		if _, err := db.ReleaseIntegration(ctx, "mega", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if s, _ := db.IntegrationState(ctx, "mega"); !s.Active || !s.HeldSince.IsZero() || !s.FirstRefused.IsZero() {
			t.Errorf("released: %+v", s)
		}
	})
	t.Run("account", func(t *testing.T) {
		now := at(1).Time
		take := func(by string, now time.Time, want bool, wantState string) {
			t.Helper()
			state, ok, err := db.TakeAccount(ctx, "acc", by, now)
			if err != nil || ok != want || string(state) != wantState {
				t.Errorf("%s: %q %t %v, want %q %t", by, state, ok, err, wantState, want)
			}
		}
		take("a", now, true, "")
		must(t, db.SaveAccount(ctx, "acc", []byte("both tokens"), now))
		take("b", now, false, "")
		must(t, db.LeaveAccount(ctx, "acc", "b")) // it is not b's
		take("b", now, false, "")
		must(t, db.LeaveAccount(ctx, "acc", "a"))
		take("b", now, true, "both tokens")
		take("c", now.Add(time.Hour), true, "both tokens") // b died with it
		must(t, db.PurgeAccounts(ctx, now.Add(time.Hour)))
		take("c", now.Add(time.Hour), true, "both tokens")
		must(t, db.LeaveAccount(ctx, "acc", "c"))
		must(t, db.PurgeAccounts(ctx, now.Add(time.Hour)))
		take("c", now, true, "")
	})
	t.Run("contacts", func(t *testing.T) {
		row := store.ContactRow{Integration: "mega", Number: "+79161234567", ID: "1", Kind: "person", Name: "Иван", Responsible: "7", Manager: "Пётр", URL: "https://x", Several: 2, UpdatedAt: at(1)}
		must(t, db.SaveContact(ctx, row))
		row.Name = "Иван Петров"
		must(t, db.SaveContact(ctx, row))
		must(t, db.SaveContact(ctx, store.ContactRow{Integration: "retail", Number: row.Number, UpdatedAt: at(1)}))
		if got, err := db.Contact(ctx, "mega", row.Number); err != nil || !cmp.Equal(row, got) {
			t.Errorf("%s %v", cmp.Diff(row, got), err)
		}
		if got, err := db.ContactsByNumber(ctx, row.Number); err != nil || len(got) != 2 || got[1].ID != "" {
			t.Errorf("%+v %v", got, err)
		}
		must(t, db.ForgetContact(ctx, "mega", row.Number))
		if _, err := db.Contact(ctx, "mega", row.Number); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("forgotten: %v", err)
		}
	})
	t.Run("TestD07EmptyStaffListKeepsMap", func(t *testing.T) {
		rows := []store.StaffRow{{User: "1", Email: "a@x", Name: "A", Extension: "101", Active: true}, {User: "2", Manager: true}}
		if _, synced, err := db.Staff(ctx, "mega"); err != nil || !synced.IsZero() {
			t.Errorf("never synced: %v %v", synced, err)
		}
		must(t, db.SaveStaff(ctx, "mega", append(rows, store.StaffRow{User: "3"}), at(0).Time))
		must(t, db.SaveStaff(ctx, "mega", rows, at(1).Time))
		if err := db.SaveStaff(ctx, "mega", nil, at(2).Time); !errors.Is(err, store.ErrEmptyStaff) {
			t.Errorf("empty list: %v", err)
		}
		got, synced, err := db.Staff(ctx, "mega")
		if err != nil || !cmp.Equal(rows, got) || !synced.Equal(at(1).Time) {
			t.Errorf("%s %v %v", cmp.Diff(rows, got), synced, err)
		}
	})
	t.Run("sessions", func(t *testing.T) {
		must(t, db.CreateSession(ctx, store.Session{TokenHash: "h1", Login: "a", CreatedAt: at(0), SeenAt: at(0), ExpiresAt: at(100)}))
		must(t, db.CreateSession(ctx, store.Session{TokenHash: "h2", Login: "a", CreatedAt: at(0), SeenAt: at(0), ExpiresAt: at(50)}))
		must(t, db.TouchSession(ctx, "h1", at(60).Time, at(200).Time))
		if s, err := db.Session(ctx, "h1", at(150).Time); err != nil || s.Login != "a" || s.SeenAt != at(60) {
			t.Errorf("%+v %v", s, err)
		}
		if _, err := db.Session(ctx, "h2", at(50).Time); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("expired: %v", err)
		}
		if n, err := db.ExpireSessions(ctx, at(50).Time); err != nil || n != 1 {
			t.Errorf("expired %d %v", n, err)
		}
		must(t, db.DeleteSession(ctx, "h1"))
		if _, err := db.Session(ctx, "h1", at(150).Time); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("deleted: %v", err)
		}
		must(t, db.CreateSession(ctx, store.Session{TokenHash: "h3", Login: "b", ExpiresAt: at(50)}))
		must(t, db.DeleteSessionsOf(ctx, "b"))
		if _, err := db.Session(ctx, "h3", at(0).Time); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("deleted: %v", err)
		}
	})
	t.Run("TestD19RepeatedClickIsOneClick", func(t *testing.T) {
		var first int
		results := together(20, func(int) (bool, error) {
			_, created, err := db.ClaimClick(ctx, "r1", "a", "101", "+79161234567")
			return created, err
		})
		for _, r := range results {
			must(t, r.err)
			if r.v {
				first++
			}
		}
		if first != 1 {
			t.Errorf("%d of 20 may place the call", first)
		}
		must(t, db.FinishClick(ctx, "r1", "pbx-1", "", ""))
		c, created, err := db.ClaimClick(ctx, "r1", "b", "102", "")
		if err != nil || created || c.PBXCallID != "pbx-1" || c.By != "a" || c.Extension != "101" || c.FinishedAt.IsZero() {
			t.Errorf("%+v %v %v", c, created, err)
		}
		if err := db.FinishClick(ctx, "r2", "", "busy", "x"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("finish of no click: %v", err)
		}
	})
	t.Run("do not disturb", func(t *testing.T) {
		must(t, db.SetDoNotDisturb(ctx, store.DoNotDisturb{Extension: "101", On: true, At: at(1), By: "a"}))
		must(t, db.SetDoNotDisturb(ctx, store.DoNotDisturb{Extension: "101", On: false, At: at(2), By: "b"}))
		got, err := db.DoNotDisturb(ctx)
		if want := map[string]store.DoNotDisturb{"101": {Extension: "101", At: at(2), By: "b"}}; err != nil || !cmp.Equal(want, got) {
			t.Errorf("%+v %v", got, err)
		}
	})
	t.Run("receipts", func(t *testing.T) {
		r := store.Receipt{CallID: "c1", Extension: "101", Login: "a", SentAt: at(1)}
		must(t, db.SaveReceipts(ctx, []store.Receipt{r}))
		r.ShownAt, r.LatencyMS = at(2), 12
		late := r
		late.ShownAt, late.LatencyMS = at(9), 8000
		must(t, db.SaveReceipts(ctx, []store.Receipt{r, late}))
		if got, err := db.Receipts(ctx, "c1"); err != nil || !cmp.Equal([]store.Receipt{r}, got) {
			t.Errorf("%+v %v", got, err)
		}
	})
}
