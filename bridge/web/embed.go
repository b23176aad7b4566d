package web

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
)

// Embedding is our pages inside a CRM, and addresses by which a CRM, or any
// other program, orders calls (M-0.5, M-0.13, M-5.1).
type Embedding interface {
	// Opened says whose phone it is who opened our page inside the CRM: the CRM
	// is asked. asked are the parameters it opened the page with. Refusals are
	// *Refused.
	Opened(ctx context.Context, integration string, asked url.Values) (extension string, err error)
	// Joined says whether the extension still belongs to a user of the CRM.
	Joined(integration, extension string) bool
	// MakeLink signs an address that orders calls.
	MakeLink(ctx context.Context, l CallLink) (CallLink, error)
	// Follow reads such an address; *Refused says why it is not good.
	Follow(integration string, asked url.Values, now time.Time) (CallLink, error)
}

// CallLink is a signed address that orders calls.
type CallLink struct {
	Integration string      `json:"integration"`
	Extension   string      `json:"extension"`        // AnyPhone: the address tells it
	Number      string      `json:"number,omitempty"` // "": the address tells it
	Until       bridge.Time `json:"expires_at"`
	URL         string      `json:"url,omitempty"`
}

// AnyPhone is a link with which every joined extension may be rung.
const AnyPhone = "any"

// widgetMark begins the owner of a session that a CRM's page began. No login
// has a colon.
const widgetMark = "widget:"

// widgetAge is how long a page inside the CRM lasts: a long working day.
const widgetAge = 12 * time.Hour

// widgetUser is who a session of widgetMark belongs to: an agent with a phone,
// whatever else he may do here when he signs in himself.
func (s *server) widgetUser(owner string) (bridge.User, error) {
	integration, ext, ok := strings.Cut(strings.TrimPrefix(owner, widgetMark), ":")
	if !ok || s.d.Embedding == nil || !s.d.Embedding.Joined(integration, ext) {
		return bridge.User{}, ErrNotFound
	}
	return bridge.User{Login: owner, Name: s.d.Employee(ext), Role: bridge.Agent, Extension: ext}, nil
}

// widget is the page that a CRM opens inside its own: it signs in whoever the
// CRM says it is, and goes on to the client's numbers or to the agents' page.
func (s *server) widget(w http.ResponseWriter, r *http.Request) error {
	if s.d.Embedding == nil {
		return ErrNotFound
	}
	if err := r.ParseForm(); err != nil {
		return s.embedFailed(w, r, &apiError{Status: 400, Code: "bad_value"})
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	integration := r.PathValue("integration")
	ext, err := s.d.Embedding.Opened(ctx, integration, r.Form)
	if err != nil {
		return s.embedFailed(w, r, err)
	}
	token, now := rand.Text()+rand.Text(), time.Now()
	if err := s.d.Sessions.Begin(ctx, digest(token), widgetMark+integration+":"+ext, now, now.Add(widgetAge)); err != nil {
		return err
	}
	s.setCookie(w, sessionCookie, token, widgetAge)
	to := "/agent"
	if numbers := phonesIn(r.Form); len(numbers) > 0 {
		to += "/call?" + url.Values{"phone": numbers}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// mostNumbers bounds how many numbers of a client one page offers.
const mostNumbers = 20

// phonesIn are the numbers an address gives: repeated, or with commas between.
func phonesIn(v url.Values) []string {
	var out []string
	for _, list := range v["phone"] {
		for p := range strings.FieldsFuncSeq(list, func(c rune) bool { return c == ',' || c == ';' }) {
			if p = strings.TrimSpace(p); dialable(p) && !slices.Contains(out, p) && len(out) < mostNumbers {
				out = append(out, p)
			}
		}
	}
	return out
}

// embedView is the page with the numbers of a client.
type embedView struct {
	Extension string
	Numbers   []callNumber
}

type callNumber struct{ Dial, Shown, Name string }

// agentCall offers the client's numbers to be called with a click.
func (s *server) agentCall(w http.ResponseWriter, r *http.Request) error {
	v := embedView{Extension: who(r).user.Extension}
	for _, p := range phonesIn(r.URL.Query()) {
		n := callNumber{Dial: p, Shown: p}
		if e164 := s.d.Parse(p); e164 != "" {
			n.Dial, n.Shown, n.Name = string(e164), s.d.Number(string(e164)), s.d.Client(r.Context(), e164)
		}
		v.Numbers = append(v.Numbers, n)
	}
	p := s.page(r, s.language(r).t("embed.call"), v)
	return s.render(w, "agentcall.html", p)
}

// linkView is the page behind a signed address.
type linkView struct {
	Extension, Number, Shown, Request string
	Done                              bool
	Error                             string
}

// callLink is what a signed address shows: it orders nothing by itself, since
// programs that look ahead open addresses, too. The page sends the order.
func (s *server) callLink(w http.ResponseWriter, r *http.Request) error {
	if s.d.Embedding == nil {
		return ErrNotFound
	}
	c, err := s.follow(r, r.URL.Query())
	if err != nil {
		return s.embedFailed(w, r, err)
	}
	v := linkView{Extension: c.Extension, Number: c.Number, Shown: c.Number, Request: rand.Text()}
	if e164 := s.d.Parse(c.Number); e164 != "" {
		v.Shown = s.d.Number(string(e164))
	}
	return s.render(w, "calllink.html", s.page(r, s.language(r).t("embed.call"), v))
}

// follow reads a signed address with what the caller adds to it.
func (s *server) follow(r *http.Request, asked url.Values) (CallLink, error) {
	c, err := s.d.Embedding.Follow(r.PathValue("integration"), asked, time.Now())
	if err != nil {
		return c, err
	}
	c.Number = strings.TrimSpace(c.Number)
	switch {
	case c.Extension == "":
		return c, invalid("extension", "no_extension")
	case c.Number == "":
		return c, invalid("phone", "missing")
	case !dialable(c.Number):
		return c, invalid("phone", "unknown_number")
	}
	return c, nil
}

// callByLink orders the call of a signed address. The same id again rings
// nobody (D-19).
func (s *server) callByLink(w http.ResponseWriter, r *http.Request) error {
	if s.d.Embedding == nil || s.d.Dialer == nil {
		return ErrNotFound
	}
	// The signature is all the proof there is: no cookie counts, so a page of
	// the CRM may read the answer.
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if err := r.ParseForm(); err != nil {
		return s.embedFailed(w, r, &apiError{Status: 400, Code: "bad_value"})
	}
	c, err := s.follow(r, r.Form)
	if err != nil {
		return s.embedFailed(w, r, err)
	}
	id := strings.TrimSpace(r.Form.Get("id"))
	if len(id) > 64 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return s.embedFailed(w, r, invalid("id", "bad_request_id"))
	}
	if id == "" {
		id = rand.Text()
	}
	ctx, cancel := context.WithTimeout(r.Context(), 15*time.Second)
	defer cancel()
	done, err := s.d.Dialer.Dial(ctx, Click{RequestID: "link-" + c.Integration + "-" + id, Extension: c.Extension, Number: c.Number, User: c.Integration, Integration: c.Integration})
	if err != nil {
		return s.embedFailed(w, r, s.refused(err))
	}
	if wantsPage(r) {
		return s.render(w, "calllink.html", s.page(r, s.language(r).t("embed.call"), linkView{Extension: c.Extension, Number: c.Number, Shown: c.Number, Done: true}))
	}
	writeJSON(w, 202, map[string]any{"request_id": id, "call": done})
	return nil
}

func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// embedFailed says what is wrong, as a page to people and as JSON to programs.
func (s *server) embedFailed(w http.ResponseWriter, r *http.Request, err error) error {
	l := s.language(r)
	if f, ok := errors.AsType[*Refused](err); ok {
		err = &apiError{Status: http.StatusForbidden, Code: f.Code, About: f.Text}
	}
	e, ok := errors.AsType[*apiError](err)
	if !ok || !wantsPage(r) {
		return err
	}
	text := e.Text
	if text == "" {
		text = l.t("error." + e.Code)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(e.Status)
	return s.render(w, "calllink.html", s.page(r, l.t("embed.call"), linkView{Error: strings.TrimSpace(text + " " + e.About)}))
}

// apiCallLink makes a signed address for a button in the CRM.
func (s *server) apiCallLink(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Integration string `json:"integration"`
		Extension   string `json:"extension"`
		Number      string `json:"number"`
		Days        int    `json:"days"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	made, err := s.makeLink(r, in.Integration, in.Extension, in.Number, in.Days)
	if err != nil {
		return err
	}
	writeJSON(w, 201, made)
	return nil
}

const (
	linkDays     = 365 // of an address that names no time
	mostLinkDays = 3650
)

func (s *server) makeLink(r *http.Request, integration, ext, number string, days int) (CallLink, error) {
	if s.d.Embedding == nil {
		return CallLink{}, ErrNotFound
	}
	if days == 0 {
		days = linkDays
	}
	number = strings.TrimSpace(number)
	switch {
	case days < 1 || days > mostLinkDays:
		return CallLink{}, invalid("days", "bad_days")
	case number != "" && !dialable(number):
		return CallLink{}, invalid("number", "unknown_number")
	case ext == "":
		ext = AnyPhone
	}
	made, err := s.d.Embedding.MakeLink(r.Context(), CallLink{Integration: integration, Extension: ext, Number: number, Until: bridge.At(time.Now().AddDate(0, 0, days))})
	if f, ok := errors.AsType[*Refused](err); ok {
		return made, &apiError{Status: 422, Code: f.Code, About: f.Text}
	}
	if err == nil {
		s.audit(r, "call_link", integration+" "+ext)
	}
	return made, err
}
