package web

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"callbridge/bridge"
)

// onceMark begins the owner of a one-time link among the sessions. No login has
// a colon, so such a session signs in nobody by itself.
const onceMark = "once:"

// onceLife is how long a one-time link is good for at most.
const onceLife = 24 * time.Hour

// apiLoginLink gives a link that signs a user in once: for the widget in the
// CRM, and for colleagues who shall not be told a password (M-0.13).
func (s *server) apiLoginLink(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Login   string `json:"login"`
		Minutes int    `json:"minutes"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	v := who(r)
	if v.user.Role != bridge.Admin {
		return &apiError{Status: 403, Code: "admins_only"}
	}
	if in.Login == "" {
		return invalid("login", "missing")
	}
	if in.Minutes == 0 {
		in.Minutes = 15
	}
	if in.Minutes < 1 || in.Minutes > int(onceLife/time.Minute) {
		return invalid("minutes", "bad_minutes")
	}
	user, err := s.d.Users.User(r.Context(), in.Login)
	if errors.Is(err, ErrNotFound) {
		return invalid("login", "no_user")
	}
	if err != nil {
		return err
	}
	token, now := rand.Text()+rand.Text(), time.Now()
	end := now.Add(time.Duration(in.Minutes) * time.Minute)
	if err := s.d.Sessions.Begin(r.Context(), digest(token), onceMark+user.Login, now, end); err != nil {
		return err
	}
	s.audit(r, "login_link", user.Login)
	writeJSON(w, 201, map[string]any{"url": strings.TrimRight(s.d.PublicURL, "/") + "/once?t=" + url.QueryEscape(token), "expires_at": bridge.At(end)})
	return nil
}

// once signs in who comes with a one-time link. The link is used up first, so
// that a second one who comes with it is refused.
func (s *server) once(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("t")
	if token == "" || len(token) > 128 {
		return &apiError{Status: 403, Code: "link_used"}
	}
	s.onceMu.Lock()
	owner, _, err := s.d.Sessions.Find(r.Context(), digest(token), time.Now())
	if err == nil && strings.HasPrefix(owner, onceMark) {
		err = s.d.Sessions.End(r.Context(), digest(token))
	}
	s.onceMu.Unlock()
	login, ok := strings.CutPrefix(owner, onceMark)
	if errors.Is(err, ErrNotFound) || err == nil && !ok {
		return &apiError{Status: 403, Code: "link_used"}
	}
	if err != nil {
		return err
	}
	user, err := s.d.Users.User(r.Context(), login)
	if err != nil {
		return err
	}
	session, now := rand.Text()+rand.Text(), time.Now()
	if err := s.d.Sessions.Begin(r.Context(), digest(session), user.Login, now, now.Add(s.d.SessionAge)); err != nil {
		return err
	}
	s.auditBy(r, user.Login, "sign_in", peer(r))
	s.setCookie(w, sessionCookie, session, s.d.SessionAge)
	http.Redirect(w, r, s.home(&visitor{user: user}, safeNext(r.URL.Query().Get("next"))), http.StatusSeeOther)
	return nil
}

// mayBeFramed says whether a page may stand in a frame of the CRM: the agents'
// page and what leads to it. The console never (M-0.13).
func mayBeFramed(path string) bool {
	if rest, ok := strings.CutPrefix(path, "/hooks/"); ok {
		_, page, _ := strings.Cut(rest, "/")
		return page == "widget" || page == "call"
	}
	return path == "/agent" || strings.HasPrefix(path, "/agent/") || path == "/login" || path == "/once" || path == "/language"
}

// audit writes down who did what; that it cannot be written stops nobody.
func (s *server) audit(r *http.Request, what, object string) {
	if s.d.Audit == nil {
		return
	}
	by := ""
	if v := who(r); v != nil {
		by = v.user.Login
	}
	s.auditBy(r, by, what, object)
}

// auditBy is audit for one who is not signed in yet.
func (s *server) auditBy(r *http.Request, by, what, object string) {
	if s.d.Audit == nil {
		return
	}
	if err := s.d.Audit.Note(r.Context(), by, what, object); err != nil {
		s.log.Warn("what was done could not be written down", "what", what, "err", err)
	}
}
