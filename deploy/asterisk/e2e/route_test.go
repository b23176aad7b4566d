package e2e

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/card"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/deploy/asterisk/bench"
)

// TestM46M010RoutedCalls: on a real Asterisk a client is connected with his
// personal manager, asked for through Stasis() and through CURL(); while she
// is not to be disturbed the main phone rings. The reason stands with the call.
func TestM46M010RoutedCalls(t *testing.T) {
	b := bench.Start(t)
	p := company(t, b)
	mega := p.crms["megaplan"].(*megaplantest.Server)
	mega.AddClient(megaplantest.Client{FirstName: "Мария", Phones: []string{bench.Client}, Responsible: "olga@example.ru"})
	ivan, olga := p.browser(t, "ivan"), p.browser(t, "olga")
	ari := func(path string, q url.Values) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL+path+"?"+q.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(b.User, b.Password)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode >= 300 {
			t.Fatalf("ARI: %s", res.Status)
		}
	}
	global := func(name, value string) {
		t.Helper()
		ari("/asterisk/variable", url.Values{"variable": {name}, "value": {value}})
	}
	global("CALLBRIDGE_URL", p.url+"/hooks/office/route")
	global("CALLBRIDGE_SECRET", routeSecret)
	p.eventually("olga's extension is known", func() error {
		if p.count("megaplan") == nil || len(mega.Requests()) == 0 {
			return errors.New("Megaplan was not asked yet")
		}
		return nil
	})

	for _, c := range []struct {
		name, line string
		dnd, wrong bool // olga is not to be disturbed; the dialplan has a wrong secret
		asked      bool // the decision is kept
	}{
		{name: "Stasis", line: bench.MainLine, asked: true},
		{name: "CURL", line: bench.HTTPLine, asked: true},
		{name: "Stasis, do not disturb", line: bench.MainLine, dnd: true, asked: true},
		{name: "CURL, do not disturb", line: bench.HTTPLine, dnd: true, asked: true},
		{name: "CURL with a wrong secret", line: bench.HTTPLine, wrong: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.wrong {
				global("CALLBRIDGE_SECRET", "not-the-secret")
			}
			if err := p.do(olga.token, http.MethodPut, "/api/v1/me/dnd", map[string]bool{"on": c.dnd}, nil); err != nil {
				t.Fatal(err)
			}
			who, ext, scenario := olga, "102", "in_routed_http"
			if c.dnd || c.wrong {
				who, ext, scenario = ivan, "101", "in_answered"
			}
			playing := b.Begin(t, scenario, bench.Options{Line: c.line, Ring: 300 * time.Millisecond, Talk: 500 * time.Millisecond})
			shown := who.card(t, card.Ringing)
			who.gone(t, shown.ID)
			playing.Wait(t)
			var got struct {
				bridge.Call
				Routes []struct {
					Extension, Why string
					Steps          []struct{ Extension, Skipped string }
				}
			}
			p.eventually("the call is over and explained", func() error {
				if err := p.get(p.admin, "/api/v1/calls/"+shown.ID, &got); err != nil {
					return err
				}
				if !got.Ended() || c.asked && len(got.Routes) != 1 {
					return errors.New("not yet")
				}
				return nil
			})
			if len(got.AnsweredBy) != 1 || got.AnsweredBy[0] != ext {
				t.Errorf("%v answered, want %s", got.AnsweredBy, ext)
			}
			if !c.asked {
				if len(got.Routes) != 0 {
					t.Errorf("a question with a wrong secret was answered: %+v", got.Routes)
				}
				return
			}
			r := got.Routes[0]
			// With her out of the way it is who talked last, if anybody did, else the main phone.
			if (r.Extension == "102") == c.dnd || len(r.Steps) == 0 || r.Steps[0].Extension != "102" ||
				(r.Steps[0].Skipped == "do not disturb") != c.dnd {
				t.Errorf("decision %+v", r)
			}
		})
	}
}
