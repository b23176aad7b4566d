package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"callbridge/bridge"
)

type versionsView struct {
	Versions []SettingsVersion
	Saved    bool
}

func (s *server) versionsPage(w http.ResponseWriter, r *http.Request) error {
	if err := s.allowed(r); err != nil {
		return err
	}
	list, err := s.d.Admin.Versions(r.Context())
	if err != nil {
		return err
	}
	return s.settingsRender(w, r, 200, "versions.html", "set.versions", versionsView{list[:min(len(list), 500)], r.URL.Query().Get("saved") != ""})
}

// versionView is one version and how it differs from another.
type versionView struct {
	form
	Version int64
	Against int64
	Newest  bool
	Lines   []diffLine
	Same    bool
}

// diffLine is one line of a difference: " ", "-" or "+".
type diffLine struct{ Sign, Text string }

func (s *server) version(r *http.Request) (v versionView, then bridge.Settings, err error) {
	if err = s.allowed(r); err != nil {
		return v, then, err
	}
	if v.Version, err = strconv.ParseInt(r.PathValue("id"), 10, 64); err != nil || v.Version < 1 {
		return v, then, ErrNotFound
	}
	if then, err = s.d.Admin.Version(r.Context(), v.Version); err != nil {
		return v, then, err
	}
	_, now, err := s.d.Admin.Settings(r.Context())
	if err != nil {
		return v, then, err
	}
	v.Base, v.Newest = now, now == v.Version
	if v.Against = v.Version - 1; r.URL.Query().Get("against") == "newest" {
		v.Against = now
	}
	var other bridge.Settings
	if v.Against > 0 {
		if other, err = s.d.Admin.Version(r.Context(), v.Against); err != nil && !errors.Is(err, ErrNotFound) {
			return v, then, err
		}
	}
	a, b := other, then
	if v.Against > v.Version {
		a, b = then, other
	}
	before, err := s.d.Admin.Text(a)
	if err != nil {
		return v, then, err
	}
	after, err := s.d.Admin.Text(b)
	v.Lines = diff(strings.Split(strings.TrimSpace(before), "\n"), strings.Split(strings.TrimSpace(after), "\n"))
	v.Same = len(v.Lines) == 0
	return v, then, err
}

func (s *server) versionPage(w http.ResponseWriter, r *http.Request) error {
	v, then, err := s.version(r)
	if err != nil {
		return err
	}
	if r.Method != http.MethodPost {
		return s.settingsRender(w, r, 200, "version.html", "set.version", v)
	}
	if v.Newest {
		return &apiError{Status: 409, Code: "newest"}
	}
	// The way back is a step forward: the old version becomes the newest one,
	// and those between stay (F-21).
	back, err := s.goBack(r, then, v)
	if err != nil {
		return err
	}
	http.Redirect(w, r, fmt.Sprintf("/settings/versions?saved=%d", back), http.StatusSeeOther)
	return nil
}

func (s *server) goBack(r *http.Request, then bridge.Settings, v versionView) (int64, error) {
	base := v.Base
	if t := r.PostFormValue("base"); t != "" {
		n, err := strconv.ParseInt(t, 10, 64)
		if err != nil {
			return 0, invalid("base", "bad_value")
		}
		base = n
	}
	n, err := s.d.Admin.Save(r.Context(), who(r).user.Login, fmt.Sprintf("back to version %d", v.Version), base, then)
	if errors.Is(err, ErrConflict) {
		return 0, &apiError{Status: 409, Code: "conflict"}
	}
	if err == nil {
		s.audit(r, "settings", fmt.Sprintf("%d back to %d", n, v.Version))
	}
	return n, err
}

// diff compares two texts line by line and leaves out what is the same far from
// any change.
func diff(a, b []string) []diffLine {
	const near, most = 3, 3000
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	end := 0
	for end < len(a)-head && end < len(b)-head && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	x, y := a[head:len(a)-end], b[head:len(b)-end]
	if len(x) == 0 && len(y) == 0 {
		return nil
	}
	var out []diffLine
	for _, t := range a[max(0, head-near):head] {
		out = append(out, diffLine{" ", t})
	}
	if len(x) > most || len(y) > most {
		return append(out, diffLine{"-", fmt.Sprintf("… %d", len(x))}, diffLine{"+", fmt.Sprintf("… %d", len(y))})
	}
	out = append(out, shrink(middle(x, y), near)...)
	for _, t := range a[len(a)-end : len(a)-end+min(near, end)] {
		out = append(out, diffLine{" ", t})
	}
	return out
}

// middle is the longest common subsequence, written as a difference.
func middle(x, y []string) []diffLine {
	n := make([][]int32, len(x)+1)
	for i := range n {
		n[i] = make([]int32, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				n[i][j] = n[i+1][j+1] + 1
			} else {
				n[i][j] = max(n[i+1][j], n[i][j+1])
			}
		}
	}
	var out []diffLine
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			out = append(out, diffLine{" ", x[i]})
			i, j = i+1, j+1
		case j == len(y) || i < len(x) && n[i+1][j] >= n[i][j+1]:
			out = append(out, diffLine{"-", x[i]})
			i++
		default:
			out = append(out, diffLine{"+", y[j]})
			j++
		}
	}
	return out
}

// shrink replaces long runs of the same lines by one with dots.
func shrink(list []diffLine, near int) []diffLine {
	var out []diffLine
	for i := 0; i < len(list); {
		j := i
		for j < len(list) && list[j].Sign == " " {
			j++
		}
		if j-i > 2*near+1 {
			out = append(append(append(out, list[i:i+near]...), diffLine{" ", "…"}), list[j-near:j]...)
		} else {
			out = append(out, list[i:j]...)
		}
		for i = j; i < len(list) && list[i].Sign != " "; i++ {
			out = append(out, list[i])
		}
	}
	return out
}

type auditView struct {
	Notes []AuditNote
	Next  int64
}

func (s *server) auditNotes(r *http.Request) ([]AuditNote, int64, error) {
	if s.d.Audit == nil {
		return nil, 0, ErrNotFound
	}
	if who(r).user.Role != bridge.Admin {
		return nil, 0, &apiError{Status: 403, Code: "admins_only"}
	}
	var before int64
	if t := r.URL.Query().Get("before"); t != "" {
		var err error
		if before, err = strconv.ParseInt(t, 10, 64); err != nil || before < 1 {
			return nil, 0, invalid("before", "bad_key")
		}
	}
	list, err := s.d.Audit.Notes(r.Context(), before, 100)
	if err != nil || len(list) < 100 {
		return list, 0, err
	}
	return list, list[len(list)-1].ID, nil
}

func (s *server) auditPage(w http.ResponseWriter, r *http.Request) error {
	list, next, err := s.auditNotes(r)
	if err != nil {
		return err
	}
	return s.settingsRender(w, r, 200, "audit.html", "set.audit", auditView{list, next})
}

func (s *server) apiAudit(w http.ResponseWriter, r *http.Request) error {
	list, next, err := s.auditNotes(r)
	if err != nil {
		return err
	}
	key := ""
	if next > 0 {
		key = strconv.FormatInt(next, 10)
	}
	writeJSON(w, 200, map[string]any{"audit": append([]AuditNote{}, list...), "next": key})
	return nil
}
