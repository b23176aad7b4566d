package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"callbridge/bridge"
)

// Ring is what was known when a phone began to ring.
type Ring struct {
	Extension string      `json:"extension"`
	At        bridge.Time `json:"at"`
	Tabs      int         `json:"tabs"` // browsers connected for this phone
	DND       bool        `json:"dnd"`
}

// Phone says who may see the cards of a phone now.
type Phone struct {
	Users  []string // who have this extension here
	Card   bridge.CardMoment
	Mapped []Mapped // per integration
}

// Mapped says whether a CRM knows whose phone it is (M-2.1.6).
type Mapped struct {
	Integration string
	OK          bool
	Known       bool // we have a list of its employees
}

// Finding is one answer on the way to "why did X see no card" (D-30).
type Finding struct {
	Code string `json:"code"`
	// State is yes (as it should be), no (this is why), unknown or note.
	State string      `json:"state"`
	Text  string      `json:"text"`
	At    bridge.Time `json:"at,omitzero"`
}

// CardWhy says whether somebody saw the card of a call, and why (not).
type CardWhy struct {
	Extension string    `json:"extension"`
	Name      string    `json:"name,omitempty"`
	Seen      bool      `json:"seen"`
	Verdict   string    `json:"verdict"`
	Findings  []Finding `json:"findings"`
}

// whyFacts is all that is stored about a call and a phone.
type whyFacts struct {
	call       *bridge.Call
	extension  string
	rings      []Ring
	shown      []shownView
	deliveries []bridge.Delivery
	phone      Phone
}

// whyCard finds out why an employee saw a card or did not. It is pure: the
// same stored facts give the same answer.
func (s *server) whyCard(l lang, f whyFacts) CardWhy {
	w := CardWhy{Extension: f.extension, Name: s.d.Employee(f.extension)}
	say := func(state, code string, at bridge.Time, kv ...string) {
		text := strings.NewReplacer(kv...).Replace(l.t("why." + code))
		w.Findings = append(w.Findings, Finding{Code: code, State: state, Text: text, At: at})
		if state == "no" && w.Verdict == "" {
			w.Verdict = text
		}
	}
	f.rang(l, say)
	f.moment(say)
	ring := f.present(l, say)
	for _, x := range f.shown {
		if x.Extension == f.extension {
			w.Seen = true
			say("yes", "shown", x.At, "{who}", x.User, "{ms}", fmt.Sprint(x.MS))
		}
	}
	if !w.Seen && ring != nil && ring.Tabs > 0 {
		say("no", "unconfirmed", bridge.Time{})
	}
	f.inCRM(l, say)
	switch {
	case w.Seen:
		w.Verdict = l.t("why.verdict.seen")
	case w.Verdict == "":
		w.Verdict = l.t("why.verdict.unknown")
	}
	return w
}

type saying func(state, code string, at bridge.Time, kv ...string)

// rang tells what the phone did.
func (f *whyFacts) rang(l lang, say saying) {
	found := false
	for _, leg := range f.call.Legs {
		if leg.Extension != f.extension {
			continue
		}
		found = true
		switch {
		case !leg.RingAt.IsZero():
			say("yes", "rang", leg.RingAt)
		case f.call.Agent == f.extension:
			say("note", "own", cmp.Or(leg.DialledAt, f.call.StartedAt))
		default:
			say("no", "silent", leg.DialledAt, "{result}", cmp.Or(l.t("result."+string(leg.Result)), "—"))
		}
	}
	switch {
	case found:
	case f.call.Agent == f.extension:
		say("note", "own", f.call.StartedAt)
	case len(f.call.Gaps) > 0:
		say("no", "gap", f.call.Gaps[0].From)
	default:
		say("no", "never", bridge.Time{})
	}
}

// moment tells whether he wants cards, and when. That they are off is why he saw
// none; that he did not answer may be.
func (f *whyFacts) moment(say saying) {
	answered := false
	for _, leg := range f.call.Legs {
		answered = answered || leg.Extension == f.extension && !leg.AnswerAt.IsZero()
	}
	switch {
	case f.phone.Card == bridge.CardNever:
		say("no", "card.never", bridge.Time{})
	case f.phone.Card == bridge.CardAtAnswer && !answered:
		say("no", "card.answer", bridge.Time{})
	case f.phone.Card == bridge.CardAtAnswer:
		say("note", "card.answer", bridge.Time{})
	}
}

// present tells whether a browser was there to show it.
func (f *whyFacts) present(l lang, say saying) *Ring {
	var ring *Ring
	for i := range f.rings {
		if r := &f.rings[i]; r.Extension == f.extension && (ring == nil || r.Tabs > ring.Tabs) {
			ring = r
		}
	}
	if len(f.phone.Users) == 0 {
		say("no", "nobody", bridge.Time{})
	} else {
		say("yes", "user", bridge.Time{}, "{who}", strings.Join(f.phone.Users, ", "))
	}
	switch {
	case ring == nil:
		say("unknown", "tabs.unknown", bridge.Time{})
	case ring.Tabs == 0:
		say("no", "tabs.none", ring.At)
	default:
		say("yes", "tabs", ring.At, "{n}", fmt.Sprint(ring.Tabs))
	}
	if ring != nil && ring.DND {
		say("note", "dnd", ring.At)
	}
	return ring
}

// inCRM tells of the CRM's own call window.
func (f *whyFacts) inCRM(l lang, say saying) {
	asked := map[string]bool{}
	for _, d := range f.deliveries {
		lines := d.Action.Rule == "lines"
		if d.Action.Kind != bridge.ActPopup && !lines || d.Action.Kind == bridge.ActPopup && d.Action.Extension != f.extension {
			continue
		}
		if d.Action.Trigger == bridge.OnEnd && !lines {
			continue
		}
		asked[d.Integration] = true
		why := l.Why(cmp.Or(d.Error, d.Note, d.Action.Reason))
		state := map[bridge.DeliveryState]string{bridge.Done: "yes", bridge.Waiting: "unknown", bridge.Trying: "unknown"}[d.State]
		say("note", "crm."+cmp.Or(state, "no"), cmp.Or(d.DoneAt, d.CreatedAt), "{crm}", d.Integration, "{why}", why, "{moment}", l.t("trigger."+string(d.Action.Trigger)))
	}
	for _, m := range f.phone.Mapped {
		switch {
		case !m.Known:
			say("note", "map.unknown", bridge.Time{}, "{crm}", m.Integration)
		case !m.OK:
			say("note", "map.no", bridge.Time{}, "{crm}", m.Integration, "{ext}", f.extension)
		case !asked[m.Integration]:
			say("note", "map.yes", bridge.Time{}, "{crm}", m.Integration)
		}
	}
}

// whyLine is one line of the timeline: an event, what the cards did, what a
// rule decided, or what was asked of a CRM and answered.
type whyLine struct {
	At    bridge.Time
	Kind  string // event, card, rule, request
	Title string
	State string // of a rule's action
	Text  string
	Small string
	Ask   string
	Reply string
	Bad   string
}

// timeline puts everything that is stored of a call in order.
func (s *server) timeline(r *http.Request, l lang, full *callFull) ([]whyLine, error) {
	var out []whyLine
	ctx := r.Context()
	events, err := s.d.Calls.Events(ctx, full.ID)
	if err != nil {
		return nil, err
	}
	for i := range events {
		e := &events[i]
		out = append(out, whyLine{At: e.At, Kind: "event", Title: l.t("event." + string(e.Kind)), Text: s.about(e), Small: string(e.Kind)})
	}
	rings, err := s.ringsOf(ctx, full.ID)
	if err != nil {
		return nil, err
	}
	for _, r := range rings {
		text := strings.ReplaceAll(l.t("why.card.sent"), "{n}", fmt.Sprint(r.Tabs))
		if r.Tabs == 0 {
			text = l.t("why.tabs.none")
		}
		out = append(out, whyLine{At: r.At, Kind: "card", Title: s.person(r.Extension), Text: text})
	}
	for _, x := range full.Shown {
		out = append(out, whyLine{At: x.At, Kind: "card", Title: s.person(x.Extension),
			Text: strings.NewReplacer("{who}", x.User, "{ms}", fmt.Sprint(x.MS)).Replace(l.t("why.shown"))})
	}
	for _, d := range full.Deliveries {
		title := d.Integration + ": " + l.t("action."+string(d.Action.Kind))
		out = append(out, whyLine{At: d.CreatedAt, Kind: "rule", Title: title, State: string(d.State), Text: l.Why(d.Action.Reason),
			Small: strings.TrimSpace(fmt.Sprintf("%s · %s %d", d.Action.Rule, l.t("why.version"), d.RuleVersion)), Reply: "", Bad: ""})
		tries, err := s.attempts(r, d.ID)
		if err != nil {
			return nil, err
		}
		for _, t := range tries {
			text := fmt.Sprintf("%d %s", t.Took.Milliseconds(), l.t("console.ms"))
			if t.Code > 0 {
				text = fmt.Sprintf("HTTP %d · %s", t.Code, text)
			}
			out = append(out, whyLine{At: t.At, Kind: "request", Title: title, Text: text, Ask: t.Request, Reply: t.Response, Bad: t.Error})
		}
		if n := noteOf(d); n != "" && !d.DoneAt.IsZero() {
			out = append(out, whyLine{At: d.DoneAt, Kind: "rule", Title: title, State: string(d.State), Text: l.Why(n)})
		}
	}
	slices.SortStableFunc(out, func(a, b whyLine) int { return a.At.Compare(b.At.Time) })
	return out, nil
}

func (s *server) ringsOf(ctx context.Context, callID string) ([]Ring, error) {
	if s.d.Rings == nil {
		return nil, nil
	}
	return s.d.Rings(ctx, callID)
}

// about says what an event was about.
func (s *server) about(e *bridge.Event) string {
	parts := []string{}
	if t := s.channel(e.Leg); t != "" {
		parts = append(parts, t)
	}
	if e.Peer != nil {
		parts = append(parts, "→ "+s.channel(e.Peer))
	}
	for _, t := range []string{e.Dialled, e.Result, e.Name, e.Value} {
		if t != "" {
			parts = append(parts, t)
		}
	}
	return strings.Join(parts, " · ")
}

// whyAnswer answers for one phone, or for all that had to do with the call.
func (s *server) whyAnswer(r *http.Request, full *callFull) ([]CardWhy, error) {
	rings, err := s.ringsOf(r.Context(), full.ID)
	if err != nil {
		return nil, err
	}
	ext := r.URL.Query().Get("extension")
	if len(ext) > 40 {
		return nil, invalid("extension", "unknown_extension")
	}
	exts := []string{ext}
	if ext == "" {
		exts = nil
		for _, leg := range full.Legs {
			if !slices.Contains(exts, leg.Extension) {
				exts = append(exts, leg.Extension)
			}
		}
		if full.Agent != "" && !slices.Contains(exts, full.Agent) {
			exts = append(exts, full.Agent)
		}
	}
	out := []CardWhy{}
	for _, e := range exts {
		f := whyFacts{call: &full.Call, extension: e, rings: rings, shown: full.Shown, deliveries: full.Deliveries}
		if s.d.Phones != nil {
			f.phone = s.d.Phones(e)
		}
		out = append(out, s.whyCard(s.language(r), f))
	}
	return out, nil
}

type whyView struct {
	Call      bridge.Call
	Cards     []CardWhy
	Lines     []whyLine
	Staff     []bridge.Employee
	Extension string
}

func (s *server) whyPage(w http.ResponseWriter, r *http.Request) error {
	full, err := s.fullCall(r)
	if err != nil {
		return err
	}
	v := whyView{Call: full.Call, Extension: r.URL.Query().Get("extension")}
	if v.Cards, err = s.whyAnswer(r, &full); err != nil {
		return err
	}
	if v.Lines, err = s.timeline(r, s.language(r), &full); err != nil {
		return err
	}
	if s.d.Names != nil {
		_, v.Staff = s.d.Names()
	}
	p := s.page(r, s.language(r).t("why.title"), v)
	p.Section = "calls"
	return s.render(w, "why.html", p)
}

func (s *server) apiWhy(w http.ResponseWriter, r *http.Request) error {
	full, err := s.fullCall(r)
	if err != nil {
		return err
	}
	cards, err := s.whyAnswer(r, &full)
	if err != nil {
		return err
	}
	type decision struct {
		bridge.Delivery
		Tries []Attempt `json:"tries"`
	}
	decisions := []decision{}
	for _, d := range full.Deliveries {
		tries, err := s.attempts(r, d.ID)
		if err != nil {
			return err
		}
		decisions = append(decisions, decision{d, append([]Attempt{}, tries...)})
	}
	events, err := s.d.Calls.Events(r.Context(), full.ID)
	if err != nil {
		return err
	}
	writeJSON(w, 200, map[string]any{"id": full.ID, "cards": cards, "decisions": decisions, "events": append([]bridge.Event{}, events...)})
	return nil
}

// caseFile gives the call as one file with personal data masked (F-19).
func (s *server) caseFile(w http.ResponseWriter, r *http.Request) error {
	if s.d.CaseFile == nil {
		return ErrNotFound
	}
	full, err := s.fullCall(r)
	if err != nil {
		return err
	}
	b, err := s.d.CaseFile(r.Context(), full.ID)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="case-`+strings.Map(fileRune, full.ID)+`.json"`)
	_, _ = w.Write(b)
	return nil
}

func fileRune(c rune) rune {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
		return c
	}
	return '-'
}
