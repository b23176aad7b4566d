package web

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
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
	return inWords(s.language(r), rep, err), nil
}

// inWords says what came out of a check in the reader's language: what is wrong
// and what to click.
func inWords(l lang, rep crm.Report, err error) checked {
	out := checked{Lines: []crm.CheckLine{}}
	if err != nil {
		out.Problem, out.Detail = l.t("check."+troubleOf(err)), err.Error()
		return out
	}
	out.OK, out.Account = true, strings.TrimSpace(rep.Account)
	for _, line := range rep.Lines {
		out.OK = out.OK && line.OK
		out.Lines = append(out.Lines, l.checkLine(line))
	}
	return out
}

// troubleOf tells apart what an admin would put right in different places: the
// address, the password, a right, or nothing but patience.
func troubleOf(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return "address.unknown"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "address.certificate"
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return "address.wrong"
	}
	switch f.Kind {
	case fault.Auth:
		return "password"
	case fault.Forbidden:
		return "right"
	case fault.RateLimited:
		return "busy"
	case fault.Gone, fault.Invalid:
		return "address.wrong"
	}
	if f.Status == http.StatusOK || f.Status == http.StatusNotFound {
		return "address.wrong" // something answers there, but not this CRM
	}
	return "silent"
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
