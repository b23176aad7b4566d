package app

import (
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
	"callbridge/crm/retailcrm/retailcrmtest"
	"callbridge/crm/sandbox"
)

// told lets the core's listeners hear that a call changed.
func (f *firm) told(c bridge.Call) {
	f.core.changed(&track.Change{Call: c, Was: c})
	f.settle(2 * time.Second)
}

// talk is a call in which ext talks; its end is to be told with hangUp.
func (f *firm) talk(id, ext string) bridge.Call {
	now := bridge.At(time.Now())
	c := bridge.Call{ID: id, PBX: "office", Direction: bridge.In, Client: "+79160000001", StartedAt: now, AnsweredAt: now, Rang: []string{ext},
		AnsweredBy: []string{ext}, Legs: []bridge.Leg{{Extension: ext, RingAt: now, AnswerAt: now}}}
	f.told(c)
	return c
}

func (f *firm) hangUp(c bridge.Call) {
	c.Legs = []bridge.Leg{c.Legs[0]}
	c.Legs[0].EndAt = bridge.At(time.Now())
	c.EndedAt, c.Outcome = c.Legs[0].EndAt, bridge.Answered
	f.told(c)
}

func (f *firm) shown(when, want string) {
	f.t.Helper()
	if s := f.retail.UserStatus(11); s != want {
		f.t.Errorf("%s: the CRM shows %q, want %q", when, s, want)
	}
}

// TestStatusWhileOnThePhone: busy while he talks, and afterwards what he was
// before, or what he made himself meanwhile.
func TestStatusWhileOnThePhone(t *testing.T) {
	for name, tc := range map[string]struct {
		before     string
		meanwhile  func(*firm, retailcrmtest.Module)
		while, end string
	}{
		"free":                 {"free", nil, "busy", "free"},
		"at dinner":            {"dinner", nil, "busy", "dinner"},
		"busy by himself":      {"busy", nil, "busy", "busy"},
		"do not disturb":       {"free", func(f *firm, _ retailcrmtest.Module) { must(f.t, f.SetDoNotDisturb(f.t.Context(), "101", true)) }, "busy", "break"},
		"to dinner in the CRM": {"free", func(f *firm, m retailcrmtest.Module) { f.retail.ChangeStatus(f.hooks(), m, 11, "dinner") }, "dinner", "dinner"},
		"a second call": {"free", func(f *firm, _ retailcrmtest.Module) {
			c := f.talk("second", "101")
			f.shown("in two calls", "busy")
			f.hangUp(c)
		}, "busy", "free"},
		"the CRM is down for a minute": {"free", func(f *firm, _ retailcrmtest.Module) {
			f.retail.FailNext(3, "/users/11", sandbox.Fault{Status: 502})
		}, "busy", "free"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := openFirm(t, "Europe/Moscow", nil)
				defer f.close()
				f.settle(5 * time.Second)
				f.retail.SetUserStatus(11, tc.before, true)
				c := f.talk("first", "101")
				if tc.meanwhile != nil {
					tc.meanwhile(f, f.registered())
					f.settle(5 * time.Second)
				}
				f.shown("on the phone", tc.while)
				f.hangUp(c)
				f.settle(time.Minute)
				f.shown("afterwards", tc.end)
				if rows, err := f.db.UserStatuses(t.Context(), rc); err != nil || len(rows) > 0 {
					t.Errorf("left over: %+v, %v", rows, err)
				}
			})
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestStatusAfterAKill: who was shown as busy when the program died is put
// right when it lives again, also if the call has ended meanwhile.
func TestStatusAfterAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		f.settle(5 * time.Second)
		f.retail.SetUserStatus(11, "dinner", true)
		f.talk("first", "101")
		f.shown("on the phone", "busy")
		// What a new process starts with: the store, and no call of that name.
		f.phone.mu.Lock()
		f.phone.talks = nil
		f.phone.mu.Unlock()
		s, _, err := f.db.Settings(t.Context())
		must(t, err)
		s.Integrations[1].Name = "opened anew"
		_, err = f.Apply(t.Context(), "test", "", s)
		must(t, err)
		f.settle(10 * time.Second)
		f.shown("after the start", "dinner")
	})
}

// TestStatusOff: with user_status: off nothing is told, and nothing is taken over.
func TestStatusOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", func(s *bridge.Settings) { s.Integrations[1].Credentials["user_status"] = "off" })
		defer f.close()
		f.settle(5 * time.Second)
		f.talk("first", "101")
		f.shown("on the phone", "free")
		if got := f.retail.ChangeStatus(f.hooks(), f.registered(), 11, "break"); got.Status != 200 || f.hub.DND("101") {
			t.Errorf("%+v, do not disturb %v", got, f.hub.DND("101"))
		}
	})
}

// TestStatusBothWays: a break in the CRM is do-not-disturb here, and the
// other way round; nobody is told what he said himself.
func TestStatusBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFirm(t, "Europe/Moscow", nil)
		defer f.close()
		f.settle(5 * time.Second)
		rt, m := f.hooks(), f.registered()
		for _, tc := range []struct {
			status string
			on     bool
		}{{"break", true}, {"free", false}, {"dinner", true}, {"busy", true}, {"free", false}, {"busy", false}} {
			f.retail.ClearLog()
			if got := f.retail.ChangeStatus(rt, m, 11, tc.status); got.Status != 200 {
				t.Errorf("%s: %+v", tc.status, got)
			}
			f.settle(time.Second)
			if f.hub.DND("101") != tc.on {
				t.Errorf("after %s: do not disturb is %v", tc.status, f.hub.DND("101"))
			}
			if n := len(f.retail.RequestLog()); n != 0 {
				t.Errorf("%s was told to who said it: %v", tc.status, f.retail.RequestLog())
			}
		}
		if got := f.retail.ChangeStatus(rt, m, 11, "asleep"); got.Status != 400 {
			t.Errorf("no word of the CRM: %+v", got)
		}
		wrong := m
		wrong.ClientID = "x"
		if got := f.retail.ChangeStatus(rt, wrong, 11, "break"); got.Status != 401 || f.hub.DND("101") {
			t.Errorf("%+v", got)
		}
		must(t, f.SetDoNotDisturb(t.Context(), "101", true))
		f.settle(time.Second)
		f.shown("do not disturb", "break")
		must(t, f.SetDoNotDisturb(t.Context(), "101", false))
		f.settle(time.Second)
		f.shown("free again", "free")
	})
}
