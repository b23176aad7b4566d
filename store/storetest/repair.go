package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

// testRepair proves what people do about parked deliveries, and what is kept of
// employees between synchronisations.
func testRepair(t *testing.T, dsn func(testing.TB) string) {
	t.Run("a corrected action goes out again", func(t *testing.T) {
		db := Open(t, dsn(t))
		var b store.Batch
		c := ended(call("c1", 0, "+79161234567"), bridge.Missed)
		b.Calls = append(b.Calls, c)
		planned(&b, c, "crm", "task", "call")
		commit(t, db, b)
		for range 2 {
			for _, d := range claim(t, db, "crm", 1, 1) {
				d.Attempts, d.ErrorKind, d.Error = 1, "invalid", "refused"
				finish(t, db, d, bridge.Refused)
			}
		}
		rows := all(t, db, "crm")
		a := rows[0].Action
		a.Responsible, a.Title = "olga@example.ru", "Другой текст"
		if ok, err := db.RepairDelivery(t.Context(), rows[0].ID, a); !ok || err != nil {
			t.Fatalf("%v %v", ok, err)
		}
		got, err := db.Deliveries(t.Context(), store.DeliveryFilter{IDs: []int64{rows[0].ID}, Day: c.StartedAt.Format(time.DateOnly)})
		if err != nil || len(got) != 1 || got[0].State != bridge.Waiting || got[0].Action.Responsible != "olga@example.ru" || !got[0].Look {
			t.Errorf("%+v, %v", got, err)
		}
		for name, id := range map[string]int64{"one that waits": rows[0].ID, "none": 4711} {
			if ok, err := db.RepairDelivery(t.Context(), id, a); ok || err != nil {
				t.Errorf("%s: %v %v", name, ok, err)
			}
		}
		other := rows[1].Action
		other.Kind = bridge.ActPopup
		if ok, err := db.RepairDelivery(t.Context(), rows[1].ID, other); ok || err != nil {
			t.Errorf("another kind: %v %v", ok, err)
		}
		if got, err := db.Deliveries(t.Context(), store.DeliveryFilter{Day: "1999-01-01"}); err != nil || len(got) != 0 {
			t.Errorf("of another day: %+v, %v", got, err)
		}
		balanced(t, db)
	})
	t.Run("changes of employees", func(t *testing.T) {
		db := Open(t, dsn(t))
		for i := range 60 {
			if err := db.AddStaffChanges(t.Context(), "crm", base.Add(time.Duration(i)*time.Hour), []string{fmt.Sprint("change ", i)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.AddStaffChanges(t.Context(), "crm", base.Add(99*time.Hour), nil); err != nil {
			t.Fatal(err)
		}
		got, err := db.StaffChanges(t.Context(), "crm")
		if err != nil || len(got) != 50 || got[0].What[0] != "change 59" || got[49].What[0] != "change 10" {
			t.Errorf("%d changes, %v", len(got), err)
		}
		if got, err := db.StaffChanges(t.Context(), "other"); err != nil || len(got) != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("who is shown as busy", func(t *testing.T) {
		db := Open(t, dsn(t))
		row := store.UserStatus{Integration: "crm", Extension: "101", User: "11", Was: "free", Since: base.UnixMilli()}
		for _, was := range []string{"free", "meal"} {
			row.Was = was
			if err := db.SaveUserStatus(t.Context(), row); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := db.UserStatuses(t.Context(), "crm"); err != nil || !slices.Equal(got, []store.UserStatus{row}) {
			t.Errorf("%+v, %v", got, err)
		}
		if err := db.DeleteUserStatus(t.Context(), "crm", "101"); err != nil {
			t.Fatal(err)
		}
		if got, err := db.UserStatuses(t.Context(), "crm"); err != nil || len(got) != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("calls with recordings", func(t *testing.T) {
		db := Open(t, dsn(t))
		var b store.Batch
		var calls []bridge.Call
		for i := range 3 {
			c := ended(call(fmt.Sprint("r", i), i*60, "+79161234567"), bridge.Answered)
			c.Recordings = []bridge.Recording{{Name: "a.wav"}, {Name: "b.wav"}}
			b.Calls = append(b.Calls, c)
			calls = append(calls, c)
		}
		commit(t, db, b)
		if err := db.AwaitRecordings(t.Context(), calls, base); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"r0", "r1", "r2"} {
			rows, err := db.Recordings(t.Context(), id)
			if err != nil || len(rows) != 2 {
				t.Fatalf("%+v, %v", rows, err)
			}
			for i := range rows {
				rows[i].State = store.RecordingReady
			}
			if err := db.SaveRecordings(t.Context(), rows, store.Batch{}); err != nil {
				t.Fatal(err)
			}
		}
		for after, want := range map[string][]string{"": {"r0", "r1"}, "r0": {"r1"}, "r1": nil} {
			got, err := db.CallsWithRecordings(t.Context(), base.Add(2*time.Minute), after, 10)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("after %q: %v, %v", after, got, err)
			}
		}
	})
}
