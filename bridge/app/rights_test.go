package app

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/web"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/crm/sandbox"
	"callbridge/store"
)

// inState returns the deliveries of rc with this state and kind.
func (f *firm) inState(kind bridge.ActionKind, state bridge.DeliveryState) []bridge.Delivery {
	f.t.Helper()
	all, err := site{f.App}.Deliveries(f.t.Context(), web.DeliveryQuery{Integration: rc, State: state, Limit: 500})
	must(f.t, err)
	var out []bridge.Delivery
	for _, d := range all {
		if d.Action.Kind == kind {
			out = append(out, d)
		}
	}
	return out
}

// TestR5ARightGivenReleasesWhatWasHeldForIt: a missing right holds its kind of
// action alone and is named; once the portal's admin has given it, a check, an
// activation or a quarter of an hour sends what was held, once each.
func TestR5ARightGivenReleasesWhatWasHeldForIt(t *testing.T) {
	for name, after := range map[string]func(*firm){
		"the button": func(f *firm) {
			_, err := f.Check(f.t.Context(), rc)
			must(f.t, err)
		},
		"an activation": func(f *firm) {
			_, err := switcher{f.App}.Deactivate(f.t.Context(), rc, "anna")
			must(f.t, err)
			_, err = switcher{f.App}.Activate(f.t.Context(), rc, "anna", true)
			must(f.t, err)
		},
		"by itself": func(f *firm) { f.settle(2 * rightsEvery) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := openFirm(t, "Europe/Moscow", nil)
				defer f.close()
				f.retail.Restrict("/api/tasks/create")
				for _, n := range []string{"+79160000001", "+79160000002", "+79160000003", "+79160000004"} {
					f.call(n) // two of them missed
				}
				f.settle(time.Minute)
				held := f.inState(bridge.ActTask, bridge.Held)
				if len(held) != 2 || len(f.retailCalls()) != 4 {
					t.Fatalf("%d tasks held, %d calls there", len(held), len(f.retailCalls()))
				}
				if note := held[0].Note + held[1].Note; !strings.Contains(note, "create task") {
					t.Errorf("the right is not named: %q", note)
				}
				if _, err := f.Check(t.Context(), rc); err != nil || len(f.inState(bridge.ActTask, bridge.Held)) != 2 {
					t.Errorf("released while the right is missing: %v", err)
				}
				f.retail.Permit("/api/tasks/create")
				after(f)
				f.settle(time.Minute)
				if kinds, err := f.db.HeldKinds(t.Context(), rc); err != nil || len(kinds) > 0 {
					t.Errorf("still held: %+v, %v", kinds, err)
				}
				if done := f.inState(bridge.ActTask, bridge.Done); len(done) != 2 || count(f.retail, "task") != 2 {
					t.Errorf("%d tasks done, %d in the CRM", len(done), count(f.retail, "task"))
				}
			})
		})
	}
}

func count(s *retailcrmtest.Fake, kind string) (n int) {
	for _, o := range s.Objects() {
		if o.Kind == kind && !o.Seed {
			n++
		}
	}
	return n
}

// TestA5xxOfMinutesIsShown: the integration stays active, but its tile does not
// stay green; what is refused for its credentials is told apart from it.
func TestA5xxOfMinutesIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		state := func() web.Integration {
			all, err := (site{f.App}).integrations(t.Context())
			must(t, err)
			return all[1]
		}
		f.retail.FailNext(-1, "/api", sandbox.Fault{Status: 502})
		f.call("+79160000001")
		f.settle(20 * time.Second)
		if s := state(); s.State != "active" {
			t.Errorf("after 20 s: %+v", s)
		}
		f.settle(3 * time.Minute)
		if s := state(); s.State != "failing" || !s.Active || s.Reason != "the CRM answers every request with 502 Bad Gateway" || s.Since.IsZero() {
			t.Errorf("after 3 min: %+v", s)
		}
		f.settle(12 * time.Hour) // tries are rare by now
		if s := state(); s.State != "failing" {
			t.Errorf("after 12 h: %+v", s)
		}
		f.retail.ClearFaults()
		f.settle(2 * time.Hour)
		if s := state(); s.State != "active" || s.Waiting != 0 || len(f.retailCalls()) != 1 {
			t.Errorf("after it works again: %+v", s)
		}
		f.retail.Revoke()
		f.call("+79160000002")
		f.settle(time.Minute)
		if s := state(); s.State != "held" || !strings.Contains(s.Reason, "the API key is refused") {
			t.Errorf("refused: %+v", s)
		}
		f.call("+79160000003")
		f.settle(time.Minute)
		for _, d := range f.inState(bridge.ActCall, bridge.Held) {
			if !strings.Contains(d.Note, "refused") && !strings.Contains(d.Note, "refuses the credentials") {
				t.Errorf("the ledger says %q", d.Note)
			}
		}
		p, err := f.board().Resend(t.Context(), ResendRequest{ResendFilter: store.ResendFilter{Integration: rc}}, true)
		if err != nil || !p.Held || !p.Refused {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
