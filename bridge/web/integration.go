package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"callbridge/bridge"
)

// Switcher turns integrations on and off and sends kept calls later.
type Switcher interface {
	// Standing describes one integration; ErrNotFound if there is none.
	Standing(ctx context.Context, id string) (Standing, error)
	// Activate starts it; with resend, what was held of today and the two days
	// before goes out in order.
	Activate(ctx context.Context, id, by string, resend bool) (Switched, error)
	// Deactivate stops it; new calls are kept for it.
	Deactivate(ctx context.Context, id, by string) (Switched, error)
	// Resend sends kept calls again, or with q.DryRun says what it would send.
	Resend(ctx context.Context, id string, q ResendQuery) (Resent, error)
}

// Standing is how an integration is, day by day, and what an activation would do.
type Standing struct {
	Integration
	Module       string      `json:"module,omitempty"` // our telephony in the CRM's list: active, inactive, failed
	ModuleError  string      `json:"module_error,omitempty"`
	FirstRefused bridge.Time `json:"first_refused,omitzero"` // first rejected action since it was last good
	ResendFrom   bridge.Time `json:"resend_from"`            // start of today and the two days before
	HeldCalls    int64       `json:"held_calls"`
	WouldSend    int64       `json:"would_send"`    // with the box
	WouldExpire  int64       `json:"would_expire"`  // even with it: older than the window
	HeldByRight  int64       `json:"held_by_right"` // a right is missing
	Requests     int64       `json:"requests"`      // that sending takes
	Minutes      float64     `json:"minutes"`
	Days         []LedgerRow `json:"days"`
}

// Box says whether the box "send data after reactivation" is to be shown: it
// appears once the integration is off.
func (s Standing) Box() bool { return !s.Active || s.Held > 0 }

// Switched is what turning an integration on or off did.
type Switched struct {
	Active  bool        `json:"active"`
	Sent    int64       `json:"sent"`    // wait again and go out in order
	Expired int64       `json:"expired"` // can still be sent by a resend
	Popups  int64       `json:"popups"`  // never sent later
	Held    int64       `json:"held"`    // by a deactivation, or for want of a right
	Minutes float64     `json:"minutes"` // until all is sent
	Before  []LedgerRow `json:"days_before"`
	After   []LedgerRow `json:"days_after"`
}

// ResendQuery chooses kept calls.
type ResendQuery struct {
	From, To time.Time // of the start: From included, To not; zero: all that are kept
	CallID   string
	Again    bool // with the present rules; else only what is missing
	DryRun   bool
}

// Resent says what a resend sends, or would.
type Resent struct {
	Calls      int64                       `json:"calls"`
	Deliveries int64                       `json:"deliveries"`
	ByKind     map[bridge.ActionKind]int64 `json:"by_kind"`
	Unchanged  int64                       `json:"unchanged"`
	Dropped    int64                       `json:"not_wanted_any_more"`
	Requests   int64                       `json:"requests"`
	Minutes    float64                     `json:"minutes"`
	Held       bool                        `json:"held"` // the integration is off: they are held
	Sent       bool                        `json:"sent"` // false: only counted
}

// integrationView is the page of one integration.
type integrationView struct {
	Standing
	May  bool // turn it on and off
	Did  string
	Nums map[string]string
}

func (s *server) standing(r *http.Request) (Standing, error) {
	if s.d.Switch == nil {
		return Standing{}, ErrNotFound
	}
	return s.d.Switch.Standing(r.Context(), r.PathValue("id"))
}

func (s *server) integrationPage(w http.ResponseWriter, r *http.Request) error {
	st, err := s.standing(r)
	if err != nil {
		return err
	}
	v := integrationView{Standing: st, May: who(r).user.Role == bridge.Admin, Nums: map[string]string{}}
	q := r.URL.Query()
	switch d := q.Get("did"); d {
	case "activate", "deactivate", "resend":
		v.Did = d
	}
	for _, k := range []string{"sent", "expired", "held", "minutes"} {
		if _, err := strconv.ParseFloat(q.Get(k), 64); err == nil {
			v.Nums[k] = q.Get(k)
		} else {
			v.Nums[k] = "0"
		}
	}
	title := st.Name
	if title == "" {
		title = st.ID
	}
	p := s.page(r, title, v)
	p.Section = "integration"
	return s.render(w, "integration.html", p)
}

// switchLimit bounds a release of tens of thousands of deliveries.
const switchLimit = 2 * time.Minute

func (s *server) turn(r *http.Request, on, resend bool) (Switched, error) {
	if s.d.Switch == nil {
		return Switched{}, ErrNotFound
	}
	// Not ended by an impatient browser: half a release would be repaired, but
	// nobody would see its numbers.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), switchLimit)
	defer cancel()
	id, by := r.PathValue("id"), who(r).user.Login
	what, done, err := "deactivate", Switched{}, error(nil)
	if on {
		what = "activate"
		done, err = s.d.Switch.Activate(ctx, id, by, resend)
	} else {
		done, err = s.d.Switch.Deactivate(ctx, id, by)
	}
	if err == nil {
		s.audit(r, what, id)
	}
	return done, err
}

func (s *server) activateForm(w http.ResponseWriter, r *http.Request) error {
	done, err := s.turn(r, true, r.PostFormValue("resend") == "1")
	return s.turned(w, r, "activate", done, err)
}

func (s *server) deactivateForm(w http.ResponseWriter, r *http.Request) error {
	done, err := s.turn(r, false, false)
	return s.turned(w, r, "deactivate", done, err)
}

// turned shows the page again with what was done.
func (s *server) turned(w http.ResponseWriter, r *http.Request, did string, d Switched, err error) error {
	if err != nil {
		return err
	}
	q := url.Values{"did": {did}, "sent": {strconv.FormatInt(d.Sent, 10)}, "expired": {strconv.FormatInt(d.Expired, 10)},
		"held": {strconv.FormatInt(d.Held, 10)}, "minutes": {strconv.FormatFloat(d.Minutes, 'f', -1, 64)}}
	http.Redirect(w, r, "/integrations/"+url.PathEscape(r.PathValue("id"))+"?"+q.Encode(), http.StatusSeeOther)
	return nil
}

// resendForm sends what expired of the window after all: who forgot the box
// can still do it (decision 13).
func (s *server) resendForm(w http.ResponseWriter, r *http.Request) error {
	st, err := s.standing(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), switchLimit)
	defer cancel()
	did, err := s.d.Switch.Resend(ctx, st.ID, ResendQuery{From: st.ResendFrom.Time})
	return s.turned(w, r, "resend", Switched{Sent: did.Deliveries, Minutes: did.Minutes}, err)
}

func (s *server) apiIntegration(w http.ResponseWriter, r *http.Request) error {
	st, err := s.standing(r)
	if err != nil {
		return err
	}
	writeJSON(w, 200, st)
	return nil
}

func (s *server) apiActivate(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Resend bool `json:"resend"`
	}
	if r.ContentLength != 0 {
		if err := readJSON(r, &in); err != nil {
			return err
		}
	}
	done, err := s.turn(r, true, in.Resend)
	if err != nil {
		return err
	}
	writeJSON(w, 200, done)
	return nil
}

func (s *server) apiDeactivate(w http.ResponseWriter, r *http.Request) error {
	done, err := s.turn(r, false, false)
	if err != nil {
		return err
	}
	writeJSON(w, 200, done)
	return nil
}

func (s *server) apiResend(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		From   bridge.Time `json:"from"`
		To     bridge.Time `json:"to"`
		Call   string      `json:"call"`
		Again  bool        `json:"again"`
		DryRun bool        `json:"dry_run"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if s.d.Switch == nil {
		return ErrNotFound
	}
	if !in.To.IsZero() && !in.To.After(in.From.Time) {
		return invalid("to", "bad_time")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), switchLimit)
	defer cancel()
	did, err := s.d.Switch.Resend(ctx, r.PathValue("id"), ResendQuery{From: in.From.Time, To: in.To.Time, CallID: in.Call, Again: in.Again, DryRun: in.DryRun})
	if err != nil {
		return err
	}
	writeJSON(w, 200, did)
	return nil
}
