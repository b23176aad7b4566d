package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
)

// Employees shows and synchronises the employees of integrations.
type Employees interface {
	// Staff returns ErrNotFound for an integration that does not exist.
	Staff(ctx context.Context, integration string) (Staff, error)
	// TakeStaff reads the CRM's list now; shorter takes one that shrank (D-07).
	TakeStaff(ctx context.Context, integration string, shorter bool) (joined int, issues []string, err error)
	// ImportStaff adds chosen users to our employees. Refusals are *Refused.
	ImportStaff(ctx context.Context, by, integration string, chosen []Chosen) (added int, err error)
	// LinkStaff joins users of the CRM to our extensions, one to one: links is
	// by user, "" undoes. senior is the user who gets what nobody else gets, ""
	// leaves him. Refusals are *Refused.
	LinkStaff(ctx context.Context, by, integration string, links map[string]string, senior string) error
}

// Staff is the employees of one integration.
type Staff struct {
	Integration string      `json:"integration"`
	Name        string      `json:"name"`
	SyncedAt    bridge.Time `json:"synced_at,omitzero"`
	Joined      int         `json:"joined"` // extensions joined to a user
	Issues      []string    `json:"issues"` // what does not fit together
	Alarm       *StaffAlarm `json:"alarm,omitempty"`
	Trouble     string      `json:"trouble,omitempty"` // of the last attempt
	Import      bool        `json:"import"`            // users may be imported
	People      []Person    `json:"people"`
	// Group is the CRM's group whose users alone are offered for joining, "" if
	// all are; Linkable says that joining by hand counts here.
	Group    string `json:"group,omitempty"`
	Linkable bool   `json:"linkable"`
	// Senior is the e-mail of who gets what nobody else gets.
	Senior  string         `json:"senior,omitempty"`
	Changes []StaffChanges `json:"changes"` // newest first
}

// StaffChanges is what one synchronisation found changed in the CRM.
type StaffChanges struct {
	At   bridge.Time `json:"at"`
	What []string    `json:"what"`
}

// StaffAlarm is a list that was not believed.
type StaffAlarm struct {
	At   bridge.Time `json:"at"`
	Was  int         `json:"was"`
	Now  int         `json:"now"`
	Gone []string    `json:"gone"`
	Text string      `json:"text"`
}

// Person is a user of the CRM.
type Person struct {
	User      string `json:"user"`
	Name      string `json:"name,omitempty"`
	Email     string `json:"email,omitempty"`
	Extension string `json:"extension,omitempty"` // in the CRM's telephony settings, or by the match
	Active    bool   `json:"active"`
	Ours      string `json:"ours,omitempty"` // extension of the employee of ours he is
	// Offered: may be joined to an extension. Linked is the one he was joined to
	// by hand, Suggested one that fits by e-mail or name.
	Offered     bool   `json:"offered"`
	Linked      string `json:"linked,omitempty"`
	Suggested   string `json:"suggested,omitempty"`
	SuggestedBy string `json:"suggested_by,omitempty"`
}

// Choice is the extension that stands chosen on the page.
func (p Person) Choice() string {
	for _, ext := range []string{p.Linked, p.Ours, p.Suggested} {
		if ext != "" {
			return ext
		}
	}
	return ""
}

// Chosen is a user to be imported; Extension is needed where the CRM tells none.
type Chosen struct {
	User      string `json:"user"`
	Extension string `json:"extension,omitempty"`
}

// Refused is a change that was refused: Code names the sentence, Text what it
// is about.
type Refused struct{ Code, Text string }

func (e *Refused) Error() string { return strings.TrimSpace(e.Code + " " + e.Text) }

// changed turns what a change was refused with into an answer in words.
func changed(err error) error {
	if r, ok := errors.AsType[*Refused](err); ok {
		return &apiError{Status: 409, Code: r.Code, About: r.Text}
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return &apiError{Status: 502, Code: "crm_" + f.Kind.String(), About: f.Error()}
	}
	return err
}

func (s *server) staff(ctx context.Context, id string) (Staff, error) {
	if s.d.Employees == nil {
		return Staff{}, ErrNotFound
	}
	st, err := s.d.Employees.Staff(ctx, id)
	st.Issues = append([]string{}, st.Issues...)
	return st, err
}

func (s *server) apiStaff(w http.ResponseWriter, r *http.Request) error {
	st, err := s.staff(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	writeJSON(w, 200, st)
	return nil
}

// syncLimit is how long the button may take.
const syncLimit = 90 * time.Second

func (s *server) sync(r *http.Request, shorter bool) error {
	if s.d.Employees == nil {
		return ErrNotFound
	}
	ctx, cancel := context.WithTimeout(r.Context(), syncLimit)
	defer cancel()
	_, _, err := s.d.Employees.TakeStaff(ctx, r.PathValue("id"), shorter)
	return err
}

func (s *server) apiStaffSync(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		TakeShorter bool `json:"take_shorter"`
	}
	if r.ContentLength != 0 {
		if err := readJSON(r, &in); err != nil {
			return err
		}
	}
	if err := s.sync(r, in.TakeShorter); err != nil {
		st, serr := s.staff(r.Context(), r.PathValue("id"))
		if serr == nil && st.Alarm != nil {
			writeJSON(w, 409, st) // not believed: the alarm says what is missing
			return nil
		}
		return changed(err)
	}
	return s.apiStaff(w, r)
}

func (s *server) importStaff(r *http.Request, chosen []Chosen) (int, error) {
	if s.d.Employees == nil {
		return 0, ErrNotFound
	}
	if len(chosen) == 0 {
		return 0, invalid("users", "missing")
	}
	ctx, cancel := context.WithTimeout(r.Context(), syncLimit)
	defer cancel()
	n, err := s.d.Employees.ImportStaff(ctx, who(r).user.Login, r.PathValue("id"), chosen)
	if err != nil {
		return n, changed(err)
	}
	return n, nil
}

func (s *server) apiStaffImport(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Users []Chosen `json:"users"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if _, err := s.importStaff(r, in.Users); err != nil {
		return err
	}
	return s.apiStaff(w, r)
}

func (s *server) linkStaff(r *http.Request, links map[string]string, senior string) error {
	if s.d.Employees == nil {
		return ErrNotFound
	}
	if len(links) == 0 && senior == "" {
		return invalid("links", "missing")
	}
	ctx, cancel := context.WithTimeout(r.Context(), syncLimit)
	defer cancel()
	if err := s.d.Employees.LinkStaff(ctx, who(r).user.Login, r.PathValue("id"), links, senior); err != nil {
		return changed(err)
	}
	return nil
}

func (s *server) apiStaffLinks(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Links  map[string]string `json:"links"`
		Senior string            `json:"senior"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := s.linkStaff(r, in.Links, in.Senior); err != nil {
		return err
	}
	return s.apiStaff(w, r)
}

type staffView struct {
	Staff Staff
	Ours  []bridge.Employee
	Admin bool
	Error string
	Done  string
}

func (s *server) staffPage(w http.ResponseWriter, r *http.Request) error {
	return s.showStaff(w, r, "")
}

func (s *server) showStaff(w http.ResponseWriter, r *http.Request, trouble string) error {
	st, err := s.staff(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := staffView{Staff: st, Admin: who(r).user.Role == bridge.Admin, Error: trouble}
	switch n := r.URL.Query().Get("done"); {
	case trouble != "" || n == "":
	case n == "link":
		v.Done = s.language(r).t("staff.linked")
	case n == "sync":
		v.Done = s.language(r).t("staff.synced")
	default:
		v.Done = s.language(r).t("staff.imported") + " " + n
	}
	if s.d.Names != nil {
		_, v.Ours = s.d.Names()
	}
	p := s.page(r, s.language(r).t("staff.title")+" · "+st.Name, v)
	p.Section = "overview"
	return s.render(w, "staff.html", p)
}

// staffForm is the buttons of the page.
func (s *server) staffForm(w http.ResponseWriter, r *http.Request) error {
	back := "/integrations/" + url.PathEscape(r.PathValue("id")) + "/employees?done="
	var err error
	switch r.PostFormValue("do") {
	case "import":
		var chosen []Chosen
		for _, u := range r.PostForm["user"] {
			chosen = append(chosen, Chosen{User: u, Extension: r.PostFormValue("extension-" + u)})
		}
		var n int
		if n, err = s.importStaff(r, chosen); err == nil {
			back += fmt.Sprint(n)
		}
	case "link":
		links := map[string]string{}
		for name, v := range r.PostForm {
			if user, ok := strings.CutPrefix(name, "link-"); ok && len(v) > 0 {
				links[user] = v[0]
			}
		}
		err = s.linkStaff(r, links, r.PostFormValue("senior"))
		back += "link"
	default:
		if err = s.sync(r, r.PostFormValue("do") == "shorter"); err != nil {
			err = changed(err)
		}
		back += "sync"
	}
	if err == nil {
		http.Redirect(w, r, back, http.StatusSeeOther)
		return nil
	}
	e, ok := errors.AsType[*apiError](err)
	if errors.Is(err, ErrNotFound) || ok && e.Status == 403 {
		return err
	}
	text := err.Error()
	if ok {
		text = strings.TrimSpace(s.language(r).t("error."+e.Code) + " " + e.About)
	}
	return s.showStaff(w, r, text)
}
