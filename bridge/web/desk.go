package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
)

// ErrNoCRM is what Desk.Write returns when no integration has the call's line.
var ErrNoCRM = errors.New("no integration takes it")

// Desk does what employees ask for on a card.
type Desk interface {
	// Write makes deliveries of what was written. The same RequestID again adds
	// nothing and returns the same ones.
	Write(ctx context.Context, w Work) ([]bridge.Delivery, error)
	// Written returns what was asked for on the cards of a call.
	Written(ctx context.Context, callID string) ([]bridge.Delivery, error)
	// Hangup ends the phone's part in a call that goes on; Transfer sends the
	// other side to a colleague's phone. Refusals are *pbx.Refusal.
	Hangup(ctx context.Context, callID, extension string) error
	Transfer(ctx context.Context, callID, extension, to string) error
}

// Work is a note, a task or an outcome.
type Work struct {
	CallID      string
	RequestID   string
	Kind        bridge.ActionKind // note, task, outcome
	Text        string
	DueAt       bridge.Time // of a task
	Responsible string      // of a task: an e-mail; "": who writes it
	Integration string      // "": all that have the call's line
	Extension   string      // whose card
}

// defaultOutcomes are offered while the settings name none.
var defaultOutcomes = [][2]string{{"Заказ", "Order"}, {"Консультация", "Advice"}, {"Перезвонить позже", "Call back later"}, {"Отказ", "Not interested"}, {"Ошиблись номером", "Wrong number"}}

func (s *server) outcomes(l lang) []string {
	if s.d.Outcomes != nil {
		if list := s.d.Outcomes(); len(list) > 0 {
			return list
		}
	}
	out := make([]string, len(defaultOutcomes))
	for i, o := range defaultOutcomes {
		out[i] = o[map[lang]int{ru: 0, en: 1}[l]]
	}
	return out
}

// ownCall is the call of the address, if the visitor had a part in it.
func (s *server) ownCall(r *http.Request) (bridge.Call, error) {
	c, err := s.d.Calls.Call(r.Context(), r.PathValue("id"))
	if v := who(r); err == nil && v.isAgent() && !takesPart(&c, v.user.Extension) {
		return c, ErrNotFound // that it exists is nobody else's business
	}
	return c, err
}

// workView is one thing written on a card as REST tells it.
type workView struct {
	ID          int64                `json:"id"`
	Integration string               `json:"integration"`
	Kind        bridge.ActionKind    `json:"kind"`
	Text        string               `json:"text"`
	DueAt       bridge.Time          `json:"due_at,omitzero"`
	Extension   string               `json:"extension,omitempty"`
	At          bridge.Time          `json:"at"`
	State       bridge.DeliveryState `json:"state"`
	URL         string               `json:"url,omitempty"`
	Why         string               `json:"why,omitempty"` // not done: the reason
}

func (s *server) workViews(l lang, rows []bridge.Delivery) []workView {
	out := []workView{}
	for _, d := range rows {
		if d.Action.Kind == bridge.ActContact {
			continue
		}
		v := workView{ID: d.ID, Integration: d.Integration, Kind: d.Action.Kind, Text: d.Action.Text, DueAt: d.Action.DueAt,
			Extension: d.Action.Extension, At: d.CreatedAt, State: d.State, URL: safeLink(d.ObjectURL)}
		if d.Action.Title != "" {
			v.Text = strings.TrimSpace(d.Action.Title + "\n" + d.Action.Text)
		}
		if d.State != bridge.Done {
			v.Why = l.Why(d.Note)
			if d.Error != "" {
				v.Why = strings.TrimSpace(v.Why + " " + d.Error)
			}
		}
		out = append(out, v)
	}
	return out
}

// textLimit is how long a note may be; the longest templates make no more.
const textLimit = 4000

func badRequestID(id string) bool {
	return len(id) > 64 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' || c == ':' })
}

func (s *server) apiWork(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		RequestID   string            `json:"request_id"`
		Kind        bridge.ActionKind `json:"kind"`
		Text        string            `json:"text"`
		DueAt       bridge.Time       `json:"due_at"`
		Responsible string            `json:"responsible"`
		Integration string            `json:"integration"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	in.Text = strings.TrimSpace(in.Text)
	switch {
	case in.RequestID == "":
		return invalid("request_id", "missing")
	case badRequestID(in.RequestID):
		return invalid("request_id", "bad_request_id")
	case !slices.Contains([]bridge.ActionKind{bridge.ActNote, bridge.ActTask, bridge.ActOutcome}, in.Kind):
		return invalid("kind", "bad_value")
	case in.Text == "":
		return invalid("text", "missing")
	case len([]rune(in.Text)) > textLimit:
		return invalid("text", "too_long_text")
	case in.Kind != bridge.ActTask && (!in.DueAt.IsZero() || in.Responsible != ""):
		return invalid("due_at", "bad_value")
	case len(in.Responsible) > 200 || in.Responsible != "" && !strings.Contains(in.Responsible, "@"):
		return invalid("responsible", "bad_value")
	case !in.DueAt.IsZero() && (in.DueAt.Before(time.Now().Add(-24*time.Hour)) || in.DueAt.After(time.Now().AddDate(5, 0, 0))):
		return invalid("due_at", "bad_time")
	case s.d.Desk == nil:
		return &apiError{Status: 501, Code: "no_desk"}
	}
	c, err := s.ownCall(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), 15*time.Second)
	defer cancel()
	rows, err := s.d.Desk.Write(ctx, Work{CallID: c.ID, RequestID: in.RequestID, Kind: in.Kind, Text: in.Text, DueAt: in.DueAt,
		Responsible: in.Responsible, Integration: in.Integration, Extension: who(r).user.Extension})
	if errors.Is(err, ErrNoCRM) {
		return &apiError{Status: 422, Code: "no_crm", Field: "integration"}
	}
	if err != nil {
		return err
	}
	writeJSON(w, 202, map[string]any{"work": s.workViews(s.language(r), rows)})
	return nil
}

func (s *server) apiWritten(w http.ResponseWriter, r *http.Request) error {
	c, err := s.ownCall(r)
	if err != nil {
		return err
	}
	if s.d.Desk == nil {
		return &apiError{Status: 501, Code: "no_desk"}
	}
	rows, err := s.d.Desk.Written(r.Context(), c.ID)
	if err != nil {
		return err
	}
	if v := who(r); v.isAgent() { // what colleagues wrote stands in the CRM
		rows = slices.DeleteFunc(rows, func(d bridge.Delivery) bool { return d.Action.Extension != v.user.Extension })
	}
	writeJSON(w, 200, map[string]any{"work": s.workViews(s.language(r), rows)})
	return nil
}

// phoneOf is the phone a hang-up or transfer is for: an agent's own, for others
// the one they name.
func (s *server) phoneOf(r *http.Request, named string) (string, error) {
	v := who(r)
	ext := v.user.Extension
	if named != "" {
		ext = named
	}
	switch {
	case len(ext) > 40:
		return "", invalid("extension", "unknown_extension")
	case ext == "":
		return "", &apiError{Status: 422, Code: "no_extension", Field: "extension"}
	case v.isAgent() && ext != v.user.Extension:
		return "", &apiError{Status: 403, Code: "not_your_phone", Field: "extension"}
	case s.d.Desk == nil:
		return "", &apiError{Status: 501, Code: "no_desk"}
	}
	return ext, nil
}

func (s *server) apiHangup(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Extension string `json:"extension"`
	}
	if r.ContentLength != 0 {
		if err := readJSON(r, &in); err != nil {
			return err
		}
	}
	ext, err := s.phoneOf(r, in.Extension)
	if err != nil {
		return err
	}
	c, err := s.ownCall(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	if err := s.d.Desk.Hangup(ctx, c.ID, ext); err != nil {
		return s.refused(err)
	}
	if !who(r).isAgent() {
		s.audit(r, "hangup", c.ID+" "+ext)
	}
	writeJSON(w, 200, map[string]any{"ok": true})
	return nil
}

func (s *server) apiTransfer(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		To        string `json:"to"`
		Extension string `json:"extension"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	in.To = strings.TrimSpace(in.To)
	if in.To == "" {
		return invalid("to", "missing")
	}
	if len(in.To) > 40 {
		return invalid("to", "unknown_extension")
	}
	ext, err := s.phoneOf(r, in.Extension)
	if err != nil {
		return err
	}
	c, err := s.ownCall(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	if err := s.d.Desk.Transfer(ctx, c.ID, ext, in.To); err != nil {
		err = s.refused(err)
		if e, ok := errors.AsType[*apiError](err); ok && e.Code == "unknown_extension" {
			e.Field = "to"
		}
		return err
	}
	if !who(r).isAgent() {
		s.audit(r, "transfer", c.ID+" "+ext)
	}
	writeJSON(w, 202, map[string]any{"ok": true})
	return nil
}

// mayHear says who may hear the recordings of a call: supervisors and admins
// all, an employee those of calls in which he talked.
func mayHear(v *visitor, c *bridge.Call) bool {
	ext := v.user.Extension
	return !v.isAgent() || ext != "" && (slices.Contains(c.AnsweredBy, ext) || c.Agent == ext)
}

// recording plays a sound file, in parts where the player asks for them.
func (s *server) recording(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || s.d.Play == nil {
		return ErrNotFound
	}
	c, err := s.ownCall(r)
	if err != nil {
		return err
	}
	if !mayHear(who(r), &c) || n < 0 || n >= len(c.Recordings) {
		return ErrNotFound
	}
	if v := who(r); !v.isAgent() && (r.Header.Get("Range") == "" || strings.HasPrefix(r.Header.Get("Range"), "bytes=0-")) {
		s.audit(r, "listen", c.ID)
	}
	s.d.Play(w, r, c, n)
	return nil
}

// deskView is what the card's script must know.
type deskView struct {
	Desk     bool        `json:"desk"`
	Limit    int         `json:"limit"`
	Outcomes []string    `json:"outcomes"`
	People   []person    `json:"people"`
	Due      []dueChoice `json:"due"`
}

type person struct {
	Extension string `json:"extension"`
	Name      string `json:"name,omitempty"`
}

// dueChoice is one deadline a task on the card can have.
type dueChoice struct {
	Minutes int    `json:"minutes"`
	Text    string `json:"text"`
}

func (s *server) deskFor(v *visitor, l lang) deskView {
	out := deskView{Desk: s.d.Desk != nil && v.user.Extension != "", Limit: textLimit, Outcomes: s.outcomes(l), People: []person{}}
	if s.d.Names != nil {
		_, staff := s.d.Names()
		for _, e := range staff {
			if e.Extension != v.user.Extension {
				out.People = append(out.People, person{e.Extension, e.Name})
			}
		}
	}
	for _, m := range []int{60, 4 * 60, 24 * 60, 3 * 24 * 60, 7 * 24 * 60, 0} {
		out.Due = append(out.Due, dueChoice{m, l.t("due." + strconv.Itoa(m))})
	}
	return out
}
