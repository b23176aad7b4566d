package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"callbridge/bridge"
)

// ErrInUse is what Personal.Erase returns while a call of the number goes on or
// has just ended: what comes next would bring back what was erased.
var ErrInUse = errors.New("the number is in use")

// Personal searches, exports and erases what is kept about a number (F-22).
type Personal interface {
	Search(ctx context.Context, n bridge.Number) (PersonalSummary, error)
	// Export writes all of it as one JSON object.
	Export(ctx context.Context, n bridge.Number) ([]byte, error)
	Erase(ctx context.Context, n bridge.Number) (Erased, error)
	// Retention says how long each kind of data is kept.
	Retention() []Kept
}

// PersonalSummary says how much is kept about a number.
type PersonalSummary struct {
	Number     bridge.Number `json:"number"`
	Calls      int64         `json:"calls"`
	First      bridge.Time   `json:"first,omitzero"`
	Last       bridge.Time   `json:"last,omitzero"`
	Events     int64         `json:"events"`
	Deliveries int64         `json:"deliveries"`
	Open       int64         `json:"open"`
	Recordings []string      `json:"recordings"`
	Contacts   int64         `json:"contacts"`
	Missed     int64         `json:"missed"`
	Clicks     int64         `json:"clicks"`
	Mentioned  int64         `json:"mentioned"`
}

// Any says whether there is anything.
func (p PersonalSummary) Any() bool {
	return p.Calls+p.Contacts+p.Missed+p.Clicks+p.Mentioned > 0
}

// Erased says what was removed.
type Erased struct {
	Calls      int64    `json:"calls"`
	Events     int64    `json:"events"`
	Deliveries int64    `json:"deliveries"`
	Skipped    int64    `json:"skipped"`
	Contacts   int64    `json:"contacts"`
	Missed     int64    `json:"missed"`
	Clicks     int64    `json:"clicks"`
	Mentions   int64    `json:"mentions"`
	Recordings []string `json:"recordings"`
}

// Kept is how long one kind of data is kept.
type Kept struct {
	Kind string `json:"kind"` // events, attempts, calls, cards, contacts, missed, clicks, audit
	Days int    `json:"days"` // 0: for ever
}

// personalView is the page. The number stands in forms only, never in an
// address: addresses end up in logs and histories.
type personalView struct {
	Typed   string
	Wrong   string
	Found   *PersonalSummary
	Number  bridge.Number
	Erased  *Erased
	Confirm bool // the box was not ticked
	Kept    []Kept
}

func (s *server) personal(r *http.Request) error {
	switch {
	case s.d.Personal == nil:
		return ErrNotFound
	case who(r).user.Role != bridge.Admin:
		return &apiError{Status: 403, Code: "admins_only"}
	}
	return nil
}

// eraseLimit is for databases that take their time to be written anew.
const eraseLimit = 30 * time.Minute

func (s *server) erase(r *http.Request, n bridge.Number) (Erased, error) {
	// An impatient browser must not leave half of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), eraseLimit)
	defer cancel()
	got, err := s.d.Personal.Erase(ctx, n)
	if errors.Is(err, ErrInUse) {
		return got, &apiError{Status: 409, Code: "number_in_use", Field: "number"}
	}
	if err == nil {
		s.audit(r, "erase", "") // whose data it was is what nobody shall read any more
	}
	return got, err
}

func (s *server) personalPage(w http.ResponseWriter, r *http.Request) error {
	if err := s.personal(r); err != nil {
		return err
	}
	l, status := s.language(r), 200
	v := personalView{Kept: s.d.Personal.Retention()}
	if r.Method == http.MethodPost {
		v.Typed = strings.TrimSpace(r.PostFormValue("number"))
		var err error
		if v.Number = s.d.Parse(v.Typed); v.Number == "" || !strings.HasPrefix(string(v.Number), "+") {
			v.Wrong, status = l.t("error.unknown_number"), 422
		} else if status, err = s.personalForm(w, r, l, &v); status == 0 || err != nil {
			return err
		}
	}
	return s.settingsRender(w, r, status, "personal.html", "set.personal", v)
}

// personalForm does what the button says; status 0: it has answered.
func (s *server) personalForm(w http.ResponseWriter, r *http.Request, l lang, v *personalView) (status int, err error) {
	status = 200
	switch r.PostFormValue("do") {
	case "export":
		b, err := s.d.Personal.Export(r.Context(), v.Number)
		if err != nil {
			return 0, err
		}
		s.audit(r, "export", "")
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="personal-data.json"`)
		_, _ = w.Write(b)
		return 0, nil
	case "erase":
		if r.PostFormValue("sure") == "" {
			v.Confirm, status = true, 422
			break
		}
		got, err := s.erase(r, v.Number)
		if e, ok := errors.AsType[*apiError](err); ok {
			v.Wrong, status = l.t("error."+e.Code), e.Status
			break
		}
		if err != nil {
			return 0, err
		}
		*v = personalView{Erased: &got, Kept: v.Kept}
		return 200, nil
	}
	found, err := s.d.Personal.Search(r.Context(), v.Number)
	v.Found = &found
	return status, err
}

// personalBody reads {"number": …}; the number comes back as E.164.
func (s *server) personalBody(r *http.Request) (n bridge.Number, sure bool, err error) {
	if err := s.personal(r); err != nil {
		return "", false, err
	}
	var in struct {
		Number string `json:"number"`
		Sure   bool   `json:"sure"`
	}
	if err := readJSON(r, &in); err != nil {
		return "", false, err
	}
	if in.Number == "" {
		return "", false, invalid("number", "missing")
	}
	if n = s.d.Parse(in.Number); !strings.HasPrefix(string(n), "+") {
		return "", false, invalid("number", "unknown_number")
	}
	return n, in.Sure, nil
}

func (s *server) apiPersonalSearch(w http.ResponseWriter, r *http.Request) error {
	n, _, err := s.personalBody(r)
	if err != nil {
		return err
	}
	found, err := s.d.Personal.Search(r.Context(), n)
	if err != nil {
		return err
	}
	writeJSON(w, 200, found)
	return nil
}

func (s *server) apiPersonalExport(w http.ResponseWriter, r *http.Request) error {
	n, _, err := s.personalBody(r)
	if err != nil {
		return err
	}
	b, err := s.d.Personal.Export(r.Context(), n)
	if err != nil {
		return err
	}
	s.audit(r, "export", "")
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(b)
	return nil
}

func (s *server) apiPersonalErase(w http.ResponseWriter, r *http.Request) error {
	n, sure, err := s.personalBody(r)
	if err != nil {
		return err
	}
	if !sure {
		return invalid("sure", "missing")
	}
	got, err := s.erase(r, n)
	if err != nil {
		return err
	}
	writeJSON(w, 200, got)
	return nil
}

func (s *server) apiRetention(w http.ResponseWriter, r *http.Request) error {
	if err := s.personal(r); err != nil {
		return err
	}
	writeJSON(w, 200, map[string]any{"retention": s.d.Personal.Retention()})
	return nil
}
