package app

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/crm/sandbox"
	"callbridge/pbx"
)

// desk is a PBX that notes which calls it was told to place.
type desk struct {
	orders []pbx.Originate
	err    error
}

func (d *desk) Run(ctx context.Context, _ func(bridge.Event)) error { <-ctx.Done(); return nil }

func (d *desk) Originate(_ context.Context, o pbx.Originate) (string, error) {
	d.orders = append(d.orders, o)
	return "pbx-" + o.RequestID, d.err
}

// hooks carries the CRM's requests to us.
func (f *firm) hooks() http.RoundTripper {
	mux := http.NewServeMux()
	for pattern, h := range f.mounts() {
		mux.Handle(pattern, h)
	}
	return sandbox.Transport(mux)
}

func (f *firm) registered() retailcrmtest.Module {
	f.t.Helper()
	m, ok := f.retail.Module("callbridge-" + rc)
	if !ok {
		f.t.Fatal("no module is registered in the portal")
	}
	return m
}

// TestR6ModuleIsRegisteredAndSwitchedOff: on activation our telephony appears in
// the portal with its addresses and everybody's extension, on deactivation it is
// switched off there, and with the credentials refused nothing is tried.
func TestR6ModuleIsRegisteredAndSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", func(s *bridge.Settings) { s.Integrations[1].ClickToCall.Number = "+74951234567" })
		defer f.close()
		f.settle(5 * time.Second)
		m := f.registered()
		if !m.Active || m.MakeCallURL != "https://calls.example.ru/hooks/rc/make-call" || m.Changed != "https://calls.example.ru/hooks/rc/user-status" ||
			len(m.ClientID) < 32 || m.Codes[11] != "101" || m.Phones["shop"] != "74951234567" {
			t.Errorf("%+v", m)
		}
		st, err := switcher{f.App}.Standing(t.Context(), rc)
		if err != nil || st.Module != "active" {
			t.Errorf("the page says %q %q, %v", st.Module, st.ModuleError, err)
		}
		if _, err := (switcher{f.App}).Deactivate(t.Context(), rc, "anna"); err != nil {
			t.Fatal(err)
		}
		f.settle(5 * time.Second)
		if f.registered().Active {
			t.Error("the module is still on in the portal")
		}
		if st, err := (switcher{f.App}).Standing(t.Context(), rc); err != nil || st.Module != "inactive" {
			t.Errorf("the page says %q, %v", st.Module, err)
		}
		if _, err := (switcher{f.App}).Activate(t.Context(), rc, "anna", true); err != nil {
			t.Fatal(err)
		}
		f.settle(5 * time.Second)
		if !f.registered().Active {
			t.Error("the module is not on again")
		}
		if strings.Contains(f.log.String(), m.ClientID) {
			t.Error("the secret is in the log")
		}
	})
}

// TestR6NoFundsIsShown: what the portal says is on the page, and calls go on.
func TestR6NoFundsIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", func(s *bridge.Settings) { s.Integrations[1].Active = false })
		defer f.close()
		f.retail.NoFunds()
		if _, err := (switcher{f.App}).Activate(t.Context(), rc, "anna", true); err != nil {
			t.Fatal(err)
		}
		f.settle(5 * time.Second)
		st, err := switcher{f.App}.Standing(t.Context(), rc)
		if err != nil || st.Module != "failed" || !strings.Contains(st.ModuleError, "insufficient funds") {
			t.Errorf("%q %q, %v", st.Module, st.ModuleError, err)
		}
		f.call("+79160000001")
		f.settle(time.Minute)
		if n := len(f.retailCalls()); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestD19CallOrderedInRetailCRM: makeCallUrl with the CRM's own parameters.
func TestD19CallOrderedInRetailCRM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		d := &desk{}
		f.pbxs = append(f.pbxs, &phoneSystem{id: "office", kind: "asterisk", stream: d, status: func() linkStatus { return linkStatus{} }})
		f.settle(5 * time.Second)
		rt, m := f.hooks(), f.registered()

		got := f.retail.Click(rt, m, 11, "8 (916) 123-45-67")
		if got.Status != 200 || !strings.Contains(got.Body, "true") || len(d.orders) != 1 || d.orders[0].Extension != "101" || d.orders[0].Client != "+79161234567" {
			t.Fatalf("%+v, orders %+v", got, d.orders)
		}
		// An impatient click and a repeated request ring nobody again.
		f.settle(time.Second)
		if got := f.retail.Click(rt, m, 11, "+7 916 1234567"); got.Status != 200 || len(d.orders) != 1 {
			t.Errorf("again: %+v, %d orders", got, len(d.orders))
		}
		f.settle(time.Minute)
		noCode := m
		noCode.Codes = nil // the CRM knows no extension: we do
		if got := f.retail.Click(rt, noCode, 11, "+79161234567"); got.Status != 200 || len(d.orders) != 2 {
			t.Errorf("a minute later: %+v, %d orders", got, len(d.orders))
		}
		for name, tc := range map[string]struct {
			change func(*retailcrmtest.Module)
			user   int
			phone  string
			want   int
		}{
			"wrong clientId":    {func(m *retailcrmtest.Module) { m.ClientID = strings.Repeat("0", 64) }, 11, "+79161234568", 401},
			"no clientId":       {func(m *retailcrmtest.Module) { m.ClientID = "" }, 11, "+79161234568", 401},
			"other integration": {func(m *retailcrmtest.Module) { m.MakeCallURL = "https://calls.example.ru/hooks/mp/make-call" }, 11, "+79161234568", 401},
			"nobody's phone":    {func(m *retailcrmtest.Module) { m.Codes = nil }, 99, "+79161234568", 400},
			"letters":           {nil, 11, "call me", 400},
			"an extension":      {nil, 11, "102", 400},
		} {
			h := m
			if tc.change != nil {
				tc.change(&h)
			}
			if got := f.retail.Click(rt, h, tc.user, tc.phone); got.Status != tc.want || len(d.orders) != 2 {
				t.Errorf("%s: %+v, %d orders", name, got, len(d.orders))
			}
		}
		f.settle(time.Minute)
		d.err = &pbx.Refusal{Code: "pbx_unreachable", Text: "The telephone system does not answer."}
		if got := f.retail.Click(rt, m, 11, "+79161234569"); got.Status != 500 {
			t.Errorf("with the PBX gone: %+v", got)
		}
	})
}
