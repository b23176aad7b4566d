package app

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"callbridge/crm"
)

// moduleActivity is the portal telling that its admin switched our module on or
// off, or that its billing froze it, and where the portal is now. Deliveries go
// on: what the portal does not want of us it refuses by itself.
func (a *App) moduleActivity(w http.ResponseWriter, r *http.Request) {
	t := a.fromCRM(w, r)
	if t == nil {
		return
	}
	var act struct {
		Active *bool `json:"active"`
		Freeze bool  `json:"freeze"`
	}
	if json.Unmarshal([]byte(r.FormValue("activity")), &act) != nil || act.Active == nil {
		crmAnswer(w, http.StatusBadRequest, "Wrong data")
		return
	}
	next := moduleState{active: *act.Active && !act.Freeze}
	if was := t.module.Load(); was != nil {
		next.print = was.print // ours is still what is registered
	}
	switch {
	case act.Freeze:
		next.err = "the portal's billing has frozen the module"
	case !*act.Active && t.usable():
		next.err = "the module was switched off in the portal: no pop-ups and no calls from cards until it is on again there"
	case moved(r.FormValue("systemUrl"), t.settings.Credentials["url"]):
		next.err = "the portal's address is " + r.FormValue("systemUrl") + " now; correct it in the settings"
	}
	t.module.Store(&next)
	a.log.Info("the CRM says how our module stands", "integration", t.settings.ID, "active", *act.Active, "frozen", act.Freeze)
	crmAnswer(w, http.StatusOK, "")
}

// moved says whether the portal names another host than the settings.
func moved(now, known string) bool {
	n, err := url.Parse(now)
	k, kerr := url.Parse(strings.TrimSpace(known))
	return err == nil && kerr == nil && n.Host != "" && !strings.EqualFold(n.Host, k.Host)
}

// moduleAccount is the link to us in the portal's list: the admin's browser
// comes to the page of the integration, where he signs in as usual.
func (a *App) moduleAccount(w http.ResponseWriter, r *http.Request) {
	t := a.fromCRM(w, r)
	if t == nil {
		return
	}
	http.Redirect(w, r, strings.TrimRight(a.cfg.PublicURL, "/")+"/integrations/"+url.PathEscape(t.settings.ID), http.StatusSeeOther)
}

// offTries is when a portal is told again that our module is off, if it could
// not be told before.
var offTries = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour}

// switchOff has our module switched off in the portal of t, which is no longer
// at work; it goes on trying until it is told, or activated again.
func (a *App) switchOff(t *target) {
	if _, ok := t.client.(crm.Installer); !ok {
		return
	}
	for _, wait := range offTries {
		a.install(a.work, t, false)
		now := a.targetOf(t.settings.ID)
		if now != nil && now != t {
			if now.active {
				return
			}
			now.module.Store(t.module.Load())
		}
		if m := t.module.Load(); m == nil || m.err == "" || a.cfg.PublicURL == "" {
			return
		}
		select {
		case <-a.work.Done():
			return
		case <-time.After(wait):
		}
	}
}
