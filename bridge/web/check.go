package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

// checkLimit is how long the button "check" may take.
const checkLimit = 60 * time.Second

// checked is what came out, in words.
type checked struct {
	OK      bool            `json:"ok"`
	Account string          `json:"account,omitempty"` // whose account answered
	Lines   []crm.CheckLine `json:"lines"`
	Problem string          `json:"problem,omitempty"` // what is wrong with address or credentials, and what to do
	Detail  string          `json:"detail,omitempty"`  // in the adapter's own words
}

// check tries address, credentials and every right, and changes nothing.
func (s *server) check(r *http.Request) (checked, error) {
	out := checked{Lines: []crm.CheckLine{}}
	if s.d.Check == nil {
		return out, ErrNotFound
	}
	ctx, cancel := context.WithTimeout(r.Context(), checkLimit)
	defer cancel()
	rep, err := s.d.Check(ctx, r.PathValue("id"))
	if errors.Is(err, ErrNotFound) {
		return out, ErrNotFound
	}
	if err != nil {
		out.Detail = err.Error()
		key := "error.crm_" + fault.KindOf(err).String()
		if _, ok := errors.AsType[*fault.Error](err); !ok {
			key = "error.crm_invalid"
		}
		out.Problem = s.language(r).t(key)
		return out, nil
	}
	out.OK, out.Account = true, strings.TrimSpace(rep.Account)
	for _, l := range rep.Lines {
		out.OK = out.OK && l.OK
		out.Lines = append(out.Lines, l)
	}
	return out, nil
}

func (s *server) apiCheck(w http.ResponseWriter, r *http.Request) error {
	c, err := s.check(r)
	if err != nil {
		return err
	}
	writeJSON(w, 200, c)
	return nil
}

func (s *server) checkForm(w http.ResponseWriter, r *http.Request) error {
	c, err := s.check(r)
	if err != nil {
		return err
	}
	p := s.page(r, s.language(r).t("check.title")+" · "+r.PathValue("id"), struct {
		checked
		ID string
	}{c, r.PathValue("id")})
	p.Section = "overview"
	return s.render(w, "check.html", p)
}
