// Package megaplantest is a strict, stateful imitation of Megaplan API v3. It
// refuses what the real server refuses (and, where nobody knows, what a
// careless client would get away with), keeps what it is given, and shows it.
// The tests, `callbridge sandbox` and `callbridge demo` use the same one.
//
// It covers what a telephone needs: log in, employees, extensions, clients,
// calls, routing, todos, deals with their schemes, comments, applications and
// the events they get, files, bulk calls. What else the real API has answers 404
// like any unknown route.
//
// Where the documentation says nothing, the behaviour is a switch in Quirks;
// OtherReading sets all of them. points_test.go goes through the rules one by one.
package megaplantest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"callbridge/crm/sandbox"
)

// Options says what the account is like.
type Options struct {
	Username string // of the one login; "" means bot@example.ru
	Password string // "" means "secret"
	// Token is a static application token that is accepted besides; "" means none.
	Token string
	Seed  Seed
	// TokenLife is how long an access token lives; 0 means 48 hours.
	TokenLife time.Duration
	Now       func() time.Time // nil means time.Now
}

// Quirks are behaviours that nobody documents or that differ between accounts.
// The zero value is the strict default.
type Quirks struct {
	RejectWhen         bool          // a todo with `when` is refused at creation, whatever its form
	RejectWhenOnUpdate bool          // and at a change, too
	TodoLag            time.Duration // a changed todo reads as before for so long
	TokenRefusal       int           // status for wrong credentials at the token endpoint; 0 means 400
	OAuthRefusal       bool          // 401 without the envelope, in OAuth's form
	CommentsFail       bool          // POST of a comment by the path of both kinds of clients answers 500
	BareLinks          bool          // related entities are never embedded
	RouteObject        bool          // callRoute gives employees as one object, as old documents show
	HiddenFields       []string      // switched off in the account's settings: absent from every answer
	TransitionInvalid  bool          // an impossible transition answers 422, not 403
	PageAfterIncluded  bool          // pageAfter gives the named entity again as the first
	CallMakesTodo      bool          // POST /callInfo makes a communication by itself
	HooksDouble        bool          // every event comes twice
	HooksReversed      bool          // events come in the wrong order
	HookDelay          time.Duration // events come late
	HookRetries        int           // how often a refused event is repeated
	SignForbidden      bool          // an unknown sign of a user answers 403, not 404
	RequiredClient     []string      // fields a client must have: phone, email, or the name of a field
}

// OtherReading is every quirk at once that does not stand in another's way:
// where two readings of the real server are possible, the one that is not the
// default.
func OtherReading(q *Quirks) {
	*q = Quirks{RejectWhen: true, TodoLag: 3 * time.Second, TokenRefusal: http.StatusUnauthorized, OAuthRefusal: true, BareLinks: true, RouteObject: true,
		TransitionInvalid: true, PageAfterIncluded: true, CallMakesTodo: true, SignForbidden: true,
		CommentsFail: true, HooksDouble: true, HooksReversed: true, HookDelay: time.Second, HookRetries: 2}
}

// Server is the imitation. It is safe for concurrent use.
type Server struct {
	sandbox.Switchboard

	opts Options
	now  func() time.Time

	mu       sync.Mutex
	quirks   Quirks
	password string
	off      bool
	revoked  bool
	denied   map[string]bool
	access   map[string]time.Time // token to its end
	refresh  map[string]bool
	me       *entity
	byID     map[string]map[string]*entity
	order    map[string][]*entity
	nextID   map[string]int
	fields   map[string][]Field
	widget   []WidgetEvent
	seeded   map[*entity]bool
	planting bool
	hooks    []Hook
	content  map[string][]byte // of files
	signs    map[string]string // of users who opened an application's page
}

var _ sandbox.Sandbox = (*Server)(nil)

// New makes an account with the seed in it.
func New(o Options) *Server {
	if o.Username == "" {
		o.Username = "bot@example.ru"
	}
	if o.Password == "" {
		o.Password = "secret"
	}
	if o.TokenLife <= 0 {
		o.TokenLife = 48 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{opts: o, now: o.Now}
	s.Answers = sandbox.StandardFaults(
		sandbox.Fault{Status: http.StatusUnauthorized, Body: refusal(http.StatusUnauthorized, "", "Unauthorized")},
		sandbox.Fault{Status: http.StatusTooManyRequests, RetryAfter: "5", Body: refusal(http.StatusTooManyRequests, "", "Too Many Requests")},
	)
	s.clear()
	return s
}

// clear makes the account as it was at the start; credentials stay.
func (s *Server) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quirks, s.off, s.revoked, s.password = Quirks{}, false, false, s.opts.Password
	s.denied = map[string]bool{}
	s.access, s.refresh = map[string]time.Time{}, map[string]bool{}
	s.byID, s.order, s.nextID = map[string]map[string]*entity{}, map[string][]*entity{}, map[string]int{}
	s.fields, s.widget = map[string][]Field{}, nil
	s.seeded, s.signs = map[*entity]bool{}, map[string]string{}
	s.hooks, s.content = nil, map[string][]byte{}
	s.planting = true
	s.plant(s.opts.Seed)
	s.planting = false
	for _, all := range s.order {
		for _, e := range all {
			s.seeded[e] = true
		}
	}
}

// Title is for the sandbox page.
func (s *Server) Title() string { return "Megaplan" }

// Reset forgets everything made since the start and turns all faults off.
func (s *Server) Reset() {
	s.ClearFaults()
	s.ClearLog()
	s.clear()
}

// Change changes the quirks while the server runs.
func (s *Server) Change(change func(*Quirks)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.quirks)
}

// SetPassword changes the password. kill ends all tokens at once; otherwise
// the present ones live on until they expire: both are possible in reality.
func (s *Server) SetPassword(password string, kill bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = password
	s.refresh = map[string]bool{}
	if kill {
		s.access = map[string]time.Time{}
	}
}

// ExpireTokens ends all access tokens; the refresh tokens stay.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access = map[string]time.Time{}
}

// DropRefreshTokens makes all refresh tokens dead.
func (s *Server) DropRefreshTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh = map[string]bool{}
}

// SwitchOff answers 403 to everything with a token, as an account does that is
// not paid for.
func (s *Server) SwitchOff(off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = off
}

// Revoke makes every credential invalid, tokens included.
func (s *Server) Revoke() {
	s.SetPassword("changed-"+rand.Text(), true)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = true
}

// Rights are what Restrict knows: the parts of an account that a user may be
// kept out of. They are the first words of the paths.
var Rights = []string{"employee", "callUserConfig", "callInfo", "contractor", "todo", "todoCategory", "deal", "program"}

// Restrict takes one of Rights away: what lies there answers 403.
func (s *Server) Restrict(right string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[right] = true
}

// PasswordLeaks returns the requests that carried the password anywhere but in
// the body of a log-in.
func (s *Server) PasswordLeaks() []string {
	s.mu.Lock()
	password := s.password
	s.mu.Unlock()
	var out []string
	for _, l := range s.RequestLog() {
		if strings.TrimSuffix(l.Path, "/") == tokenPath && l.RawQuery == "" {
			continue
		}
		query, _ := url.QueryUnescape(l.RawQuery)
		text := l.Path + query + string(l.Body)
		for k, v := range l.Header {
			text += k + strings.Join(v, "")
		}
		if strings.Contains(text, password) {
			out = append(out, l.Method+" "+l.Path)
		}
	}
	return out
}

const (
	root      = "/api/v3"
	tokenPath = root + "/auth/access_token"
)

// ServeHTTP is the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Serve(w, r, http.HandlerFunc(s.handle))
}

// failure is a refusal in Megaplan's words.
type failure struct {
	status         int
	field, message string
}

func invalid(field, message string) *failure {
	return &failure{http.StatusUnprocessableEntity, field, message}
}

func forbidden(message string) *failure { return &failure{http.StatusForbidden, "", message} }

func missing(ct, id string) *failure {
	return &failure{http.StatusNotFound, "", fmt.Sprintf("%s with id %q is not found", ct, id)}
}

// refusal writes the envelope of an error.
func refusal(status int, field, message string) string {
	e := object{"message": message}
	if field != "" {
		e["field"] = field
	}
	b, _ := json.Marshal(object{"meta": object{"status": status, "errors": []any{e}, "pagination": []any{}}, "data": nil})
	return string(b)
}

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if strings.TrimSuffix(r.URL.Path, "/") == tokenPath {
		s.token(w, r, body)
		return
	}
	if s.attached(w, r) {
		return
	}
	var out []byte
	var f *failure
	if strings.TrimSuffix(r.URL.Path, "/") == filePath {
		out, f = s.upload(r, body)
	} else {
		out, f = s.answer(r, body)
	}
	if f != nil {
		w.WriteHeader(f.status)
		if f.status == http.StatusUnauthorized && s.quirks.OAuthRefusal {
			_, _ = io.WriteString(w, `{"error":"invalid_token","error_description":"The access token is not valid"}`)
			return
		}
		_, _ = io.WriteString(w, refusal(f.status, f.field, f.message))
		return
	}
	_, _ = w.Write(out)
}

// answer finds the route, checks what holds for all of them and renders.
func (s *Server) answer(r *http.Request, body []byte) ([]byte, *failure) {
	path, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/"), root)
	if !ok || path == "" {
		return nil, &failure{http.StatusNotFound, "", "No route found"}
	}
	q, f := parseQuery(r.URL.RawQuery)
	if f != nil {
		return nil, f
	}
	if f := s.authorized(r, q); f != nil {
		return nil, f
	}
	if part, _, _ := strings.Cut(path[1:], "/"); s.denied[part] {
		return nil, forbidden("No act_view rights for " + part)
	}
	if _, _, f := find(r.Method, path); f != nil {
		return nil, f
	}
	var v any
	if r.Method == http.MethodPost {
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
			return nil, invalid("", "Content-Type is not application/json")
		}
		if v, f = parseJSON(body); f != nil {
			return nil, f
		}
	}
	return s.run(r.Method, path, q, v, r.Header.Get("X-Use-Included-Response") == "true")
}

// run carries out a call of somebody who may make it.
func (s *Server) run(method, path string, q object, body any, included bool) ([]byte, *failure) {
	rt, args, f := find(method, path)
	if f != nil {
		return nil, f
	}
	c := &call{s: s, rt: rt, args: args, query: q, body: body}
	if f := c.checkQuery(rt); f != nil {
		return nil, f
	}
	res, f := rt.serve(c)
	if f != nil {
		return nil, f
	}
	return c.render(res, included)
}

// parseQuery reads the query, which is one JSON object: ?limit=10 must fail.
func parseQuery(raw string) (object, *failure) {
	if raw == "" {
		return object{}, nil
	}
	text, err := url.QueryUnescape(raw)
	if err != nil {
		return nil, invalid("", "the query is not percent-encoded")
	}
	v, f := parseJSON([]byte(text))
	q, ok := v.(object)
	if f != nil || !ok {
		return nil, invalid("", "the query is not a JSON object")
	}
	return q, nil
}

func parseJSON(b []byte) (any, *failure) {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return nil, invalid("", "Syntax error in JSON")
	}
	return v, nil
}

// authorized checks the token, from the header or from the query.
func (s *Server) authorized(r *http.Request, q object) *failure {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = str(q["access_token"])
	}
	delete(q, "access_token")
	end, known := s.access[token]
	static := s.opts.Token != "" && token == s.opts.Token && !s.revoked
	if !static && (!known || !s.now().Before(end)) {
		return &failure{http.StatusUnauthorized, "", "Unauthorized"}
	}
	if s.off {
		return forbidden("The account is switched off")
	}
	return nil
}

// token is the endpoint that gives tokens; it answers without the envelope.
func (s *Server) token(w http.ResponseWriter, r *http.Request, body []byte) {
	refuse := func(status int, code, text string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(object{"error": code, "error_description": text})
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		_, _ = io.WriteString(w, refusal(http.StatusMethodNotAllowed, "", "Method Not Allowed"))
		return
	}
	form, err := tokenForm(r, body)
	if err != nil {
		refuse(http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	bad := http.StatusBadRequest
	if s.quirks.TokenRefusal != 0 {
		bad = s.quirks.TokenRefusal
	}
	switch form["grant_type"] {
	case "password":
		if form["username"] == "" || form["password"] == "" {
			refuse(http.StatusBadRequest, "invalid_request", "username and password are required")
			return
		}
		if form["username"] != s.opts.Username || form["password"] != s.password {
			refuse(bad, "invalid_grant", "The user credentials were incorrect.")
			return
		}
	case "refresh_token":
		if form["refresh_token"] == "" {
			refuse(http.StatusBadRequest, "invalid_request", "refresh_token is required")
			return
		}
		if !s.refresh[form["refresh_token"]] {
			refuse(bad, "invalid_grant", "The refresh token is invalid.")
			return
		}
		delete(s.refresh, form["refresh_token"])
	default:
		refuse(http.StatusBadRequest, "unsupported_grant_type", "The grant type is not supported.")
		return
	}
	access, refresh := "access-"+rand.Text(), "refresh-"+rand.Text()
	s.access[access] = s.now().Add(s.opts.TokenLife)
	s.refresh[refresh] = true
	_ = json.NewEncoder(w).Encode(object{"access_token": access, "refresh_token": refresh,
		"expires_in": int(s.opts.TokenLife.Seconds()), "token_type": "bearer", "scope": nil})
}

// tokenForm reads the three encodings that clients use.
func tokenForm(r *http.Request, body []byte) (map[string]string, error) {
	out := map[string]string{}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/x-www-form-urlencoded":
		v, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		for k := range v {
			out[k] = v.Get(k)
		}
	case "application/json":
		if err := json.Unmarshal(body, &out); err != nil {
			return nil, fmt.Errorf("the body is not JSON")
		}
	case "multipart/form-data":
		form, err := multipartForm(body, params["boundary"])
		if err != nil {
			return nil, err
		}
		out = form
	default:
		return nil, fmt.Errorf("unknown Content-Type")
	}
	return out, nil
}

// Requests returns "METHOD path" of what was asked, without the log-ins.
func (s *Server) Requests() []string {
	var out []string
	for _, l := range s.RequestLog() {
		if p := strings.TrimPrefix(l.Path, root); !strings.HasPrefix(p, "/auth/") {
			out = append(out, l.Method+" "+p)
		}
	}
	return slices.Clip(out)
}
