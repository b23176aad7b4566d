package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
)

// Repairer works on parked deliveries. Refusals are *Refused.
type Repairer interface {
	// Retry sets deliveries waiting again: those with q.IDs, or all that failed
	// or expired and that q chooses.
	Retry(ctx context.Context, q DeliveryQuery) (int64, error)
	// Skip ends deliveries without doing anything in the CRM.
	Skip(ctx context.Context, ids []int64, note string) (int64, error)
	// Repair corrects one and tries it again; ErrNotFound if there is none.
	Repair(ctx context.Context, by string, id int64, r bridge.Repair) (bridge.Delivery, error)
}

// deliveryFull is one delivery with its tries and what to do about it.
type deliveryFull struct {
	bridge.Delivery
	Tries  []attemptJSON `json:"tries"`
	Advice string        `json:"advice,omitempty"`
}

type attemptJSON struct {
	Attempt
	TookMS int64 `json:"took_ms"`
}

func (s *server) deliveryID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, ErrNotFound
	}
	return id, nil
}

func (s *server) oneDelivery(r *http.Request) (deliveryFull, error) {
	id, err := s.deliveryID(r)
	if err != nil {
		return deliveryFull{}, err
	}
	rows, err := s.d.Ledger.Deliveries(r.Context(), DeliveryQuery{IDs: []int64{id}, Limit: 1})
	if err != nil {
		return deliveryFull{}, err
	}
	if len(rows) == 0 {
		return deliveryFull{}, ErrNotFound
	}
	full := deliveryFull{Delivery: rows[0], Tries: []attemptJSON{}, Advice: s.advice(r, &rows[0])}
	tries, err := s.d.Ledger.Attempts(r.Context(), id)
	for _, t := range tries {
		full.Tries = append(full.Tries, attemptJSON{t, t.Took.Milliseconds()})
	}
	return full, err
}

func (s *server) advice(r *http.Request, d *bridge.Delivery) string {
	russian, english := d.Advice()
	if s.language(r) == ru {
		return russian
	}
	return english
}

func (s *server) apiDelivery(w http.ResponseWriter, r *http.Request) error {
	full, err := s.oneDelivery(r)
	if err != nil {
		return err
	}
	writeJSON(w, 200, full)
	return nil
}

// chosen is the body of a retry or skip of one or many.
type chosen struct {
	IDs         []int64              `json:"ids"`
	Integration string               `json:"integration"`
	State       bridge.DeliveryState `json:"state"`
	Kind        bridge.ActionKind    `json:"kind"`
	Day         string               `json:"day"`
	Note        string               `json:"note"`
}

// query refuses a choice that would be everything by mistake.
func (c chosen) query() (DeliveryQuery, error) {
	if c.State != "" && c.State != bridge.Refused && c.State != bridge.Expired {
		return DeliveryQuery{}, invalid("state", "bad_value")
	}
	if c.Kind != "" && !slices.Contains(bridge.ActionKinds(), c.Kind) {
		return DeliveryQuery{}, invalid("kind", "bad_value")
	}
	if c.Day != "" {
		if _, err := time.Parse(time.DateOnly, c.Day); err != nil {
			return DeliveryQuery{}, invalid("day", "bad_value")
		}
	}
	if len(c.IDs) == 0 && c.Integration == "" {
		return DeliveryQuery{}, invalid("ids", "missing")
	}
	return DeliveryQuery{IDs: c.IDs, Integration: c.Integration, State: c.State, Kind: c.Kind, Day: c.Day}, nil
}

func (s *server) retryDeliveries(r *http.Request, c chosen) (int64, error) {
	if s.d.Repair == nil {
		return 0, ErrNotFound
	}
	q, err := c.query()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), switchLimit)
	defer cancel()
	n, err := s.d.Repair.Retry(ctx, q)
	s.audit(r, "retry", fmt.Sprintf("%d: %s %v", n, c.Integration, c.IDs))
	return n, err
}

func (s *server) skipDeliveries(r *http.Request, c chosen) (int64, error) {
	if s.d.Repair == nil {
		return 0, ErrNotFound
	}
	if len(c.IDs) == 0 {
		return 0, invalid("ids", "missing")
	}
	note := "skipped by " + who(r).user.Login
	if c.Note != "" {
		note += ": " + c.Note
	}
	n, err := s.d.Repair.Skip(r.Context(), c.IDs, note)
	s.audit(r, "skip", fmt.Sprintf("%d: %v", n, c.IDs))
	return n, err
}

func (s *server) apiRetry(w http.ResponseWriter, r *http.Request) error {
	return s.apiMany(w, r, s.retryDeliveries)
}

func (s *server) apiSkip(w http.ResponseWriter, r *http.Request) error {
	return s.apiMany(w, r, s.skipDeliveries)
}

func (s *server) apiMany(w http.ResponseWriter, r *http.Request, do func(*http.Request, chosen) (int64, error)) error {
	var c chosen
	if err := readJSON(r, &c); err != nil {
		return err
	}
	n, err := do(r, c)
	if err != nil {
		return err
	}
	writeJSON(w, 200, map[string]int64{"changed": n})
	return nil
}

func (s *server) repairDelivery(r *http.Request, c bridge.Repair) error {
	id, err := s.deliveryID(r)
	if err != nil || s.d.Repair == nil {
		return ErrNotFound
	}
	if _, err := s.d.Repair.Repair(r.Context(), who(r).user.Login, id, c); err != nil {
		return changed(err)
	}
	s.audit(r, "repair", strconv.FormatInt(id, 10))
	return nil
}

func (s *server) apiRepair(w http.ResponseWriter, r *http.Request) error {
	var c bridge.Repair
	if err := readJSON(r, &c); err != nil {
		return err
	}
	if err := s.repairDelivery(r, c); err != nil {
		return err
	}
	return s.apiDelivery(w, r)
}

// deliveryPage is one delivery: request, answer, what to do.
type deliveryPageView struct {
	deliveryFull
	May   bool
	Error string
	Did   string
}

// Parked says that somebody may do something about it.
func (v deliveryPageView) Parked() bool {
	return v.State == bridge.Refused || v.State == bridge.Expired || v.State == bridge.Held
}

// Correctable says that the action holds something an admin can correct, Texts
// that a title and a text are among it.
func (v deliveryPageView) Correctable() bool {
	switch v.Action.Kind {
	case bridge.ActTask, bridge.ActProcess, bridge.ActCommunication, bridge.ActContact, bridge.ActFields:
		return true
	}
	return false
}

func (v deliveryPageView) Texts() bool {
	return v.Action.Kind != bridge.ActContact && v.Action.Kind != bridge.ActFields
}

func (s *server) deliveryPage(w http.ResponseWriter, r *http.Request) error {
	return s.showDelivery(w, r, "")
}

func (s *server) showDelivery(w http.ResponseWriter, r *http.Request, trouble string) error {
	full, err := s.oneDelivery(r)
	if err != nil {
		return err
	}
	v := deliveryPageView{deliveryFull: full, May: who(r).user.Role == bridge.Admin, Error: trouble}
	switch d := r.URL.Query().Get("did"); d {
	case "retry", "skip", "repair":
		v.Did = d
	}
	p := s.page(r, s.language(r).t("delivery.title")+" "+strconv.FormatInt(full.ID, 10), v)
	p.Section = "deliveries"
	return s.render(w, "delivery.html", p)
}

// deliveryForm is the buttons of that page.
func (s *server) deliveryForm(w http.ResponseWriter, r *http.Request) error {
	id, err := s.deliveryID(r)
	if err != nil {
		return err
	}
	did := r.PostFormValue("do")
	switch did {
	case "retry":
		_, err = s.retryDeliveries(r, chosen{IDs: []int64{id}})
	case "skip":
		_, err = s.skipDeliveries(r, chosen{IDs: []int64{id}, Note: r.PostFormValue("note")})
	case "repair":
		err = s.repairDelivery(r, repairOf(r.PostForm))
	default:
		err = invalid("do", "bad_value")
	}
	if err == nil {
		http.Redirect(w, r, "/deliveries/"+strconv.FormatInt(id, 10)+"?did="+did, http.StatusSeeOther)
		return nil
	}
	if e, ok := errors.AsType[*apiError](err); ok && (e.Status == 409 || e.Status == 422) {
		return s.showDelivery(w, r, strings.TrimSpace(s.language(r).t("error."+e.Code)+" "+e.About))
	}
	return err
}

// repairOf reads the form: only what was sent is corrected.
func repairOf(form url.Values) bridge.Repair {
	var c bridge.Repair
	for name, to := range map[string]**string{"title": &c.Title, "text": &c.Text, "responsible": &c.Responsible, "scheme": &c.Scheme} {
		if v, sent := form[name]; sent && len(v) > 0 {
			text := strings.ReplaceAll(v[0], "\r\n", "\n")
			*to = &text
		}
	}
	for name, v := range form {
		if field, ok := strings.CutPrefix(name, "field-"); ok && len(v) > 0 {
			if c.Fields == nil {
				c.Fields = map[string]string{}
			}
			c.Fields[field] = v[0]
		}
	}
	return c
}

// deliveriesForm is the buttons of the list: for the chosen ones, or for all
// that a filter shows.
func (s *server) deliveriesForm(w http.ResponseWriter, r *http.Request) error {
	var c chosen
	do := r.PostFormValue("do") // reads the form
	for _, t := range r.PostForm["id"] {
		id, err := strconv.ParseInt(t, 10, 64)
		if err != nil {
			return invalid("id", "bad_key")
		}
		c.IDs = append(c.IDs, id)
	}
	back := url.Values{}
	for _, k := range []string{"integration", "state", "day"} {
		if v := r.PostFormValue(k); v != "" {
			back.Set(k, v)
		}
	}
	var n int64
	var err error
	switch do {
	case "retry":
		n, err = s.retryDeliveries(r, c)
	case "retry-all":
		c = chosen{Integration: r.PostFormValue("integration"), Day: r.PostFormValue("day")}
		if st := bridge.DeliveryState(r.PostFormValue("state")); st == bridge.Refused || st == bridge.Expired {
			c.State = st // any other filter shows nothing that could be tried again
		}
		n, err = s.retryDeliveries(r, c)
	case "skip":
		n, err = s.skipDeliveries(r, c)
	default:
		err = invalid("do", "bad_value")
	}
	if err != nil {
		return err
	}
	back.Set("changed", strconv.FormatInt(n, 10))
	http.Redirect(w, r, "/deliveries?"+back.Encode(), http.StatusSeeOther)
	return nil
}
