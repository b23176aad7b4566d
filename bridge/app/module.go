package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/phone"
	"callbridge/bridge/web"
	"callbridge/crm"
	"callbridge/pbx"
)

// clientID is what a CRM shows when it calls us: a secret per integration that
// nobody can guess and that needs no storing.
func (a *App) clientID(integration string) string {
	m := hmac.New(sha256.New, a.opts.Key)
	_, _ = m.Write([]byte("client id of integration " + integration))
	return hex.EncodeToString(m.Sum(nil))
}

// module is our telephony as the CRM of t is to register it.
func (a *App) module(t *target, active bool) crm.Module {
	base := strings.TrimRight(a.cfg.PublicURL, "/")
	path := "/hooks/" + t.settings.ID
	hooks := base + path
	m := crm.Module{Active: active, ClientID: a.clientID(t.settings.ID), BaseURL: base, MakeCallURL: hooks + "/make-call",
		StatusURL: hooks + "/user-status", LogoURL: base + "/static/icon.svg", ActivityPath: path + "/activity", AccountURL: hooks + "/account", Phone: t.settings.ClickToCall.Number}
	for _, e := range t.staff.Load().Joined() {
		m.Extensions = append(m.Extensions, crm.Person{Extension: e.Extension, User: e.User})
	}
	return m
}

// installLimit bounds the registration of our module.
const installLimit = 20 * time.Second

// install registers our telephony in the CRM when anything about it changed
// and switches it off there (active false). What came of it is shown.
func (a *App) install(ctx context.Context, t *target, active bool) {
	in, ok := t.client.(crm.Installer)
	if !ok {
		return
	}
	if a.cfg.PublicURL == "" {
		t.module.Store(&moduleState{err: "public_url is not configured, so the CRM cannot reach us: no calls can be ordered from it"})
		return
	}
	m := a.module(t, active)
	print := fmt.Sprintf("%+v", m)
	if was := t.module.Load(); was != nil && was.print == print {
		return
	}
	ictx, cancel := context.WithTimeout(t.asking(ctx, crm.Fresh), installLimit)
	defer cancel()
	if err := in.Install(ictx, m); err != nil {
		if ctx.Err() != nil {
			return
		}
		t.refused(ctx, "register module", err)
		a.log.Warn("our telephony could not be registered in the CRM", "integration", t.settings.ID, "active", active, "err", err)
		t.module.Store(&moduleState{err: err.Error()})
		return
	}
	t.module.Store(&moduleState{print: print, active: active})
	a.log.Info("our telephony is registered in the CRM", "integration", t.settings.ID, "active", active, "extensions", len(m.Extensions))
}

// moduleState is what came of the last registration.
type moduleState struct {
	print  string // of what is registered, "" if that failed
	active bool
	err    string
}

// moduleSays is the state in a word for the page, and the trouble if any.
func (t *target) moduleSays() (state, trouble string) {
	m := t.module.Load()
	switch {
	case m == nil:
		return "", ""
	case m.err != "":
		return "failed", m.err
	case m.active:
		return "active", ""
	}
	return "inactive", ""
}

// fromCRM finds the integration whose CRM calls us; it answers by itself when
// the caller cannot show our secret.
func (a *App) fromCRM(w http.ResponseWriter, r *http.Request) *target {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	id := r.PathValue("integration")
	t := a.targetOf(id)
	// Compared even if there is no such integration: the answer tells nothing.
	if !hmac.Equal([]byte(r.FormValue("clientId")), []byte(a.clientID(id))) || t == nil {
		crmAnswer(w, http.StatusUnauthorized, "wrong clientId")
		return nil
	}
	if !t.calls.Allow() {
		crmAnswer(w, http.StatusTooManyRequests, "too many requests")
		return nil
	}
	return t
}

// userOfCRM is fromCRM for what the CRM tells of one of its users: with his
// extension. The target is nil once the answer is written.
func (a *App) userOfCRM(w http.ResponseWriter, r *http.Request) (*target, string) {
	t := a.fromCRM(w, r)
	if t == nil {
		return nil, ""
	}
	ext := t.extensionOf(r)
	if ext == "" {
		crmAnswer(w, http.StatusBadRequest, "the user has no extension")
		return nil, ""
	}
	return t, ext
}

func crmAnswer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if status < 300 {
		_, _ = w.Write([]byte(`{"success":true}`))
		return
	}
	_, _ = fmt.Fprintf(w, `{"success":false,"error":%q}`, text)
}

// extensionOf is the phone of the CRM's user: what the CRM says, if we know it,
// else what we have for the user.
func (t *target) extensionOf(r *http.Request) string {
	if code := strings.TrimSpace(r.FormValue("code")); code != "" {
		if _, ok := t.ByExtension(code); ok {
			return code
		}
	}
	if e, ok := t.ByUser(crm.UserID(r.FormValue("userId"))); ok {
		return e.Extension
	}
	return ""
}

// clickAgain is how long the same number from the same phone is the same click.
const clickAgain = 10 * time.Second

// makeCall is the CRM's click-to-call. The CRM sends no id of the click, so
// the same number for the same phone within seconds is a repetition and rings
// nobody again (D-19).
func (a *App) makeCall(w http.ResponseWriter, r *http.Request) {
	t, ext := a.userOfCRM(w, r)
	if t == nil {
		return
	}
	number := strings.TrimSpace(r.FormValue("phone"))
	n, kind := phone.Parse(number, a.cfg.Country)
	if kind != phone.Public {
		crmAnswer(w, http.StatusBadRequest, "this is no telephone number that can be called")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 4*time.Second)
	defer cancel()
	_, err := a.Dial(ctx, web.Click{RequestID: t.clickID(ext, n, time.Now()), Extension: ext, Number: string(n), User: t.settings.ID, Integration: t.settings.ID})
	if ref, ok := errors.AsType[*pbx.Refusal](err); ok {
		status := http.StatusConflict
		if ref.Code == "pbx_unreachable" {
			status = http.StatusInternalServerError
		}
		crmAnswer(w, status, ref.Text)
		return
	}
	if err != nil {
		a.log.Error("a call ordered by the CRM could not be placed", "integration", t.settings.ID, "err", err)
		crmAnswer(w, http.StatusInternalServerError, "the telephone system did not take the order")
		return
	}
	crmAnswer(w, http.StatusOK, "")
}

// clickID is the same for repetitions of one click.
func (t *target) clickID(ext string, n bridge.Number, now time.Time) string {
	t.clickMu.Lock()
	defer t.clickMu.Unlock()
	if t.clicks == nil {
		t.clicks = map[string]time.Time{}
	}
	for k, at := range t.clicks {
		if now.Sub(at) > clickAgain {
			delete(t.clicks, k)
		}
	}
	key := ext + " " + string(n)
	at, again := t.clicks[key]
	if !again {
		at = now
		t.clicks[key] = now
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", t.settings.ID, key, at.UnixNano()))
	return "crm-" + hex.EncodeToString(sum[:12])
}
