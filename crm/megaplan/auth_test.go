package megaplan_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"callbridge/bridge/fault"
	"callbridge/bridge/setting"
	"callbridge/crm"
	"callbridge/crm/megaplan"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
)

func (r *rig) find() error {
	_, err := r.FindContacts(r.ctx(), number)
	return err
}

func TestTokenIsRenewedAheadAndRefreshTokenRotates(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		r.wantLogins("password")
		for range 3 {
			time.Sleep(44 * time.Hour) // of 48
			if err := r.find(); err != nil {
				t.Fatal(err)
			}
			r.wantLogins("refresh_token") // a reused one would be refused and end in a log-in
		}
		time.Sleep(10 * time.Hour)
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		r.wantLogins()
	})
}

func TestTokensSurviveRestart(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		must[crm.Report](t)(r.Check(r.ctx()))
		r.f.ClearLog()
		r.restart()
		must[crm.Report](t)(r.Check(r.ctx()))
		r.wantLogins()

		// Tokens of another password are not used.
		r.f.SetPassword("new", false)
		r.values["password"] = "new"
		r.restart()
		must[crm.Report](t)(r.Check(r.ctx()))
		r.wantLogins("password")
	})
}

func TestTokenIsSavedBeforeItIsUsed(t *testing.T) {
	bubble(t, fake, setting.Values{"search": "quick"}, func(t *testing.T, r *rig) {
		r.saveErr = errDisk
		wantKind(t, r.find(), fault.Temporary)
		if n := r.count("GET /callRoute"); n != 0 {
			t.Errorf("%d requests with a token that was not saved", n)
		}
		r.saveErr = nil
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		r.wantLogins("password") // the token of the first log-in was kept and saved late
	})
}

func TestExpiredTokenIsRenewedOnceAndRequestReplayed(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		r.f.ExpireTokens()
		r.f.ClearLog()
		c, err := r.CreateContact(r.ctx(), key("contact"), crm.NewContact{Phone: number})
		if err != nil || c.ID == "" {
			t.Fatal(c, err)
		}
		r.wantLogins("refresh_token")
		r.one("contact")

		r.f.ExpireTokens()
		r.f.DropRefreshTokens()
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		r.wantLogins("refresh_token", "password")
	})
}

func TestOneRenewalForManyRequests(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		r.f.ExpireTokens()
		r.f.ClearLog()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := r.find(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		r.wantLogins("refresh_token")
	})
}

func TestChangedPasswordDeactivates(t *testing.T) {
	for _, status := range []int{0, 401, 403} {
		bubble(t, fake, nil, func(t *testing.T, r *rig) {
			r.f.Change(func(q *megaplantest.Quirks) { q.TokenRefusal = status })
			if err := r.find(); err != nil {
				t.Fatal(err)
			}
			r.f.SetPassword("changed", false)
			if err := r.find(); err != nil {
				t.Fatalf("a token that lives on must be used: %v", err)
			}
			r.f.ExpireTokens()
			err := r.find()
			wantKind(t, err, fault.Auth)
			if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), login) {
				t.Errorf("the error shows credentials: %v", err)
			}
			wantKind(t, r.find(), fault.Auth)
			r.f.SetPassword(password, false)
			if err := r.find(); err != nil {
				t.Errorf("back again: %v", err)
			}
		})
	}
}

func TestRefusalInOAuthForm(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		r.f.Change(func(q *megaplantest.Quirks) { q.OAuthRefusal = true })
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		r.f.ExpireTokens()
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		r.f.SetPassword("changed", true)
		wantKind(t, r.find(), fault.Auth)
	})
}

func TestTroubleAtTokenEndpointIsTemporary(t *testing.T) {
	for _, f := range []sandbox.Fault{{Status: 502, HTML: true}, {Drop: true}, {Hang: true}, {AfterApply: true}, {Status: 200, Body: `{}`}} {
		bubble(t, fake, nil, func(t *testing.T, r *rig) {
			r.f.FailNext(1, "/auth/", f)
			wantKind(t, r.find(), fault.Temporary)
			if err := r.find(); err != nil {
				t.Fatal(err)
			}
		})
	}
	bubble(t, fake, nil, func(t *testing.T, r *rig) { // while the old token still lives
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(44 * time.Hour)
		r.f.FailNext(-1, "/auth/", sandbox.Fault{Status: 500})
		if err := r.find(); err != nil {
			t.Errorf("the token lives for four hours more: %v", err)
		}
		time.Sleep(5 * time.Hour)
		wantKind(t, r.find(), fault.Temporary)
	})
}

func TestSwitchedOffAccountIsAuthAndMissingRightIsForbidden(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		r.f.Restrict("deal")
		_, err := r.CreateDeal(r.ctx(), key("deal"), crm.NewDeal{Title: "x", Pipeline: "1"})
		wantKind(t, err, fault.Forbidden)
		if !strings.Contains(err.Error(), "create deal") {
			t.Errorf("the operation is not named: %v", err)
		}
		r.f.SwitchOff(true)
		_, err = r.CreateDeal(r.ctx(), key("deal"), crm.NewDeal{Title: "x", Pipeline: "1"})
		wantKind(t, err, fault.Auth)
		_, err = r.Check(r.ctx())
		wantKind(t, err, fault.Auth)
	})
}

func TestWrongPasswordAtCheck(t *testing.T) {
	bubble(t, fake, setting.Values{"password": "wrong"}, func(t *testing.T, r *rig) {
		_, err := r.Check(r.ctx())
		wantKind(t, err, fault.Auth)
	})
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	for _, c := range []struct {
		name string
		v    setting.Values
		want string
	}{
		{"no credentials", setting.Values{"url": "https://a.megaplan.ru"}, "username"},
		{"no password", setting.Values{"url": "https://a.megaplan.ru", "username": "x"}, "password"},
		{"no https", setting.Values{"url": "http://a.megaplan.ru", "token": "x"}, "https://"},
		{"no address", setting.Values{"url": "a.megaplan.ru", "token": "x"}, "url"},
		{"bad rate", setting.Values{"url": "https://a.megaplan.ru", "token": "x", "requests_per_second": "much"}, "requests_per_second"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := megaplan.Driver.Open(crm.Env{}, c.v)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %s", err, c.want)
			}
		})
	}
	for _, u := range []string{"http://127.0.0.1:8081", "http://localhost:8081", "http://megaplan.localhost", "http://[::1]:8081", "https://www.a.ru/"} {
		if _, err := megaplan.Driver.Open(crm.Env{}, setting.Values{"url": u, "token": "x"}); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	required := slices.ContainsFunc(megaplan.Driver.Fields, func(f setting.Field) bool { return f.Name == "url" && f.Required })
	if p := setting.Validate("", megaplan.Driver.Fields, setting.Values{"url": "https://a.megaplan.ru", "token": "x"}); !required || len(p) > 0 {
		t.Errorf("problems %v", p)
	}
}

func TestRateIsKept(t *testing.T) {
	bubble(t, fake, setting.Values{"requests_per_second": "2", "search": "quick"}, func(t *testing.T, r *rig) {
		if err := r.find(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range 340 {
			if err := r.find(); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 15*time.Second {
			t.Errorf("340 requests within %v at 2 a second and a reserve of 300", took)
		}
	})
}
