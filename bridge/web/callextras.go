package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"callbridge/bridge"
)

// callExtras is what one can do on the page of a call.
func (s *server) callExtras(r *http.Request, v *callView) error {
	v.Plays = s.d.Play != nil
	l := s.language(r)
	if s.d.Desk != nil {
		rows, err := s.d.Desk.Written(r.Context(), v.Call.ID)
		if err != nil {
			return err
		}
		v.Written = s.workViews(l, unnamedRows(who(r), rows))
	}
	v.Resend = s.d.Switch != nil && v.Call.Ended() && who(r).user.Role == bridge.Admin
	if !v.Resend {
		return nil
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("resent")); err == nil && n >= 0 {
		v.Resent = strings.ReplaceAll(l.t("call.resent"), "{n}", strconv.Itoa(n))
	}
	var err error
	v.Integrations, err = s.integrations(r.Context())
	return err
}

// callResend sends one call to an integration: what is missing, or what the
// present rules want.
func (s *server) callResend(w http.ResponseWriter, r *http.Request) error {
	if s.d.Switch == nil {
		return ErrNotFound
	}
	c, err := s.d.Calls.Call(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), switchLimit)
	defer cancel()
	did, err := s.d.Switch.Resend(ctx, r.PostFormValue("integration"), ResendQuery{CallID: c.ID, Again: r.PostFormValue("again") != ""})
	if err != nil {
		return err
	}
	s.audit(r, "resend", c.ID)
	http.Redirect(w, r, "/calls/"+url.PathEscape(c.ID)+"?resent="+strconv.FormatInt(did.Deliveries, 10)+"#resend", http.StatusSeeOther)
	return nil
}
