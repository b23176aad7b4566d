package web

import (
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
)

// page is what every template gets.
type page struct {
	L       lang
	Title   string
	User    *bridge.User
	CSRF    string
	Path    string
	Version string // of the assets
	Section string // of the console's menu
	Strings template.JS
	Zone    string // IANA name of the zone times are shown in
	Office  string // of the office
	Data    any
	zoned   *zoned
}

func (s *server) page(r *http.Request, title string, data any) page {
	p := page{L: s.language(r), Title: title, Path: r.URL.RequestURI(), Version: assetVersion, Data: data, zoned: s.zoned(r)}
	p.Zone, p.Office = p.zoned.zone.String(), s.d.Zone.String()
	if v := who(r); v != nil {
		p.User, p.CSRF = &v.user, s.csrf(v.digest)
	}
	if r.Method != http.MethodGet {
		p.Path = "/"
	}
	return p
}

// Can says whether the user may see the console.
func (p page) Can() bool {
	return p.User != nil && (p.User.Role == bridge.Admin || p.User.Role == bridge.Supervisor)
}

// agentView is the agents' page. Calls come by websocket.
type agentView struct {
	DND     bool
	HasDND  bool
	CanDial bool
	Number  string // to put into the box: a link in the CRM may give it
	Recent  recentView
	Desk    template.JS
}

func (s *server) agentPage(w http.ResponseWriter, r *http.Request) error {
	v, l := who(r), s.language(r)
	recent, err := s.recent(r)
	if err != nil {
		return err
	}
	number := r.URL.Query().Get("number")
	if !dialable(number) {
		number = ""
	}
	view := agentView{DND: s.dnd(r.Context(), v.user.Extension), HasDND: s.d.Presence != nil && v.user.Extension != "",
		CanDial: s.d.Dialer != nil && v.user.Extension != "", Number: number, Recent: recent}
	p := s.page(r, l.t("agent.title"), view)
	b, err := json.Marshal(l.script())
	if err != nil {
		return err
	}
	d, err := json.Marshal(s.deskFor(v, l))
	if err != nil {
		return err
	}
	p.Strings = template.JS(b) //nolint:gosec // our own table, escaped by json.Marshal
	view.Desk = template.JS(d) //nolint:gosec // escaped by json.Marshal
	p.Data = view
	return s.render(w, "agent.html", p)
}

// recentView is the list of an agent's latest calls.
type recentView struct {
	Calls   []recentCall
	Dial    bool
	Returns []returnRow
}

// recentCall is one of an agent's calls as he lived it.
type recentCall struct {
	ID, Icon, Says     string
	Name, Number, Line string
	Dial               string // what the call-back button calls; "" = none
	At                 bridge.Time
	Talk               time.Duration
	Person             string // the colleague who took it
	Open               bool   // nobody has talked to the client since: it wants a call back
	Play               string // address of the recording; "" = none he may hear
}

func (s *server) agentRecent(w http.ResponseWriter, r *http.Request) error {
	recent, err := s.recent(r)
	if err != nil {
		return err
	}
	return s.render(w, "recent", s.page(r, "", recent))
}

func (s *server) recent(r *http.Request) (recentView, error) {
	v := who(r)
	out := recentView{Dial: s.d.Dialer != nil && v.user.Extension != ""}
	if v.user.Extension == "" {
		return out, nil
	}
	calls, _, err := s.d.Calls.Calls(r.Context(), CallQuery{Extension: v.user.Extension, Limit: 30})
	if err != nil {
		return out, err
	}
	if out.Returns, err = s.returns(r); err != nil {
		return out, err
	}
	back := map[bridge.Number]bool{} // clients who were talked to since: no call back is open
	for i := range calls {
		c := &calls[i]
		if !c.Ended() {
			continue
		}
		row := s.recentRow(r, c, v.user.Extension)
		row.Open = row.Icon == "missed" && c.Direction == bridge.In && row.Dial != "" && !back[c.Client]
		if c.Outcome == bridge.Answered && c.Client != "" {
			back[c.Client] = true
		}
		out.Calls = append(out.Calls, row)
	}
	return out, nil
}

func (s *server) recentRow(r *http.Request, c *bridge.Call, ext string) recentCall {
	row := recentCall{ID: c.ID, At: c.StartedAt}
	mine := slices.Contains(c.AnsweredBy, ext) || c.Agent == ext && c.Outcome == bridge.Answered
	switch {
	case c.Direction == bridge.Out && c.Outcome == bridge.Answered:
		row.Icon, row.Says = "out", "recent.out"
	case c.Direction == bridge.Out:
		row.Icon, row.Says = "failed", "reason."+string(c.Reason)
	case mine:
		row.Icon, row.Says = "in", "recent.in"
		if c.Direction == bridge.Internal && c.Agent == ext {
			row.Icon, row.Says = "out", "recent.out"
		}
	case c.Outcome == bridge.Answered:
		row.Icon, row.Says = "elsewhere", "recent.elsewhere"
		row.Person = s.person(c.LastTalked())
	default:
		row.Icon, row.Says = "missed", "recent.missed"
	}
	if len(c.Recordings) > 0 && s.d.Play != nil && mayHear(who(r), c) && c.Outcome == bridge.Answered {
		row.Play = "/api/v1/calls/" + url.PathEscape(c.ID) + "/recordings/0"
	}
	if !known(row.Says) {
		row.Says = "reason.unknown"
	}
	for _, leg := range c.Legs {
		if leg.Extension == ext && leg.TalkMS != nil {
			row.Talk += time.Duration(*leg.TalkMS) * time.Millisecond
		}
	}
	if row.Talk == 0 && mine && c.TalkMS != nil {
		row.Talk = time.Duration(*c.TalkMS) * time.Millisecond
	}
	switch {
	case c.Direction == bridge.Internal:
		other := c.Agent
		if other == ext {
			if other = c.LastTalked(); other == ext || other == "" {
				other = ""
				if i := slices.IndexFunc(c.Legs, func(l bridge.Leg) bool { return l.Extension != ext }); i >= 0 {
					other = c.Legs[i].Extension
				}
			}
		}
		row.Name, row.Number, row.Dial = s.d.Employee(other), other, other
	case c.Client != "":
		row.Number, row.Dial = s.d.Number(string(c.Client)), string(c.Client)
		if row.Name = s.clientName(r, c.Client); row.Name == "" && !who(r).nameless() {
			row.Name = c.ClientName
		}
	case dialable(c.ClientRaw):
		if row.Number = c.ClientRaw; !who(r).nameless() {
			row.Name = c.ClientName
		}
	}
	if c.Line != "" {
		row.Line = s.lineName(c.Line)
	}
	return row
}

func (s *server) lineName(number string) string {
	if l := s.d.Line(number); l.Name != "" {
		return l.Name
	}
	return s.d.Number(number)
}

// person writes a colleague for reading.
func (s *server) person(ext string) string {
	if n := s.d.Employee(ext); n != "" {
		return n
	}
	return ext
}

// callView is one call with its whole story.
type callView struct {
	Call         bridge.Call
	Deliveries   []deliveryView
	Shown        []shownView
	Routes       []RouteDecision
	Story        []storyLine
	Plays        bool // recordings can be played
	Written      []workView
	Resend       bool
	Resent       string
	Integrations []Integration
}

type deliveryView struct {
	bridge.Delivery
	Tries []Attempt
}

// storyLine is one event in words.
type storyLine struct {
	At    bridge.Time
	After time.Duration // since the call's start
	Kind  bridge.EventKind
	About string
	Extra string
}

func (s *server) callPage(w http.ResponseWriter, r *http.Request) error {
	full, err := s.fullCall(r)
	if err != nil {
		return err
	}
	v := callView{Call: full.Call, Shown: full.Shown, Routes: full.Routes}
	for _, d := range full.Deliveries {
		tries, err := s.attempts(r, d.ID)
		if err != nil {
			return err
		}
		v.Deliveries = append(v.Deliveries, deliveryView{d, tries})
	}
	if err := s.callExtras(r, &v); err != nil {
		return err
	}
	events, err := s.d.Calls.Events(r.Context(), full.ID)
	if err != nil {
		return err
	}
	for i := range events {
		e := &events[i]
		line := storyLine{At: e.At, Kind: e.Kind, About: s.channel(e.Leg)}
		if !full.StartedAt.IsZero() {
			line.After = e.At.Sub(full.StartedAt)
		}
		extra := []string{}
		if e.Peer != nil {
			extra = append(extra, "→ "+s.channel(e.Peer))
		}
		for _, t := range []string{e.Dialled, e.Result, e.Name, e.Value} {
			if t != "" {
				extra = append(extra, t)
			}
		}
		line.Extra = strings.Join(extra, " · ")
		v.Story = append(v.Story, line)
	}
	p := s.page(r, s.language(r).t("console.call"), v)
	p.Section = "overview"
	return s.render(w, "call.html", p)
}

func (s *server) channel(c *bridge.Channel) string {
	switch {
	case c == nil:
		return ""
	case c.Extension != "":
		if n := s.d.Employee(c.Extension); n != "" {
			return c.Extension + " " + n
		}
		return c.Extension
	case c.Trunk != "":
		return c.Trunk
	case c.Name != "":
		return c.Name
	}
	return c.ID
}

type deliveriesView struct {
	Deliveries   []bridge.Delivery
	Integrations []Integration
	Query        url.Values
	Next         int64
	May          bool   // retry and skip
	Changed      string // how many a button has changed
}

func (s *server) deliveriesPage(w http.ResponseWriter, r *http.Request) error {
	q, err := s.deliveryQuery(r, 100)
	if err != nil {
		return err
	}
	v := deliveriesView{Query: r.URL.Query(), May: who(r).user.Role == bridge.Admin && s.d.Repair != nil}
	if n, err := strconv.Atoi(v.Query.Get("changed")); err == nil {
		v.Changed = strconv.Itoa(n)
	}
	v.Query.Del("changed")
	if v.Deliveries, err = s.d.Ledger.Deliveries(r.Context(), q); err != nil {
		return err
	}
	if len(v.Deliveries) == q.Limit && q.CallID == "" {
		v.Next = v.Deliveries[len(v.Deliveries)-1].ID
	}
	if v.Integrations, err = s.integrations(r.Context()); err != nil {
		return err
	}
	p := s.page(r, s.language(r).t("console.deliveries"), v)
	p.Section = "deliveries"
	return s.render(w, "deliveries.html", p)
}

type ledgerView struct {
	Rows     []LedgerRow
	From, To string
}

func (s *server) ledgerPage(w http.ResponseWriter, r *http.Request) error {
	rows, from, to, err := s.balance(r)
	if err != nil {
		return err
	}
	p := s.page(r, s.language(r).t("console.ledger"), ledgerView{rows, from, to})
	p.Section = "ledger"
	return s.render(w, "ledger.html", p)
}
