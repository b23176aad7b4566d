package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"callbridge/bridge"
	"callbridge/bridge/card"
)

const password = "correct horse"

// cheap is the password's hash at the lowest cost, so that tests are quick.
var cheap = func() string {
	b, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(b)
}()

// world is everything behind the pages, in memory.
type world struct {
	mu       sync.Mutex
	users    map[string]bridge.User
	calls    []bridge.Call
	live     []bridge.Call
	events   map[string][]bridge.Event
	rows     []bridge.Delivery
	tries    map[int64][]Attempt
	balance  []LedgerRow
	receipts []card.Receipt
	missing  []string
	clicks   []Click
	refusal  error
	dnd      map[string]bool
	route    func(context.Context, RouteQuestion) (RouteAnswer, error)
	queries  []CallQuery

	hub    *card.Hub
	deps   Deps
	server *httptest.Server
}

func (w *world) User(_ context.Context, login string) (bridge.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u, ok := w.users[login]
	if !ok {
		return bridge.User{}, ErrNotFound
	}
	return u, nil
}

func (w *world) Calls(_ context.Context, q CallQuery) ([]bridge.Call, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queries = append(w.queries, q)
	var out []bridge.Call
	skip := q.Before != ""
	for _, c := range w.calls {
		if skip {
			skip = c.ID != q.Before
			continue
		}
		if q.Extension != "" && !takesPart(&c, q.Extension) || q.Outcome != "" && c.Outcome != q.Outcome ||
			q.Direction != "" && c.Direction != q.Direction || q.Line != "" && c.Line != q.Line || q.Digits != "" && !strings.Contains(string(c.Client), q.Digits) ||
			!q.From.IsZero() && (c.StartedAt.Before(q.From) || !c.StartedAt.Before(q.To)) || q.Client != "" && c.Client != q.Client {
			continue
		}
		if len(out) == q.Limit {
			return out, out[len(out)-1].ID, nil
		}
		out = append(out, c)
	}
	return out, "", nil
}

func (w *world) Call(_ context.Context, id string) (bridge.Call, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range append(slices.Clone(w.calls), w.live...) {
		if c.ID == id {
			return c, nil
		}
	}
	return bridge.Call{}, ErrNotFound
}

func (w *world) Events(_ context.Context, id string) ([]bridge.Event, error) {
	return w.events[id], nil
}

func (w *world) Receipts(_ context.Context, id string) ([]card.Receipt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []card.Receipt
	for _, r := range w.receipts {
		if r.CallID == id {
			out = append(out, r)
		}
	}
	return out, nil
}

func (w *world) Deliveries(_ context.Context, q DeliveryQuery) ([]bridge.Delivery, error) {
	var out []bridge.Delivery
	for _, d := range w.rows {
		if (q.CallID == "" || d.CallID == q.CallID) && (q.State == "" || d.State == q.State) && (q.Integration == "" || d.Integration == q.Integration) && len(out) < q.Limit {
			out = append(out, d)
		}
	}
	return out, nil
}

func (w *world) Attempts(_ context.Context, id int64) ([]Attempt, error) { return w.tries[id], nil }

func (w *world) Balance(context.Context, string, string) ([]LedgerRow, error) {
	return w.balance, nil
}

func (w *world) Dial(_ context.Context, c Click) (Dialled, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusal != nil {
		return Dialled{}, w.refusal
	}
	for _, o := range w.clicks {
		if o.RequestID == c.RequestID {
			return Dialled{PBXCallID: "pbx-" + c.RequestID, Repeated: true}, nil
		}
	}
	w.clicks = append(w.clicks, c)
	return Dialled{PBXCallID: "pbx-" + c.RequestID}, nil
}

func (w *world) DoNotDisturb(_ context.Context, ext string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dnd[ext], nil
}

func (w *world) SetDoNotDisturb(_ context.Context, ext string, on bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusal != nil {
		return w.refusal
	}
	w.dnd[ext] = on
	return nil
}

// stats is a working day, with more at noon.
func (w *world) stats(_ context.Context, from, to time.Time, slot time.Duration) (Stats, error) {
	s := Stats{Missed: 9, Returned: 6}
	for i := range int(to.Sub(from) / slot) {
		n := int64(12 - abs(i-13))
		if n <= 0 {
			continue
		}
		s.Slots = append(s.Slots, SlotCount{i, bridge.In, bridge.Answered, n}, SlotCount{i, bridge.Out, bridge.Answered, n / 2}, SlotCount{i, bridge.In, bridge.Missed, n / 4}, SlotCount{i, bridge.Out, bridge.Failed, n / 6})
	}
	for i, n := range []int64{20, 31, 17, 8, 3, 1, 1} {
		s.Waits = append(s.Waits, WaitCount{i, bridge.Answered, n}, WaitCount{i, bridge.Missed, int64(i)})
	}
	for i := range 200 {
		s.Latency = append(s.Latency, int64(6+i*i/160))
	}
	return s, nil
}

func abs(n int) int { return max(n, -n) }

var ruNumber = regexp.MustCompile(`^\+7(\d{3})(\d{3})(\d\d)(\d\d)$`)

var names = map[string]string{"101": "Иван Петров", "102": "Мария Смирнова", "103": "Олег Ким"}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{dnd: map[string]bool{}, events: map[string][]bridge.Event{}, tries: map[int64][]Attempt{}, users: map[string]bridge.User{
		"admin": {Login: "admin", Name: "Анна", Role: bridge.Admin, PasswordHash: cheap},
		"boss":  {Login: "boss", Name: "Борис", Role: bridge.Supervisor, PasswordHash: cheap, Extension: "103"},
		"ivan":  {Login: "ivan", Name: "Иван Петров", Role: bridge.Agent, PasswordHash: cheap, Extension: "101"},
		"maria": {Login: "maria", Name: "Maria Smirnova", Role: bridge.Agent, PasswordHash: cheap, Extension: "102", Language: "en"},
		"noext": {Login: "noext", Role: bridge.Agent, PasswordHash: cheap},
		"nopw":  {Login: "nopw", Role: bridge.Admin},
	}}
	format := func(s string) string {
		return ruNumber.ReplaceAllString(s, "+7 $1 $2-$3-$4")
	}
	w.hub = card.New(card.Options{Format: format, Name: func(e string) string { return names[e] }, Receipt: func(r card.Receipt) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.receipts = append(w.receipts, r)
	}})
	w.deps = Deps{
		Key: []byte("0123456789abcdef0123456789abcdef"), Users: w, Sessions: NewMemorySessions(), Calls: w, Ledger: w, Hub: w.hub,
		Dialer: w, Presence: w, Version: "test",
		Live: func() []bridge.Call { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.live) },
		Integrations: func(context.Context) ([]Integration, error) {
			return []Integration{{ID: "megaplan-main", Kind: "megaplan", Name: "Мегаплан", Active: true, State: "active", Waiting: 2},
				{ID: "retail", Kind: "retailcrm", Name: "retailCRM", State: "held", Reason: "401", Held: 14, Failed: 1}}, nil
		},
		PBXs: func() []PBX {
			return []PBX{{ID: "office", Kind: "asterisk", Connected: true, LastEvent: bridge.At(time.Now())}}
		},
		Names: func() ([]bridge.Line, []bridge.Employee) {
			return []bridge.Line{{Number: "+74951234567", Name: "Сайт"}}, []bridge.Employee{{Extension: "101", Name: names["101"]}, {Extension: "102", Name: names["102"]}}
		},
		Stats:    w.stats,
		Missing:  func(context.Context) []string { w.mu.Lock(); defer w.mu.Unlock(); return w.missing },
		Employee: func(e string) string { return names[e] }, Number: format,
		Line: func(n string) bridge.Line {
			if n == "+74951234567" {
				return bridge.Line{Number: n, Name: "Сайт", Source: map[string]string{"utm_source": "yandex", "utm_medium": "cpc"}}
			}
			return bridge.Line{Number: n}
		},
		Client: func(_ context.Context, n bridge.Number) string {
			return map[bridge.Number]string{"+79161234567": "Анна Кузнецова", "+79035550102": "ООО «Ромашка»"}[n]
		},
		Route: func(ctx context.Context, q RouteQuestion) (RouteAnswer, error) { return w.route(ctx, q) },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "callbridge_connected_agents 0\n")
		}),
	}
	t.Cleanup(w.hub.Close)
	return w
}

// start serves the world. change may alter the Deps first.
func (w *world) start(t testing.TB, change func(*Deps)) *world {
	t.Helper()
	if change != nil {
		change(&w.deps)
	}
	w.server = httptest.NewServer(New(w.deps))
	t.Cleanup(func() { w.hub.Close(); w.server.Close() })
	return w
}

// browser is an HTTP client with cookies that does not follow redirects.
type browser struct {
	t    testing.TB
	w    *world
	http *http.Client
	csrf string
}

func (w *world) browser(t testing.TB) *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{t: t, w: w, http: &http.Client{Jar: jar, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(method, path, body string, header ...string) answer {
	b.t.Helper()
	r, err := http.NewRequest(method, b.w.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if b.csrf != "" {
		r.Header.Set("X-CSRF-Token", b.csrf)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	resp, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	a := answer{resp.StatusCode, resp.Header, string(raw)}
	asDocumented(b.t, method, path, a)
	return a
}

func (b *browser) get(path string, header ...string) answer {
	b.t.Helper()
	return b.do("GET", path, "", header...)
}

var (
	csrfField = regexp.MustCompile(`name="csrf" value="([^"]*)"`)
	csrfMeta  = regexp.MustCompile(`name="csrf" content="([^"]*)"`)
)

func (b *browser) form(path string, v url.Values) answer {
	b.t.Helper()
	return b.do("POST", path, v.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// signIn goes through the form and keeps the token of the page after it.
func (w *world) signIn(t testing.TB, login string) *browser {
	t.Helper()
	b := w.browser(t)
	m := csrfField.FindStringSubmatch(b.get("/login").body)
	if m == nil {
		t.Fatal("no token in the sign-in form")
	}
	a := b.form("/login", url.Values{"csrf": {m[1]}, "login": {login}, "password": {password}})
	if a.status != 303 {
		t.Fatalf("sign-in of %s: %d %s", login, a.status, a.body)
	}
	b.csrf = csrfMeta.FindStringSubmatch(b.get("/agent").body)[1]
	return b
}

func ended(id string, d bridge.Direction, o bridge.Outcome, client string, ago time.Duration, rang, answered []string) bridge.Call {
	at := time.Now().Add(-ago)
	c := bridge.Call{ID: id, PBX: "office", Direction: d, Outcome: o, Client: bridge.Number(client), ClientRaw: client, Line: "+74951234567",
		Rang: rang, AnsweredBy: answered, StartedAt: bridge.At(at), EndedAt: bridge.At(at.Add(time.Minute))}
	wait, talk := int64(4200), int64(93_000)
	c.WaitMS = &wait
	for _, e := range rang {
		l := bridge.Leg{Extension: e, RingAt: bridge.At(at.Add(time.Second)), EndAt: c.EndedAt, Result: bridge.LegNoAnswer}
		if slices.Contains(answered, e) {
			l.AnswerAt, l.Result, l.TalkMS = bridge.At(at.Add(4*time.Second)), bridge.LegAnswered, &talk
		}
		c.Legs = append(c.Legs, l)
	}
	if o == bridge.Answered {
		c.TalkMS, c.AnsweredAt, c.HungUpBy = &talk, bridge.At(at.Add(4*time.Second)), bridge.ByClient
	}
	return c
}

// history fills the world with a day's work.
func (w *world) history() {
	two := []string{"101", "102"}
	out := ended("c4", bridge.Out, bridge.Failed, "+79265550199", 40*time.Minute, nil, nil)
	out.Agent, out.Reason = "101", bridge.Busy
	out2 := ended("c5", bridge.Out, bridge.Answered, "+79035550102", 55*time.Minute, nil, []string{"101"})
	out2.Agent = "101"
	missed := ended("c2", bridge.In, bridge.Missed, "+79265550111", 12*time.Minute, two, nil)
	missed.Reason = bridge.CallerHungUp
	old := ended("c7", bridge.In, bridge.Missed, "", 26*time.Hour, []string{"101"}, nil)
	old.ClientRaw, old.Reason = "anonymous", bridge.CallerHungUp
	inside := ended("c6", bridge.Internal, bridge.Answered, "", 2*time.Hour, []string{"101"}, []string{"101"})
	inside.Agent, inside.Line = "103", ""
	w.calls = []bridge.Call{
		ended("c1", bridge.In, bridge.Answered, "+79161234567", 3*time.Minute, two, []string{"101"}),
		missed,
		ended("c3", bridge.In, bridge.Answered, "+79165550133", 25*time.Minute, two, []string{"102"}),
		out, out2, inside, old,
		ended("c8", bridge.In, bridge.Answered, "+79165550144", 27*time.Hour, []string{"102"}, []string{"102"}),
	}
	w.rows = []bridge.Delivery{
		{ID: 1, Integration: "megaplan-main", CallID: "c1", State: bridge.Done, Attempts: 1, ObjectID: "1001", ObjectURL: "https://mp.example.ru/crm/1001", CreatedAt: w.calls[0].EndedAt,
			Action: bridge.Action{Kind: bridge.ActContact, Rule: "calls.contact", Reason: "разговор начался, клиента в CRM не было", Wanted: true}},
		{ID: 2, Integration: "megaplan-main", CallID: "c1", State: bridge.Waiting, Attempts: 2, Error: "megaplan: create task: temporary (HTTP 503)", NextAt: bridge.At(time.Now().Add(time.Minute)), CreatedAt: w.calls[0].EndedAt,
			Action: bridge.Action{Kind: bridge.ActCommunication, Rule: "calls.communications[0]", Reason: "входящий отвеченный", Wanted: true}},
		{ID: 3, Integration: "retail", CallID: "c1", State: bridge.Refused, Attempts: 1, Error: "retailcrm: upload call: invalid (HTTP 400)", ObjectURL: "javascript:alert(1)", CreatedAt: w.calls[0].EndedAt,
			Action: bridge.Action{Kind: bridge.ActCall, Rule: "calls.popup", Reason: "<b>any</b>", Wanted: true}},
		{ID: 4, Integration: "retail", CallID: "c1", State: bridge.Skipped, Note: "правило просит только пропущенные", CreatedAt: w.calls[0].EndedAt,
			Action: bridge.Action{Kind: bridge.ActTask, Rule: "calls.tasks[0]", Reason: "исход: отвечен"}},
	}
	w.tries[2] = []Attempt{{At: w.calls[0].EndedAt, Took: 120 * time.Millisecond, Code: 503, Request: `{"name":"***"}`, Response: "Service Unavailable", Error: "temporary"}}
	w.balance = []LedgerRow{{Day: "2026-11-21", Integration: "megaplan-main", Planned: 10, States: map[bridge.DeliveryState]int64{bridge.Done: 8, bridge.Skipped: 2}},
		{Day: "2026-11-22", Integration: "retail", Planned: 5, States: map[bridge.DeliveryState]int64{bridge.Done: 3, bridge.Waiting: 2}}}
	at := w.calls[0].StartedAt
	ev := func(ms int, k bridge.EventKind, leg bridge.Channel, peer *bridge.Channel) bridge.Event {
		return bridge.Event{ID: fmt.Sprint(k, ms), PBX: "office", Kind: k, At: bridge.At(at.Add(time.Duration(ms) * time.Millisecond)), Leg: &leg, Peer: peer}
	}
	client := bridge.Channel{ID: "1", Trunk: "trunk"}
	w.events["c1"] = []bridge.Event{ev(0, bridge.ChannelBegan, client, nil), ev(1012, bridge.Dialling, client, &bridge.Channel{ID: "2", Extension: "101"}),
		ev(4001, bridge.DialAnswered, client, &bridge.Channel{ID: "2", Extension: "101"}), ev(97_010, bridge.ChannelEnded, client, nil)}
	w.receipts = append(w.receipts, card.Receipt{CallID: "c1", Extension: "101", User: "ivan", At: at.Add(time.Second), Took: 43 * time.Millisecond, Visible: true})
}
