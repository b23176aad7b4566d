package web

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"callbridge/bridge"
)

//go:embed templates/*.html static openapi.json
var files embed.FS

// settingsLimit is the size of thousands of employees.
const settingsLimit = 2 << 20

const (
	bodyLimit  = 64 << 10 // of a request to us; nothing we take is longer
	routeLimit = time.Second
)

// server holds what all handlers share.
type server struct {
	d       Deps
	log     *slog.Logger
	secure  bool   // the public address is https
	framed  bool   // pages may stand in a frame of another site
	policy  string // Content-Security-Policy
	counts  statsCache
	onceMu  sync.Mutex
	framing string             // Content-Security-Policy of what may be framed
	pages   *template.Template // never carried out themselves: see zones
	zones   zones
	logins  *guard
	hashing hashing
	origin  *http.CrossOriginProtection
}

// access says who may use a route.
type access uint8

const (
	public  access = iota // nobody needs to be known
	proven                // the address itself is the proof; cookies do not count
	signed                // anybody signed in: he sees what is his
	console               // supervisors and admins
	admins                // admins only: changes what the whole company does
)

// route is one address. The table is the single list of them: the mux is made
// from it, and the test compares it with the OpenAPI document.
type route struct {
	pattern string
	who     access
	handler func(http.ResponseWriter, *http.Request) error
}

func (s *server) routes() []route {
	return append([]route{
		{"GET /login", public, s.loginPage},
		{"POST /login", public, s.login},
		{"POST /logout", signed, s.logout},
		{"GET /once", public, s.once},
		{"POST /language", public, s.setLanguage},
		{"GET /static/", public, s.static},
		{"GET /favicon.ico", public, s.favicon},

		{"GET /agent", signed, s.agentPage},
		{"GET /agent/recent", signed, s.agentRecent},
		{"GET /agent/call", signed, s.agentCall},
		{"GET /{$}", console, s.overviewPage},
		{"GET /calls", console, s.callsPage},
		{"GET /calls/{id}", console, s.callPage},
		{"GET /calls/{id}/why", console, s.whyPage},
		{"GET /calls/{id}/case", console, s.caseFile},
		{"GET /deliveries", console, s.deliveriesPage},
		{"POST /deliveries", admins, s.deliveriesForm},
		{"GET /deliveries/{id}", console, s.deliveryPage},
		{"POST /deliveries/{id}", admins, s.deliveryForm},
		{"GET /ledger", console, s.ledgerPage},
		{"GET /integrations/{id}", console, s.integrationPage},
		{"POST /integrations/{id}/activate", admins, s.activateForm},
		{"POST /integrations/{id}/deactivate", admins, s.deactivateForm},
		{"POST /integrations/{id}/resend", admins, s.resendForm},
		{"POST /integrations/{id}/check", admins, s.checkForm},
		{"GET /integrations/{id}/setup", console, s.setupPage},
		{"POST /integrations/{id}/setup", admins, s.setupPage},
		{"GET /integrations/{id}/employees", console, s.staffPage},
		{"POST /integrations/{id}/employees", admins, s.staffForm},

		{"GET /settings", console, s.settingsPage},
		{"GET /settings/integrations/{id}", console, s.integrationFormPage},
		{"POST /settings/integrations/{id}", console, s.integrationFormPage},
		{"GET /settings/integrations/{id}/rules", console, s.rulesFormPage},
		{"POST /settings/integrations/{id}/rules", console, s.rulesFormPage},
		{"GET /settings/credentials/{id}", console, s.credentialPage},
		{"POST /settings/credentials/{id}", console, s.credentialPage},
		{"GET /settings/employees", console, s.employeesPage},
		{"POST /settings/employees", console, s.employeesPage},
		{"GET /settings/lines", console, s.linesPage},
		{"POST /settings/lines", console, s.linesPage},
		{"GET /settings/users", console, s.usersPage},
		{"POST /settings/users", console, s.usersPage},
		{"GET /settings/versions", console, s.versionsPage},
		{"GET /settings/versions/{id}", console, s.versionPage},
		{"POST /settings/versions/{id}", console, s.versionPage},
		{"GET /settings/audit", console, s.auditPage},

		{"GET /api/v1/settings", console, s.apiSettings},
		{"PUT /api/v1/settings", console, s.apiSaveSettings},
		{"POST /api/v1/settings/dryrun", console, s.apiDryRun},
		{"GET /api/v1/settings/versions", console, s.apiVersions},
		{"GET /api/v1/settings/versions/{id}", console, s.apiVersion},
		{"GET /api/v1/audit", console, s.apiAudit},
		{"GET /api/v1/log", admins, s.apiLogLevel},
		{"PUT /api/v1/log", admins, s.apiSetLogLevel},
		{"POST /api/v1/session", public, s.apiSession},
		{"POST /api/v1/login-links", console, s.apiLoginLink},
		{"POST /api/v1/call-links", admins, s.apiCallLink},
		{"GET /api/v1/me", signed, s.apiMe},
		{"PUT /api/v1/me/dnd", signed, s.apiDND},
		{"GET /api/v1/calls", signed, s.apiCalls},
		{"POST /api/v1/calls", signed, s.apiDial},
		{"GET /api/v1/calls/{id}", signed, s.apiCall},
		{"GET /api/v1/calls/{id}/why", console, s.apiWhy},
		{"GET /api/v1/calls/{id}/case", console, s.caseFile},
		{"GET /api/v1/missed", signed, s.apiMissed},
		{"POST /api/v1/missed/{id}/close", signed, s.apiMissedClose},
		{"GET /api/v1/cards", signed, s.apiCards},
		{"GET /api/v1/stats", console, s.apiStats},
		{"GET /api/v1/deliveries", console, s.apiDeliveries},
		{"GET /api/v1/deliveries/{id}", console, s.apiDelivery},
		{"PATCH /api/v1/deliveries/{id}", admins, s.apiRepair},
		{"POST /api/v1/deliveries/retry", admins, s.apiRetry},
		{"POST /api/v1/deliveries/skip", admins, s.apiSkip},
		{"GET /api/v1/ledger", console, s.apiLedger},
		{"GET /api/v1/integrations", console, s.apiIntegrations},
		{"GET /api/v1/integrations/{id}", console, s.apiIntegration},
		{"POST /api/v1/integrations/{id}/activate", admins, s.apiActivate},
		{"POST /api/v1/integrations/{id}/deactivate", admins, s.apiDeactivate},
		{"POST /api/v1/integrations/{id}/resend", admins, s.apiResend},
		{"POST /api/v1/integrations/{id}/check", admins, s.apiCheck},
		{"GET /api/v1/integrations/{id}/employees", console, s.apiStaff},
		{"POST /api/v1/integrations/{id}/employees/sync", admins, s.apiStaffSync},
		{"POST /api/v1/integrations/{id}/employees/import", admins, s.apiStaffImport},
		{"PUT /api/v1/integrations/{id}/employees/links", admins, s.apiStaffLinks},
		{"GET /api/v1/openapi.json", public, s.apiDocument},

		{"GET /hooks/{pbx}/route", public, s.routeAnswer},
		{"GET /hooks/{integration}/widget", proven, s.widget},
		{"POST /hooks/{integration}/widget", proven, s.widget},
		{"GET /hooks/{integration}/call", proven, s.callLink},
		{"POST /hooks/{integration}/call", proven, s.callByLink},
		{"GET /healthz", public, s.healthz},
		{"GET /readyz", public, s.readyz},
	}, s.consoleRoutes()...)
}

// New makes the handler of everything under one listener. It panics when what
// must be given is missing, or a template is wrong: both are faults of the
// program and show at its first start.
func New(d Deps) http.Handler {
	if len(d.Key) < 32 || d.Users == nil || d.Sessions == nil || d.Calls == nil || d.Ledger == nil || d.Hub == nil {
		panic("web.New: Key, Users, Sessions, Calls, Ledger and Hub must be given")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.SessionAge <= 0 {
		d.SessionAge = 7 * 24 * time.Hour
	}
	if d.Zone == nil {
		d.Zone = time.UTC
	}
	if d.Line == nil {
		d.Line = func(n string) bridge.Line { return bridge.Line{Number: n} }
	}
	if d.Employee == nil {
		d.Employee = func(string) string { return "" }
	}
	if d.Number == nil {
		d.Number = func(n string) string { return n }
	}
	if d.Parse == nil {
		d.Parse = func(t string) bridge.Number {
			if strings.HasPrefix(t, "+") {
				return bridge.Number(t)
			}
			return ""
		}
	}
	if d.Client == nil {
		d.Client = func(context.Context, bridge.Number) string { return "" }
	}
	if d.Live == nil {
		d.Live = func() []bridge.Call { return nil }
	}
	s := &server{d: d, log: d.Log, secure: strings.HasPrefix(d.PublicURL, "https://"), framed: len(d.FrameAncestors) > 0,
		logins: newGuard(), hashing: make(hashing, 2), origin: http.NewCrossOriginProtection()}
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; media-src 'self'; font-src 'self'; " +
		"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
	s.policy, s.framing = policy, strings.Join(append([]string{policy}, d.FrameAncestors...), " ")
	if u, err := url.Parse(d.PublicURL); err == nil && u.Host != "" {
		// Behind a proxy that changes the Host header the browser's origin is
		// the public address all the same.
		if err := s.origin.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			s.log.Warn("the public address is no origin", "err", err)
		}
	}
	s.pages = template.Must(template.New("").Funcs(s.allFuncs()).ParseFS(files, "templates/*.html"))
	s.zones.byName = map[string]*zoned{"": s.inZone(d.Zone)}

	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.pattern, s.guarded(r))
	}
	if d.Metrics != nil {
		mux.Handle("GET /metrics", d.Metrics)
	}
	for pattern, h := range d.Mount {
		mux.Handle(pattern, h)
	}
	return s.outer(mux)
}

// outer is around every request: headers, bounded body, and a panic in one
// page stays in that page.
func (s *server) outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		framed := s.framed && mayBeFramed(r.URL.Path)
		h.Set("Content-Security-Policy", map[bool]string{false: s.policy, true: s.framing}[framed])
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		if !framed {
			h.Set("X-Frame-Options", "SAMEORIGIN") // for browsers without frame-ancestors
		}
		if s.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler { //nolint:errorlint // the value net/http compares too
					panic(v)
				}
				s.log.Error("a page failed", "path", r.URL.Path, "err", fmt.Sprint(v), "stack", string(debug.Stack()))
				s.fail(w, r, &apiError{Status: 500, Code: "internal"})
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// guarded checks who calls, and that a state-changing request was meant by him.
func (s *server) guarded(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := int64(bodyLimit)
		if strings.HasPrefix(r.URL.Path, "/settings") || strings.HasPrefix(r.URL.Path, "/api/v1/settings") {
			most = settingsLimit
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		if !strings.HasPrefix(r.URL.Path, "/static/") {
			w.Header().Set("Cache-Control", "no-store")
		}
		v, err := s.visitor(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		ctx := context.WithValue(r.Context(), visitorKey{}, v)
		r = r.WithContext(ctx)
		if err := s.may(w, r, rt, v); err != nil {
			s.fail(w, r, err)
			return
		}
		if v != nil {
			s.extend(w, r, v)
		}
		if err := rt.handler(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

func (s *server) may(_ http.ResponseWriter, r *http.Request, rt route, v *visitor) error {
	if rt.who == proven {
		return nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		byCookie := v == nil || !v.bearer
		if byCookie {
			if err := s.origin.Check(r); err != nil {
				return &apiError{Status: 403, Code: "cross_origin"}
			}
		}
		if v != nil && byCookie && rt.who != public {
			token := r.Header.Get("X-CSRF-Token")
			if token == "" {
				token = r.PostFormValue("csrf")
			}
			if !equal(token, s.csrf(v.digest)) {
				return &apiError{Status: 403, Code: "csrf"}
			}
		}
	}
	switch {
	case rt.who == public:
	case v == nil:
		return &apiError{Status: 401, Code: "sign_in"}
	case rt.who == console && v.user.Role != bridge.Admin && v.user.Role != bridge.Supervisor,
		rt.who == admins && v.user.Role != bridge.Admin:
		return &apiError{Status: 403, Code: "not_allowed"}
	}
	return nil
}

// apiError is a refusal in the form of the API. Text is filled in the
// visitor's language from Code when it is empty.
type apiError struct {
	Status int    `json:"-"`
	Code   string `json:"code"`
	Field  string `json:"field,omitempty"`
	About  string `json:"about,omitempty"` // who or what it is about
	Text   string `json:"text"`
}

func (e *apiError) Error() string { return e.Code }

func invalid(field, code string) error { return &apiError{Status: 422, Code: code, Field: field} }

// fail answers an error: JSON for the API, a page for people.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*apiError](err)
	switch {
	case ok:
	case errors.Is(err, ErrNotFound):
		e = &apiError{Status: 404, Code: "not_found"}
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		return // nobody is there to read it
	case errors.Is(err, context.DeadlineExceeded):
		e = &apiError{Status: 503, Code: "slow"}
	default:
		if _, big := errors.AsType[*http.MaxBytesError](err); big {
			e = &apiError{Status: 413, Code: "too_long"}
			break
		}
		s.log.Error("a request failed", "request", r.Header.Get("X-Request-Id"), "path", r.URL.Path, "err", err)
		e = &apiError{Status: 500, Code: "internal"}
	}
	l := s.language(r)
	if e.Text == "" {
		copied := *e
		copied.Text = l.t("error." + e.Code)
		e = &copied
	}
	path := r.URL.Path
	if strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/hooks/") || path == "/agent/recent" {
		writeJSON(w, e.Status, map[string]any{"error": e})
		return
	}
	switch {
	case e.Status == 401 && r.Method == http.MethodGet:
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	case e.Code == "not_allowed" && path == "/":
		http.Redirect(w, r, "/agent", http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(e.Status)
	p := s.page(r, l.t("error.title"), e)
	if err := p.zoned.pages.ExecuteTemplate(w, "error.html", p); err != nil {
		s.log.Error("the error page failed", "err", err)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = 500, []byte(`{"error":{"code":"internal","text":"the answer could not be written"}}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// readJSON reads a body strictly: an unknown or mistyped field is named.
func readJSON(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			return &apiError{Status: 400, Code: "not_json"}
		}
		return nil
	}
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return err
	}
	if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &apiError{Status: 422, Code: "wrong_type", Field: te.Field}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &apiError{Status: 422, Code: "unknown_field", Field: strings.Trim(name, `"`)}
	}
	return &apiError{Status: 400, Code: "not_json"}
}

// render writes a page.
func (s *server) render(w http.ResponseWriter, name string, p page) error {
	var b strings.Builder
	if err := p.zoned.pages.ExecuteTemplate(&b, name, p); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, b.String())
	return nil
}

func (s *server) static(w http.ResponseWriter, r *http.Request) error {
	if strings.HasSuffix(r.URL.Path, "/") {
		return ErrNotFound
	}
	sub, err := fs.Sub(files, ".")
	if err != nil {
		return err
	}
	if r.URL.Query().Get("v") == assetVersion {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	http.FileServerFS(sub).ServeHTTP(w, r)
	return nil
}

func (s *server) favicon(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/static/icon.svg", http.StatusMovedPermanently)
	return nil
}
