package main

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"callbridge/bridge/web/webtest"
	"callbridge/pbx/ari/arisim"
	"callbridge/store"
)

// TestPagesAreAccessible checks every page there is with a library, light and
// dark: nothing serious may stand between a page and a screen reader.
func TestPagesAreAccessible(t *testing.T) {
	d := newDemo(t)
	for _, s := range []string{"in_missed_caller_hangs_up", "in_answered", "xfer_blind"} {
		if _, err := d.sim.Play(t.Context(), s, arisim.PlayOptions{Client: "79161234567", Speed: 20}); err != nil {
			t.Fatal(err)
		}
	}
	base := "http://" + d.app.Addr()
	var call string
	eventually(t, "the calls are over", func() bool {
		calls, _, err := d.app.Store().Calls(t.Context(), store.CallFilter{})
		if err == nil && len(calls) == 3 {
			call = calls[0].ID
		}
		return call != ""
	})
	rows, err := d.app.Store().Deliveries(t.Context(), store.DeliveryFilter{Limit: 1})
	if err != nil || len(rows) == 0 {
		t.Fatalf("no delivery: %v", err)
	}
	b := webtest.Open(t, 1280, 900)
	both := func(name string) {
		t.Helper()
		b.Light()
		b.Accessible(name)
		b.Dark()
		b.Contrast(name + " (dark)")
		b.Light()
	}
	b.Go(base + "/login")
	both("/login")

	signIn(b, base, "ivan", "demoivan")
	b.Until(`document.querySelector("#link").dataset.state === "online"`)
	both("/agent, quiet")
	talk, err := d.sim.Begin(t.Context(), "in_answered", arisim.PlayOptions{Client: "79161234567", Speed: 4, Talk: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	b.See(`.card.talking .desk`)
	b.Until(`document.querySelector(".card h2").innerText.includes("Мария")`)
	b.Click(`.card [data-key=transfer]`)
	both("/agent, a talk")
	b.Click(`.card .kinds label:nth-child(3)`)
	b.Click(`.menu summary`)
	b.Accessible("/agent, menu and outcome")
	b.Size(390, 844)
	b.Accessible("/agent, 390 px")
	b.Size(1280, 900)

	b.Go(base + "/agent")
	b.Click(`.menu summary`)
	b.Click(`form[action="/logout"] button`)
	b.See(`.signin`)
	b.Type(`[name=login]`, "admin")
	b.Type(`[name=password]`, "demoadmin")
	b.Click(`.signin .primary`)
	b.See(`main`)
	seen := map[string]bool{"/login": true, "/agent": true}
	for _, p := range pagesOf(t, base) {
		at := p
		for from, to := range map[string]string{"/calls/{id}": "/calls/" + call, "/integrations/{id}": "/integrations/megaplan-main",
			"/settings/integrations/{id}": "/settings/integrations/megaplan-main", "/settings/versions/{id}": "/settings/versions/1",
			"/settings/credentials/{id}": "/settings/credentials/new?kind=megaplan", "/deliveries/{id}": "/deliveries/" + strconv.FormatInt(rows[0].ID, 10)} {
			if strings.HasPrefix(p, from) {
				at = to + strings.TrimPrefix(p, from)
			}
		}
		if seen[p] {
			continue
		}
		b.Go(base + at)
		b.See(`main, body`)
		if status := webtest.Eval[int](b, `performance.getEntriesByType("navigation")[0].responseStatus`); status != 200 {
			t.Errorf("%s answers %d: this test must know how to see it", at, status)
			continue
		}
		both(at)
	}
	for _, p := range []string{"/settings/integrations/new?kind=retailcrm", "/?period=week"} {
		b.Go(base + p)
		b.See(`main`)
		both(p)
	}
	_ = talk // it ends with the demo
}

// pagesOf reads from the served document which pages there are.
func pagesOf(t *testing.T, base string) []string {
	t.Helper()
	res, err := http.Get(base + "/api/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]any `json:"content"`
			} `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	var out []string
	for path, ops := range doc.Paths {
		if _, html := ops["get"].Responses["200"].Content["text/html"]; html && !strings.HasPrefix(path, "/hooks/") && path != "/agent/recent" && path != "/once" {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	if len(out) < 15 {
		t.Fatalf("only %v", out)
	}
	return out
}
