package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/web"
	"callbridge/crm"
)

// Opened asks the CRM who opened our page inside it, and gives his extension.
func (a *App) Opened(ctx context.Context, integration string, asked url.Values) (string, error) {
	t := a.targetOf(integration)
	if t == nil || !t.settings.Active {
		return "", &web.Refused{Code: "widget_off"}
	}
	host, ok := t.client.(crm.Embedder)
	if !ok {
		return "", &web.Refused{Code: "widget_unsupported"}
	}
	if !t.calls.Allow() {
		return "", &web.Refused{Code: "widget_crm"}
	}
	user, err := host.WhoOpened(t.asking(ctx, crm.Urgent), asked)
	switch fault.KindOf(err) {
	case fault.Forbidden, fault.Gone, fault.Invalid:
		return "", &web.Refused{Code: "widget_unknown"}
	}
	if err != nil {
		t.refused(ctx, "who opened the page", err)
		a.log.Warn("the CRM did not tell who opened our page", "integration", integration, "kind", fault.KindOf(err).String())
		return "", &web.Refused{Code: "widget_crm"}
	}
	e, ok := t.ByUser(user)
	if !ok || e.Extension == "" || !a.Joined(integration, e.Extension) {
		return "", &web.Refused{Code: "widget_no_phone", Text: e.Name}
	}
	return e.Extension, nil
}

// Joined says whether an extension belongs to an active user of the CRM now.
func (a *App) Joined(integration, ext string) bool {
	t := a.targetOf(integration)
	if t == nil || !t.settings.Active || ext == "" {
		return false
	}
	e, ok := t.ByExtension(ext)
	return ok && e.Active
}

// linkSign signs what an address may do. The settings' number of links goes in:
// raising it withdraws all addresses given so far.
func (a *App) linkSign(l web.CallLink, until int64) string {
	version := 0
	if t := a.targetOf(l.Integration); t != nil {
		version = t.settings.ClickToCall.Links
	}
	m := hmac.New(sha256.New, a.opts.Key)
	_, _ = fmt.Fprintf(m, "call link\n%s\n%s\n%s\n%d\n%d", l.Integration, l.Extension, l.Number, until, version)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:18])
}

// MakeLink signs an address that orders calls: for one phone or any, to one
// number or to whatever the address gives.
func (a *App) MakeLink(_ context.Context, l web.CallLink) (web.CallLink, error) {
	t := a.targetOf(l.Integration)
	switch {
	case t == nil:
		return l, web.ErrNotFound
	case a.cfg.PublicURL == "":
		return l, &web.Refused{Code: "link_no_address"}
	case l.Extension != web.AnyPhone && !a.Joined(l.Integration, l.Extension):
		return l, &web.Refused{Code: "unknown_extension", Text: l.Extension}
	}
	until := l.Until.Unix()
	q := url.Values{"ext": {l.Extension}, "until": {strconv.FormatInt(until, 10)}, "sig": {a.linkSign(l, until)}}
	if l.Number != "" {
		q.Set("to", l.Number)
	}
	l.Until = bridge.At(time.Unix(until, 0).UTC())
	l.URL = strings.TrimRight(a.cfg.PublicURL, "/") + "/hooks/" + url.PathEscape(l.Integration) + "/call?" + q.Encode()
	return l, nil
}

// Follow reads a signed address. What the signature leaves open the caller
// adds: phone, and extension, user or email of whose phone is to ring.
func (a *App) Follow(integration string, asked url.Values, now time.Time) (web.CallLink, error) {
	l := web.CallLink{Integration: integration, Extension: asked.Get("ext"), Number: asked.Get("to")}
	until, err := strconv.ParseInt(asked.Get("until"), 10, 64)
	t := a.targetOf(integration)
	// Compared even if there is no such integration: the answer tells nothing.
	good := hmac.Equal([]byte(asked.Get("sig")), []byte(a.linkSign(l, until)))
	switch {
	case !good || err != nil || t == nil:
		return l, &web.Refused{Code: "link_wrong"}
	case !now.Before(time.Unix(until, 0)):
		return l, &web.Refused{Code: "link_expired"}
	case !t.settings.Active:
		return l, &web.Refused{Code: "widget_off"}
	case !t.calls.Allow():
		return l, &web.Refused{Code: "too_many_attempts"}
	}
	l.Until = bridge.At(time.Unix(until, 0).UTC())
	if l.Number == "" {
		l.Number = asked.Get("phone")
	}
	if l.Extension == web.AnyPhone {
		l.Extension = t.phoneOf(asked)
	} else if !a.Joined(integration, l.Extension) {
		l.Extension = ""
	}
	return l, nil
}

// phoneOf finds whose phone is to ring, by what the caller knows of him.
func (t *target) phoneOf(asked url.Values) string {
	if ext := strings.TrimSpace(asked.Get("extension")); ext != "" {
		if e, ok := t.ByExtension(ext); ok && e.Active {
			return ext
		}
		return ""
	}
	e, ok := t.ByUser(crm.UserID(strings.TrimSpace(asked.Get("user"))))
	if mail := asked.Get("email"); !ok && mail != "" {
		e, ok = t.ByEmail(mail)
	}
	if !ok || !e.Active {
		return ""
	}
	return e.Extension
}
