package web

import (
	"net/url"
	"strings"
	"testing"
)

// TestM013WidgetInTheCRM: a one-time link signs in once, and only the agents'
// page may stand in the CRM's frame.
func TestM013WidgetInTheCRM(t *testing.T) {
	w := newWorld(t).start(t, func(d *Deps) {
		d.PublicURL, d.FrameAncestors = "http://calls.example.ru", []string{"https://mp000000.megaplan.ru"}
	})
	admin := w.signIn(t, "admin")
	got := decode[struct{ URL string }](t, admin.do("POST", "/api/v1/login-links", `{"login":"ivan"}`), 201)
	link, err := url.Parse(got.URL)
	if err != nil || link.Host != "calls.example.ru" || link.Path != "/once" {
		t.Fatalf("%q %v", got.URL, err)
	}
	widget := w.browser(t)
	a := widget.get(link.RequestURI())
	if a.status != 303 || a.header.Get("Location") != "/agent" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := widget.get("/agent"); a.status != 200 || !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'self' https://mp000000.megaplan.ru") || a.header.Get("X-Frame-Options") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := w.browser(t).get(link.RequestURI()); a.status != 403 {
		t.Errorf("the same link again: %d", a.status)
	}
	for _, path := range []string{"/once", "/once?t=invented", "/once?t=" + strings.Repeat("x", 200)} {
		if a := w.browser(t).get(path); a.status != 403 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := admin.get("/"); strings.Contains(a.header.Get("Content-Security-Policy"), "megaplan") || a.header.Get("X-Frame-Options") != "SAMEORIGIN" {
		t.Errorf("the console may be framed: %v", a.header)
	}
	refusedWith(t, admin.do("POST", "/api/v1/login-links", `{"login":"nobody"}`), 422, "no_user", "login")
	refusedWith(t, admin.do("POST", "/api/v1/login-links", `{}`), 422, "missing", "login")
	refusedWith(t, admin.do("POST", "/api/v1/login-links", `{"login":"ivan","minutes":9999}`), 422, "bad_minutes", "minutes")
	refusedWith(t, w.signIn(t, "boss").do("POST", "/api/v1/login-links", `{"login":"admin"}`), 403, "admins_only", "")
	// A session's own token is no link, and a link is no token.
	got = decode[struct{ URL string }](t, admin.do("POST", "/api/v1/login-links", `{"login":"ivan"}`), 201)
	token := strings.TrimPrefix(got.URL, "http://calls.example.ru/once?t=")
	if a := w.browser(t).get("/api/v1/me", "Authorization", "Bearer "+token); a.status != 401 {
		t.Errorf("a link as a token: %d", a.status)
	}
}
