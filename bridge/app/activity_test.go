package app

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/crm/sandbox"
)

// TestR6PortalSwitchesTheModule: what the portal's admin does to our module in
// the portal's list is shown, in both directions; calls go on.
func TestR6PortalSwitchesTheModule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		f.settle(5 * time.Second)
		rt, m := f.hooks(), f.registered()
		for _, tc := range []struct {
			active, freeze bool
			system         string
			state, says    string
		}{
			{false, false, "", "failed", "switched off in the portal"},
			{true, true, "", "failed", "frozen"},
			{true, false, "https://another.retailcrm.test", "failed", "address is https://another.retailcrm.test now"},
			{true, false, "https://demo.retailcrm.test/", "active", ""},
		} {
			if got := f.retail.SetActivity(rt, m, tc.active, tc.freeze, tc.system); got.Trouble() != "" || !strings.Contains(got.Body, `"success":true`) {
				t.Errorf("%+v: %+v %s", tc, got, got.Trouble())
			}
			st, err := switcher{f.App}.Standing(t.Context(), rc)
			if err != nil || st.Module != tc.state || !strings.Contains(st.ModuleError, tc.says) {
				t.Errorf("%+v: the page says %q %q, %v", tc, st.Module, st.ModuleError, err)
			}
		}
		f.call("+79160000001")
		f.settle(time.Minute)
		if len(f.retailCalls()) != 1 {
			t.Error("the call did not arrive")
		}
		if got := f.retail.OpenAccount(rt, m); got.Trouble() != "" || got.Status != http.StatusSeeOther || got.Location != "https://calls.example.ru/integrations/rc" {
			t.Errorf("our page: %+v %s", got, got.Trouble())
		}
		wrong := m
		wrong.ClientID = strings.Repeat("0", 64)
		if got := f.retail.SetActivity(rt, wrong, false, false, ""); got.Status != 401 {
			t.Errorf("a stranger switched the module: %+v", got)
		}
		if got := f.retail.OpenAccount(rt, wrong); got.Status != 401 {
			t.Errorf("a stranger came in: %+v", got)
		}
	})
}

// TestR6SwitchedOffLater: a portal that could not be told at once that the
// integration is off is told when it answers again, also after a restart.
func TestR6SwitchedOffLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		f.settle(5 * time.Second)
		f.retail.FailNext(3, "integration-modules", sandbox.Fault{Status: 502})
		_, err := switcher{f.App}.Deactivate(t.Context(), rc, "anna")
		must(t, err)
		f.settle(2 * time.Second)
		if st, err := (switcher{f.App}).Standing(t.Context(), rc); err != nil || st.Module != "failed" || !f.registered().Active {
			t.Errorf("the page says %q %q, %v", st.Module, st.ModuleError, err)
		}
		f.settle(10 * time.Minute)
		if st, err := (switcher{f.App}).Standing(t.Context(), rc); err != nil || st.Module != "inactive" || f.registered().Active {
			t.Errorf("the page says %q %q, %v; in the portal it is on: %v", st.Module, st.ModuleError, err, f.registered().Active)
		}
	})
}

// TestStatusEchoed: a portal that reports our own changes back to us starts no
// quarrel about what an employee is doing.
func TestStatusEchoed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		f.settle(5 * time.Second)
		f.retail.Echo(f.hooks())
		f.retail.ClearLog()
		c := f.talk("first", "101")
		f.shown("on the phone", "busy")
		must(t, f.SetDoNotDisturb(t.Context(), "101", true))
		f.settle(5 * time.Second)
		f.hangUp(c)
		f.settle(time.Minute)
		f.shown("do not disturb", "break")
		must(t, f.SetDoNotDisturb(t.Context(), "101", false))
		f.settle(time.Minute)
		f.shown("afterwards", "free")
		if f.hub.DND("101") {
			t.Error("do not disturb is on")
		}
		if got := statusRequests(f.retail.RequestLog()); len(got) != 5 {
			t.Errorf("%d requests: %v", len(got), got)
		}
	})
}

// TestR11RecordingPlaysInThePortal: what retailCRM got as recordUrl plays, whole
// and in parts, as sound.
func TestR11RecordingPlaysInThePortal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		s := &sounds{files: map[string][]byte{}}
		f.listens(s)
		s.set("chain.wav", 5000)
		f.recorded("+79161234567")
		f.settle(time.Minute)
		calls := f.objectsOf("call")
		if len(calls) != 1 {
			t.Fatalf("%d calls", len(calls))
		}
		link := calls[0].Value("recordUrl")
		if err := retailcrmtest.Play(f.hooks(), link); link == "" || err != nil {
			t.Errorf("%q: %v", link, err)
		}
		if err := retailcrmtest.Play(f.hooks(), strings.Replace(link, "sig=", "sig=x", 1)); err == nil {
			t.Error("a link with another signature plays")
		}
	})
}

func statusRequests(log []sandbox.Logged) (out []string) {
	for _, r := range log {
		if strings.Contains(r.Path, "/users/") {
			out = append(out, r.Method+" "+string(r.Body))
		}
	}
	return out
}
