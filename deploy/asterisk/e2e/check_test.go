package e2e

import (
	"context"
	"testing"

	"callbridge/deploy/asterisk/bench"
	"callbridge/pbx"
	"callbridge/pbx/ari"
)

// TestF12DoctorOfARealAsterisk examines the bench, which runs on the sample
// files: nothing is wrong with them, and an examination leaves nothing behind.
func TestF12DoctorOfARealAsterisk(t *testing.T) {
	b := bench.Start(t)
	examine := func(app, click string) pbx.Report {
		t.Helper()
		p, err := ari.New(ari.Config{ID: "office", URL: b.URL, Username: b.User, Password: b.Password, App: app, ClickContext: click, Trunks: []string{b.Trunk}}, ari.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r, err := p.Check(ctx, pbx.Wanted{Routing: true, Clicks: true})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := examine(b.App, "click2call")
	for _, l := range r.Lines {
		if !l.OK {
			t.Errorf("%+v", l)
		}
	}
	if len(r.Lines) < 9 || r.Version == "" || r.Phones["101"] != "online" || r.Skew != 0 {
		t.Errorf("%+v", r)
	}
	found := false
	for _, l := range examine(b.App, "no-such-context").Lines {
		found = found || l.What == "dialplan: context no-such-context" && !l.OK
	}
	if !found {
		t.Error("a context that is not there was not missed")
	}
}
