package app

import (
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/store"
)

// TestR15BothSidesOfMidnightAndOfSummerTime: with the whole program, one second
// decides whether a call is sent: today and the two days before are calendar
// days of the integration's zone, however long they are.
func TestR15BothSidesOfMidnightAndOfSummerTime(t *testing.T) {
	for name, tc := range map[string]struct {
		zone, activated string // local times
		expired, sent   string // starts of the last call outside and the first inside
	}{
		"just after midnight":            {"Europe/Moscow", "2000-01-10 00:00:30", "2000-01-07 23:59:59", "2000-01-08 00:00:00"},
		"just before midnight":           {"Europe/Moscow", "2000-01-10 23:59:30", "2000-01-07 23:59:59", "2000-01-08 00:00:00"},
		"far in the east":                {"Asia/Vladivostok", "2000-01-10 00:00:30", "2000-01-07 23:59:59", "2000-01-08 00:00:00"},
		"a day of 23 hours in between":   {"Europe/Berlin", "2000-03-27 12:00:00", "2000-03-24 23:59:59", "2000-03-25 00:00:00"},
		"a day of 23 hours at the start": {"Europe/Berlin", "2000-03-28 00:00:30", "2000-03-25 23:59:59", "2000-03-26 00:00:00"},
		"a day of 25 hours at the start": {"Europe/Berlin", "2000-10-31 23:59:30", "2000-10-28 23:59:59", "2000-10-29 00:00:00"},
		"a day without midnight":         {"America/Sao_Paulo", "2000-10-10 00:00:30", "2000-10-07 23:59:59", "2000-10-08 01:00:00"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				zone, err := time.LoadLocation(tc.zone)
				must(t, err)
				at := func(text string) time.Time {
					v, err := time.ParseInLocation(time.DateTime, text, zone)
					must(t, err)
					return v
				}
				f := openFirm(t, tc.zone, func(s *bridge.Settings) { s.Integrations = s.Integrations[1:] })
				defer f.close()
				_, err = switcher{f.App}.Deactivate(t.Context(), rc, "anna")
				must(t, err)
				f.settle(time.Second)
				ring := func(text string) {
					time.Sleep(time.Until(at(text).Add(30 * time.Second))) // the call begins 30 s before it ends
					if c := f.call("+79160000001"); !c.StartedAt.Equal(at(text)) {
						t.Fatalf("the call began %v, want %v", c.StartedAt, at(text))
					}
					synctest.Wait()
				}
				ring(tc.expired)
				ring(tc.sent)
				time.Sleep(time.Until(at(tc.activated)))
				st, err := f.board().Standing(t.Context(), rc)
				must(t, err)
				if !st.From.Equal(at(tc.sent)) {
					t.Errorf("the window begins %v, want %v", st.From.In(zone), at(tc.sent))
				}
				_, err = switcher{f.App}.Activate(t.Context(), rc, "anna", true)
				must(t, err)
				f.settle(time.Minute)
				calls := f.objectsOf("call")
				if len(calls) != 1 || calls[0].Value("date") != tc.sent {
					t.Fatalf("sent: %+v, want the call of %s alone", calls, tc.sent)
				}
				if n := len(f.inState(bridge.ActCall, bridge.Expired)); n != 1 {
					t.Errorf("%d calls have expired", n)
				}
				// The other one can still be sent by hand.
				_, err = f.board().Resend(t.Context(), ResendRequest{ResendFilter: store.ResendFilter{Integration: rc}}, false)
				must(t, err)
				f.settle(time.Minute)
				if n := len(f.objectsOf("call")); n != 2 {
					t.Errorf("%d calls after the resend by hand", n)
				}
			})
		})
	}
}
