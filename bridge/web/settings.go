package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/rules"
	"callbridge/bridge/setting"
	"callbridge/crm"
)

// ErrConflict is what Admin.Save returns when somebody else has saved.
var ErrConflict = errors.New("somebody else has saved")

// Admin reads and changes the settings.
type Admin interface {
	Settings(ctx context.Context) (bridge.Settings, int64, error)
	Version(ctx context.Context, v int64) (bridge.Settings, error)
	Versions(ctx context.Context) ([]SettingsVersion, error)
	// Kinds are the CRMs there are.
	Kinds() []Kind
	// Complete fills in what the form does not show (masked secrets, unchanged
	// passwords) and says what is wrong with which field.
	Complete(ctx context.Context, s bridge.Settings) (bridge.Settings, []setting.Problem, error)
	// Save keeps s after version base; ErrConflict if there is a newer one.
	Save(ctx context.Context, by, note string, base int64, s bridge.Settings) (int64, error)
	// Try asks the CRM with credentials that need not be saved.
	Try(ctx context.Context, in bridge.Integration) (crm.Report, error)
	DryRun(ctx context.Context, next bridge.Settings, days, most int) (rules.DryRun, error)
	// Text writes settings for reading, secrets masked.
	Text(s bridge.Settings) (string, error)
}

// SettingsVersion is one version without its content.
type SettingsVersion struct {
	Version int64       `json:"version"`
	At      bridge.Time `json:"at"`
	By      string      `json:"by"`
	Note    string      `json:"note,omitempty"`
}

// Kind is one kind of CRM with what the user must fill in.
type Kind struct {
	Name, Title string
	Fields      []setting.Field
}

// dryDays is how far back a dry run looks from the console.
const dryDays = 7

// form is what all settings forms share.
type form struct {
	Base     int64
	Note     string
	Saved    bool
	Conflict bool
	Problems map[string]string // by the name of the input
	Other    []string          // problems of no input on the page
}

// Bad says whether the input called name has a problem.
func (f form) Bad(name string) string { return f.Problems[name] }

// allowed lets admins through, and only where there is something to change.
func (s *server) allowed(r *http.Request) error {
	switch {
	case s.d.Admin == nil:
		return ErrNotFound
	case who(r).user.Role != bridge.Admin:
		return &apiError{Status: 403, Code: "admins_only"}
	}
	return nil
}

// begin reads the settings a form starts from: on a POST those of the version
// the admin has seen, so that what he did not touch stays as it is.
func (s *server) begin(r *http.Request) (bridge.Settings, form, error) {
	if err := s.allowed(r); err != nil {
		return bridge.Settings{}, form{}, err
	}
	now, v, err := s.d.Admin.Settings(r.Context())
	f := form{Base: v, Saved: r.URL.Query().Get("saved") != "", Problems: map[string]string{}}
	if err != nil || r.Method != http.MethodPost {
		return now, f, err
	}
	if err := r.ParseForm(); err != nil {
		return now, f, err
	}
	f.Note = strings.TrimSpace(r.PostForm.Get("note"))
	base, err := strconv.ParseInt(r.PostForm.Get("base"), 10, 64)
	if err != nil {
		return now, f, &apiError{Status: 422, Code: "bad_value", Field: "base"}
	}
	f.Conflict = base != v
	return now, f, nil
}

// finish checks and, if nothing is wrong, saves. rename gives the input's name
// of a path. done is false when the form is to be shown again.
func (s *server) finish(r *http.Request, f *form, next bridge.Settings, what string, rename func(path string) (string, bool)) (done bool, err error) {
	next, problems, err := s.d.Admin.Complete(r.Context(), next)
	if err != nil {
		return false, err
	}
	l := s.language(r)
	for _, p := range problems {
		if name, ok := rename(p.Path); ok {
			f.Problems[name] = problemIn(l, p.Text)
		} else {
			f.Other = append(f.Other, p.Path+": "+problemIn(l, p.Text))
		}
	}
	if len(problems) > 0 || f.Conflict {
		return false, nil
	}
	note := what
	if f.Note != "" {
		note += ": " + f.Note
	}
	v, err := s.d.Admin.Save(r.Context(), who(r).user.Login, note, f.Base, next)
	if errors.Is(err, ErrConflict) {
		f.Conflict = true
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.audit(r, "settings", fmt.Sprintf("%d %s", v, what))
	return true, nil
}

// problemIn writes a problem in the reader's language as far as it is known.
func problemIn(l lang, text string) string {
	if l != ru {
		return text
	}
	for _, p := range problemWords {
		if p.is.MatchString(text) {
			return p.is.ReplaceAllString(text, p.ru)
		}
	}
	return text
}

var problemWords = []struct {
	is *regexp.Regexp
	ru string
}{
	{regexp.MustCompile(`^is missing.*`), "Не заполнено."},
	{regexp.MustCompile(`^(".*") is no e-mail address$`), "$1 — не адрес почты."},
	{regexp.MustCompile(`^(".*") is no telephone number.*`), "$1 — не номер телефона. Пишите как +74951234567."},
	{regexp.MustCompile(`^(".*") is given in .* already$`), "$1 уже есть выше."},
	{regexp.MustCompile(`^(".*") is no login.*`), "$1 не годится как логин: от 1 до 64 букв, цифр и знаков . _ - @"},
	{regexp.MustCompile(`^(".*") is no extension.*`), "$1 — не внутренний номер, например 101."},
	{regexp.MustCompile(`^(".*") is no id.*`), "$1 не годится: строчные латинские буквы, цифры и дефис."},
	{regexp.MustCompile(`^is too short.*|^a password needs.*`), "Слишком коротко: не меньше 8 знаков."},
	{regexp.MustCompile(`^(".*") is no full address such as (\S+?)\..*`), "$1 — не полный адрес, например $2."},
	{regexp.MustCompile(`^a call of direction .* is never .*`), "Такого исхода у звонков этого направления не бывает."},
	{regexp.MustCompile(`^(".*") is neither an e-mail nor .*`), "$1 — ни адрес почты, ни одно из известных слов."},
}

// settingsHub is the first page of the settings.
type settingsHub struct {
	Settings     bridge.Settings
	Integrations []Integration
	Kinds        []Kind
	Versions     []SettingsVersion
}

func (s *server) settingsPage(w http.ResponseWriter, r *http.Request) error {
	now, _, err := s.begin(r)
	if err != nil {
		return err
	}
	v := settingsHub{Settings: now, Kinds: s.d.Admin.Kinds()}
	if v.Integrations, err = s.integrations(r.Context()); err != nil {
		return err
	}
	if v.Versions, err = s.d.Admin.Versions(r.Context()); err != nil {
		return err
	}
	v.Versions = v.Versions[:min(5, len(v.Versions))]
	return s.settingsRender(w, r, 200, "settings.html", "set.title", v)
}

func (s *server) settingsRender(w http.ResponseWriter, r *http.Request, status int, name, title string, data any) error {
	p := s.page(r, s.language(r).t(title), data)
	p.Section = "settings"
	if status != 200 {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
	}
	return s.render(w, name, p)
}

// status of a form that is shown again.
func (f form) status() int {
	switch {
	case f.Conflict:
		return http.StatusConflict
	case len(f.Problems)+len(f.Other) > 0:
		return http.StatusUnprocessableEntity
	}
	return 200
}

// integrationForm is the page on which a CRM account is connected.
type integrationForm struct {
	form
	New   bool
	Kind  Kind
	Kinds []Kind
	In    bridge.Integration
	Lines string
	Staff []bridge.Employee
	Tried *checked
	Kept  string // secrets that were typed, sealed
	typed map[string]string
	// Accounts are the named credentials to choose from (M-1.1).
	Accounts []bridge.Credential
}

// Value is what stands in the box of a field.
func (f integrationForm) Value(field setting.Field) string { return shown(field, f.In.Credentials) }

// Fields are those that the form asks for: who logs in where is told by named
// credentials, if there are any.
func (f integrationForm) Fields() []setting.Field {
	if f.In.CredentialsID == "" {
		return f.Kind.Fields
	}
	return slices.DeleteFunc(slices.Clone(f.Kind.Fields), func(x setting.Field) bool { return x.Account })
}

// shown is a value as a form may show it: of a secret only that there is one.
func shown(field setting.Field, values map[string]string) string {
	v := values[field.Name]
	if field.Secret && v != "" {
		return setting.Mask
	}
	return v
}

func (s *server) integrationFormPage(w http.ResponseWriter, r *http.Request) error {
	now, f, err := s.begin(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	v := integrationForm{form: f, New: id == "new", Kinds: s.d.Admin.Kinds(), Staff: now.Employees}
	at := slices.IndexFunc(now.Integrations, func(in bridge.Integration) bool { return in.ID == id })
	switch {
	case v.New:
		kind := r.FormValue("kind")
		at = len(now.Integrations)
		v.In = bridge.Integration{Kind: kind, ID: freeID(kind, func(id string) bool {
			return slices.ContainsFunc(now.Integrations, func(in bridge.Integration) bool { return in.ID == id })
		}), CredentialsID: r.FormValue("credentials")}
	case at < 0:
		return ErrNotFound
	default:
		v.In = now.Integrations[at]
	}
	if i := slices.IndexFunc(v.Kinds, func(k Kind) bool { return k.Name == v.In.Kind }); i >= 0 {
		v.Kind = v.Kinds[i]
	}
	for _, c := range now.Credentials {
		if c.Kind == v.In.Kind {
			v.Accounts = append(v.Accounts, c)
		}
	}
	v.Lines = strings.Join(v.In.Lines, ", ")
	if r.Method != http.MethodPost {
		if v.New && v.Kind.Name != "" && !slices.ContainsFunc(v.Accounts, func(c bridge.Credential) bool { return c.ID == v.In.CredentialsID }) {
			// M-1.6: first the account, then everything else.
			http.Redirect(w, r, "/settings/credentials/new?then=integration&kind="+url.QueryEscape(v.Kind.Name), http.StatusSeeOther)
			return nil
		}
		return s.settingsRender(w, r, 200, "setintegration.html", "set.integration", v)
	}
	session := who(r).digest
	v.read(r, s.unseal(session, r.PostForm.Get("kept")))
	v.Kept = s.seal(session, v.typed)
	next := now
	next.Integrations = slices.Clone(now.Integrations)
	if v.New {
		next.Integrations = append(next.Integrations, v.In)
	} else {
		next.Integrations[at] = v.In
	}
	if r.PostForm.Get("do") == "check" {
		s.try(r, &v, next, at)
		return s.settingsRender(w, r, 200, "setintegration.html", "set.integration", v)
	}
	prefix := fmt.Sprintf("integrations[%d].", at)
	done, err := s.finish(r, &v.form, next, "integration "+v.In.ID, func(path string) (string, bool) { return strings.CutPrefix(path, prefix) })
	if err != nil {
		return err
	}
	if !done {
		for name, text := range v.Problems {
			if short, _, ok := strings.Cut(name, "["); ok && short == "lines" {
				v.Problems["lines"] = text
			}
		}
		return s.settingsRender(w, r, v.status(), "setintegration.html", "set.integration", v)
	}
	to := "/settings/integrations/" + v.In.ID
	if v.New {
		to += "/rules"
	}
	http.Redirect(w, r, to+"?saved=1", http.StatusSeeOther)
	return nil
}

// read takes over what was typed.
func (f *integrationForm) read(r *http.Request, kept map[string]string) {
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	if f.New {
		f.In.ID = get("id")
	}
	f.In.Name, f.In.DefaultResponsible, f.In.TimeZone = get("name"), get("default_responsible"), get("time_zone")
	f.Lines = r.PostForm.Get("lines")
	f.In.Lines = strings.FieldsFunc(f.Lines, func(c rune) bool { return strings.ContainsRune(",;\n\r", c) })
	for i := range f.In.Lines {
		f.In.Lines[i] = strings.TrimSpace(f.In.Lines[i])
	}
	f.In.Lines = slices.DeleteFunc(f.In.Lines, func(t string) bool { return t == "" })
	f.In.ClickToCall.Number, f.In.ClickToCall.OverrideCallerID = get("click_to_call.number"), get("click_to_call.override_caller_id") != ""
	f.In.SyncEmployees = get("sync_employees") != ""
	if r.PostForm.Has("credentials_id") {
		f.In.CredentialsID = get("credentials_id")
	}
	f.In.Credentials, f.typed = readValues(r, "credentials.", f.Fields(), f.In.Credentials, kept)
}

// readValues takes over the values of fields that were typed. A mask, and what
// a cut form does not hold, keep the old value; typed are the new secrets.
func readValues(r *http.Request, prefix string, fields []setting.Field, old, kept map[string]string) (values, typed map[string]string) {
	values, typed = map[string]string{}, map[string]string{}
	for _, field := range fields {
		name := prefix + field.Name
		value := strings.TrimSpace(r.PostForm.Get(name))
		if !r.PostForm.Has(name) {
			value = old[field.Name]
		}
		switch {
		case value == setting.Mask && kept[field.Name] != "":
			value = kept[field.Name]
		case value == setting.Mask:
			value = old[field.Name]
		}
		if field.Secret && value != "" && value != old[field.Name] {
			typed[field.Name] = value
		}
		if value != "" {
			values[field.Name] = value
		}
	}
	return values, typed
}

// try checks credentials as typed, without saving them.
func (s *server) try(r *http.Request, v *integrationForm, next bridge.Settings, at int) {
	full, ok := s.tryable(r, &v.form, next, fmt.Sprintf("integrations[%d].", at), &v.Tried)
	if ok {
		s.tryNow(r, full.Resolved().Integrations[at], &v.Tried)
	}
}

// tryable says whether the fields below prefix are good enough for a check.
func (s *server) tryable(r *http.Request, f *form, next bridge.Settings, prefix string, out **checked) (bridge.Settings, bool) {
	l := s.language(r)
	full, problems, err := s.d.Admin.Complete(r.Context(), next)
	for _, p := range problems {
		if name, ok := strings.CutPrefix(p.Path, prefix); ok {
			f.Problems[name] = problemIn(l, p.Text)
		}
	}
	if err != nil || len(f.Problems) > 0 {
		*out = &checked{Problem: l.t("set.check.fields")}
		return full, false
	}
	return full, true
}

func (s *server) tryNow(r *http.Request, in bridge.Integration, out **checked) {
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	report, err := s.d.Admin.Try(ctx, in)
	s.audit(r, "check", in.ID)
	c := inWords(s.language(r), report, err)
	*out = &c
}

// freeID makes an id that is not taken yet.
func freeID(kind string, taken func(id string) bool) string {
	for n := 1; ; n++ {
		id := kind + "-main"
		if n > 1 {
			id = fmt.Sprintf("%s-%d", kind, n)
		}
		if !taken(id) {
			return id
		}
	}
}
