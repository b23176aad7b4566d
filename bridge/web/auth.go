package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"callbridge/bridge"
	"callbridge/bridge/card"
)

const (
	sessionCookie = "callbridge_session"
	loginCookie   = "callbridge_login"
	langCookie    = "callbridge_lang"
)

// visitor is who sent a request.
type visitor struct {
	user    bridge.User
	digest  string // of the session
	token   string
	expires time.Time
	bearer  bool // by token, not by cookie
}

type visitorKey struct{}

// who returns the visitor; handlers of public routes may get nil.
func who(r *http.Request) *visitor {
	v, _ := r.Context().Value(visitorKey{}).(*visitor)
	return v
}

func (v *visitor) isAgent() bool {
	return v.user.Role != bridge.Admin && v.user.Role != bridge.Supervisor
}

// visitor finds out who sent r; nil if nobody we know.
func (s *server) visitor(r *http.Request) (*visitor, error) {
	v := &visitor{}
	if h := r.Header.Get("Authorization"); h != "" && !strings.HasPrefix(r.URL.Path, "/hooks/") {
		token, ok := strings.CutPrefix(h, "Bearer ")
		if !ok {
			return nil, nil
		}
		v.token, v.bearer = token, true
	} else if c, err := r.Cookie(sessionCookie); err == nil {
		v.token = c.Value
	}
	if v.token == "" || len(v.token) > 128 {
		return nil, nil
	}
	v.digest = digest(v.token)
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	login, expires, err := s.d.Sessions.Find(ctx, v.digest, time.Now())
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v.expires = expires
	if strings.HasPrefix(login, widgetMark) {
		v.user, err = s.widgetUser(login)
		if errors.Is(err, ErrNotFound) {
			return nil, nil // he left the CRM, or lost the extension
		}
		return v, err
	}
	v.user, err = s.d.Users.User(ctx, login)
	if errors.Is(err, ErrNotFound) {
		return nil, nil // he was removed since
	}
	return v, err
}

// extend moves the end of a session that is used: at most once an hour, so
// that reading pages does not write into the database all the time.
func (s *server) extend(w http.ResponseWriter, r *http.Request, v *visitor) {
	now := time.Now()
	end := now.Add(s.d.SessionAge)
	if end.Sub(v.expires) < time.Hour || strings.HasPrefix(v.user.Login, widgetMark) {
		return
	}
	if err := s.d.Sessions.Extend(r.Context(), v.digest, now, end); err != nil {
		s.log.Warn("a session could not be extended", "err", err)
		return
	}
	if !v.bearer {
		s.setCookie(w, sessionCookie, v.token, s.d.SessionAge)
	}
}

func (s *server) setCookie(w http.ResponseWriter, name, value string, age time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.secure, MaxAge: int(age / time.Second)}
	if value == "" {
		c.MaxAge = -1
	}
	if s.framed && s.secure {
		// In a frame of the CRM's site a Lax cookie would not be sent. The
		// CSRF token and the origin check hold without its help.
		c.SameSite, c.Partitioned = http.SameSiteNoneMode, true
	}
	http.SetCookie(w, c)
}

// csrf is the token that pages of this session send with what they change.
func (s *server) csrf(session string) string {
	m := hmac.New(sha256.New, s.d.Key)
	_, _ = m.Write([]byte("csrf\x00" + session))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:18])
}

func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

// Digest is what the store keeps of a token.
func Digest(token string) string { return digest(token) }

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// loginView is what the sign-in page shows.
type loginView struct {
	Token, Login, Next, Error, Demo string
}

func (s *server) loginPage(w http.ResponseWriter, r *http.Request) error {
	next := safeNext(r.URL.Query().Get("next"))
	if l := lang(r.URL.Query().Get("lang")); l == ru || l == en {
		s.setCookie(w, langCookie, string(l), 365*24*time.Hour)
	}
	if v := who(r); v != nil {
		http.Redirect(w, r, s.home(v, next), http.StatusSeeOther)
		return nil
	}
	return s.showLogin(w, r, 200, loginView{Next: next})
}

// showLogin writes the sign-in form with its own token: nobody is signed in
// yet, so the token belongs to a cookie set with the form.
func (s *server) showLogin(w http.ResponseWriter, r *http.Request, status int, v loginView) error {
	pre := rand.Text()
	if c, err := r.Cookie(loginCookie); err == nil && c.Value != "" && len(c.Value) < 64 {
		pre = c.Value
	}
	s.setCookie(w, loginCookie, pre, time.Hour)
	v.Token, v.Demo = s.csrf("login "+pre), s.d.Demo
	l := s.language(r)
	if status != 200 {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
	}
	return s.render(w, "login.html", s.page(r, l.t("login.title"), v))
}

func (s *server) login(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	v := loginView{Login: strings.TrimSpace(r.PostFormValue("login")), Next: safeNext(r.PostFormValue("next"))}
	c, err := r.Cookie(loginCookie)
	if err != nil || !equal(r.PostFormValue("csrf"), s.csrf("login "+c.Value)) {
		v.Error = s.language(r).t("error.csrf")
		return s.showLogin(w, r, 403, v)
	}
	token, user, err := s.signIn(r, v.Login, r.PostFormValue("password"))
	if e, ok := errors.AsType[*apiError](err); ok {
		v.Error = s.language(r).t("error." + e.Code)
		return s.showLogin(w, r, e.Status, v)
	}
	if err != nil {
		return err
	}
	s.setCookie(w, sessionCookie, token, s.d.SessionAge)
	s.setCookie(w, loginCookie, "", 0)
	http.Redirect(w, r, s.home(&visitor{user: user}, v.Next), http.StatusSeeOther)
	return nil
}

// signIn checks a password and begins a session.
func (s *server) signIn(r *http.Request, login, password string) (string, bridge.User, error) {
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	if !s.logins.allowed(ip, login, time.Now()) {
		return "", bridge.User{}, &apiError{Status: 429, Code: "too_many_attempts"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	user, err := s.d.Users.User(ctx, login)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", user, err
	}
	hash := user.PasswordHash
	if err != nil || hash == "" {
		hash = nobody
	}
	good, err2 := s.hashing.check(ctx, hash, password)
	if err2 != nil {
		return "", user, &apiError{Status: 503, Code: "slow"}
	}
	if !good || hash == nobody {
		s.logins.failed(ip, login, time.Now())
		s.log.Warn("sign-in refused", "login", login, "ip", ip)
		// What was typed as a login may be anything, a password too: only a login
		// that exists is written down.
		s.auditBy(r, user.Login, "refused", peer(r))
		return "", bridge.User{}, &apiError{Status: 401, Code: "wrong_password"}
	}
	token := rand.Text() + rand.Text()
	now := time.Now()
	if err := s.d.Sessions.Begin(ctx, digest(token), user.Login, now, now.Add(s.d.SessionAge)); err != nil {
		return "", user, err
	}
	s.auditBy(r, user.Login, "sign_in", peer(r))
	return token, user, nil
}

// peer is where a request comes from.
func peer(r *http.Request) string {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return ip
}

func (s *server) logout(w http.ResponseWriter, r *http.Request) error {
	v := who(r)
	if err := s.d.Sessions.End(r.Context(), v.digest); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	s.audit(r, "sign_out", peer(r))
	s.d.Hub.KickUser(v.user.Login)
	s.setCookie(w, sessionCookie, "", 0)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

// home is where a user lands.
func (s *server) home(v *visitor, next string) string {
	if next != "" {
		return next
	}
	if v.isAgent() {
		return "/agent"
	}
	return "/"
}

// safeNext keeps a way back inside our own pages.
func safeNext(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`) || strings.HasPrefix(u.Path, "/login") {
		return ""
	}
	return next
}

func (s *server) apiCards(w http.ResponseWriter, r *http.Request) error {
	v := who(r)
	s.d.Hub.Serve(w, r, card.Who{User: v.user.Login, Extension: v.user.Extension})
	return nil
}

// guard slows guessing of passwords down. Only failures count, so that an
// office of hundreds behind one address can sign in at nine o'clock.
type guard struct {
	mu   sync.Mutex
	seen map[string]*rate.Limiter
}

const guardSize = 10_000

func newGuard() *guard { return &guard{seen: map[string]*rate.Limiter{}} }

func (g *guard) limiters(ip, login string) [2]*rate.Limiter {
	get := func(key string, every time.Duration, burst int) *rate.Limiter {
		l := g.seen[key]
		if l == nil {
			if len(g.seen) >= guardSize { // a flood of invented names
				clear(g.seen)
			}
			l = rate.NewLimiter(rate.Every(every), burst)
			g.seen[key] = l
		}
		return l
	}
	return [2]*rate.Limiter{get("n\x00"+ip+"\x00"+login, 30*time.Second, 5), get("i\x00"+ip, time.Second, 100)}
}

func (g *guard) allowed(ip, login string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.limiters(ip, login) {
		if l.TokensAt(now) < 1 {
			return false
		}
	}
	return true
}

func (g *guard) failed(ip, login string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.limiters(ip, login) {
		l.AllowN(now, 1)
	}
}

// NewMemorySessions keeps sessions until the process ends.
func NewMemorySessions() Sessions { return &memorySessions{list: map[string]memorySession{}} }

type memorySession struct {
	login   string
	expires time.Time
}

type memorySessions struct {
	mu   sync.Mutex
	list map[string]memorySession
}

func (m *memorySessions) Begin(_ context.Context, digest, login string, now, expires time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d, v := range m.list {
		if v.expires.Before(now) {
			delete(m.list, d)
		}
	}
	m.list[digest] = memorySession{login, expires}
	return nil
}

func (m *memorySessions) Find(_ context.Context, digest string, now time.Time) (string, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.list[digest]
	if !ok || !v.expires.After(now) {
		return "", time.Time{}, ErrNotFound
	}
	return v.login, v.expires, nil
}

func (m *memorySessions) Extend(_ context.Context, digest string, _, expires time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.list[digest]; ok {
		m.list[digest] = memorySession{v.login, expires}
	}
	return nil
}

func (m *memorySessions) End(_ context.Context, digest string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.list, digest)
	return nil
}
