package config

import (
	"bytes"
	"errors"
	"fmt"
	"net/mail"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/phone"
	"callbridge/bridge/rules"
	"callbridge/bridge/setting"

	"go.yaml.in/yaml/v3"
)

// ParseSettings reads the text that `callbridge apply` takes. drivers holds
// the credential fields of each kind of CRM; country is where numbers without
// one belong; getenv resolves ${NAME}, nil refuses it (text from a browser must
// not read the daemon's environment). Numbers come back as E.164, e-mails in
// small letters. All faults are in the list; err is only set when the text is
// no YAML at all. Secrets that are masked pass; see Merge.
func ParseSettings(data []byte, getenv func(string) string, drivers map[string][]setting.Field, country string) (bridge.Settings, []setting.Problem, error) {
	var s bridge.Settings
	d := &decoder{getenv: getenv}
	d.document(data, "settings", &s)
	if d.syntax != nil {
		return bridge.Settings{}, nil, Problems{*d.syntax}
	}
	list := d.problems
	for _, p := range CheckSettings(&s, drivers, country) {
		if !slices.ContainsFunc(list, func(q setting.Problem) bool { return q.Path == p.Path }) {
			list = append(list, p)
		}
	}
	return s, list, nil
}

// CheckSettings returns everything in s that cannot work, and writes numbers
// and e-mails the way we keep them. The console and the REST API use it for
// settings that come as JSON.
func CheckSettings(s *bridge.Settings, drivers map[string][]setting.Field, country string) []setting.Problem {
	c := &checker{drivers: drivers, country: country}
	c.credentials(s.Credentials)
	seen := map[string]string{}
	for i := range s.Integrations {
		path := fmt.Sprintf("integrations[%d]", i)
		c.integration(path, &s.Integrations[i], s)
		c.unique(seen, path+".id", s.Integrations[i].ID)
	}
	c.employees(s.Employees)
	c.lines(s.Lines)
	c.users(s.Users)
	c.card(&s.Card)
	return c.list
}

type checker struct {
	faults
	drivers map[string][]setting.Field
	country string
}

// unique notes a value that was there before; empty ones are no values (D-08).
func (c *checker) unique(seen map[string]string, path, value string) {
	if value == "" {
		return
	}
	if first, double := seen[value]; double {
		c.add(path, "%q is given in %s already", value, first)
		return
	}
	seen[value] = path
}

func (c *checker) integration(path string, in *bridge.Integration, s *bridge.Settings) {
	if !idForm.MatchString(in.ID) {
		c.add(path+".id", "%q is no id; use %s", in.ID, idHelp)
	}
	if fields, ok := c.drivers[in.Kind]; ok {
		c.list = append(c.list, setting.Validate(path+".credentials.", fields, setting.Values(s.CredentialsOf(*in)))...)
	} else {
		kinds := make([]string, 0, len(c.drivers))
		for k := range c.drivers {
			kinds = append(kinds, k)
		}
		slices.Sort(kinds)
		c.oneOf(path+".kind", in.Kind, kinds...)
	}
	c.usesCredentials(path, in, s)
	c.numbers(path+".lines", in.Lines)
	c.staff(path+".staff", in.Staff, s.Employees)
	in.DefaultResponsible = c.email(path+".default_responsible", in.DefaultResponsible)
	c.zone(path+".time_zone", in.TimeZone, false)
	if in.WorkingHours != nil {
		for field, why := range in.WorkingHours.Check() {
			c.add(path+".working_hours."+field, "%s", why)
		}
	}
	if m := in.Calls.Missed; m != nil {
		c.span(path+".calls.missed.within", m.Within, 366*24*time.Hour)
	}
	c.calls(path+".calls", &in.Calls)
	if in.ClickToCall.Number != "" {
		in.ClickToCall.Number = c.number(path+".click_to_call.number", in.ClickToCall.Number)
	} else if in.ClickToCall.OverrideCallerID {
		c.add(path+".click_to_call.number", "is missing: override_caller_id shows it to clients")
	}
}

// staff wants extensions of ours and users of the CRM, one to one.
func (c *checker) staff(path string, list []bridge.StaffLink, ours []bridge.Employee) {
	exts, users := map[string]string{}, map[string]string{}
	for i, l := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.extension(at+".extension", l.Extension, true)
		if l.Extension != "" && !slices.ContainsFunc(ours, func(e bridge.Employee) bool { return e.Extension == l.Extension }) {
			c.add(at+".extension", "%q is nobody's extension; add it to employees first", l.Extension)
		}
		if l.User == "" {
			c.add(at+".user", "is missing: the id of the user in the CRM; the page of the integration's employees shows it")
		}
		c.unique(exts, at+".extension", l.Extension)
		c.unique(users, at+".user", l.User)
	}
}

func (c *checker) calls(path string, r *bridge.CallRules) {
	if r.Contact != nil {
		for i, w := range r.Contact.When {
			c.oneOf(fmt.Sprintf("%s.contact.when[%d]", path, i), w, rules.WhenAnswer, rules.WhenMissed, rules.WhenFailed)
		}
		r.Contact.Responsible = c.responsible(path+".contact.responsible", r.Contact.Responsible)
		c.template(path+".contact.name", r.Contact.Name)
	}
	c.fields(path+".fields", r.Fields)
	for i := range r.Communications {
		c.rule(fmt.Sprintf("%s.communications[%d]", path, i), &r.Communications[i])
	}
	if m := r.CommunicationMinutes; m != nil && (*m < 0 || *m > 24*60) {
		c.add(path+".communication_minutes", "%d is out of range: 0 (the real length) to 1440", *m)
	}
	for i := range r.Tasks {
		t, at := &r.Tasks[i], fmt.Sprintf("%s.tasks[%d]", path, i)
		c.rule(at, &t.CallRule)
		t.Responsible = c.responsible(at+".responsible", t.Responsible)
		c.template(at+".title", t.Title)
		c.template(at+".text", t.Text)
		c.span(at+".due", t.Due, 366*24*time.Hour)
	}
	for i := range r.Processes {
		p, at := &r.Processes[i], fmt.Sprintf("%s.processes[%d]", path, i)
		c.rule(at, &p.CallRule)
		p.Responsible = c.responsible(at+".responsible", p.Responsible)
		c.template(at+".title", p.Title)
		c.template(at+".text", p.Text)
		c.fields(at+".fields", p.Fields)
	}
}

func (c *checker) fields(path string, list []bridge.FieldRule) {
	seen := map[string]string{}
	for i, f := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if f.CRM == "" {
			c.add(at+".crm", "is missing: the name of the CRM's field")
		}
		c.unique(seen, at+".crm", f.CRM)
		if err := rules.CheckField(f.From); err != nil {
			c.add(at+".from", "%v", err)
		}
		if f.Update != "" {
			c.oneOf(at+".update", f.Update, rules.UpdateAlways)
		}
	}
}

// ends says which outcomes a direction can have.
var ends = map[bridge.Direction][]string{bridge.In: {"answered", "missed"}, bridge.Out: {"answered", "failed"}, bridge.Internal: {"answered", "missed"}}

// rule checks the conditions of a rule, and that a call can meet them at all.
func (c *checker) rule(path string, r *bridge.CallRule) {
	can := []string{"answered", "missed", "failed"}
	if r.Direction != "" {
		c.oneOf(path+".direction", string(r.Direction), "in", "out", "internal")
		if of, ok := ends[r.Direction]; ok {
			can = of
		}
	}
	for i, o := range r.Outcome {
		at := fmt.Sprintf("%s.outcome[%d]", path, i)
		if all := []string{"answered", "missed", "failed"}; slices.Contains(all, string(o)) && !slices.Contains(can, string(o)) {
			c.add(at, "a call of direction %s is never %s, only %s", r.Direction, o, strings.Join(can, " or "))
		} else {
			c.oneOf(at, string(o), all...)
		}
	}
	words := make([]string, 0, 16)
	for _, w := range bridge.Reasons() {
		words = append(words, string(w))
	}
	for i, w := range r.Reason {
		c.oneOf(fmt.Sprintf("%s.reason[%d]", path, i), string(w), words...)
	}
	if len(r.Reason) > 0 && len(r.Outcome) > 0 && !slices.ContainsFunc(r.Outcome, func(o bridge.Outcome) bool { return o != bridge.Answered }) {
		c.add(path+".reason", "an answered call has no reason: the rule would never fit")
	}
	c.numbers(path+".lines", r.Lines)
}

func (c *checker) employees(list []bridge.Employee) {
	exts, mails := map[string]string{}, map[string]string{}
	for i := range list {
		e, at := &list[i], fmt.Sprintf("employees[%d]", i)
		c.extension(at+".extension", e.Extension, true)
		e.Email = c.email(at+".email", e.Email)
		if e.Card != "" {
			c.oneOf(at+".card", string(e.Card), string(bridge.CardAtRing), string(bridge.CardAtAnswer), string(bridge.CardNever))
		}
		if e.Line != "" {
			e.Line = c.number(at+".line", e.Line)
		}
		c.unique(exts, at+".extension", e.Extension)
		c.unique(mails, at+".email", e.Email)
	}
}

// card checks what stands on the card.
func (c *checker) card(s *bridge.CardSettings) {
	seen := map[string]string{}
	if len(s.Outcomes) > 30 {
		c.add("card.outcomes", "are too many: 30 at most, or nobody finds his")
	}
	for i := range s.Outcomes {
		at := fmt.Sprintf("card.outcomes[%d]", i)
		s.Outcomes[i] = strings.TrimSpace(s.Outcomes[i])
		switch n := len([]rune(s.Outcomes[i])); {
		case n == 0:
			c.add(at, "is missing")
		case n > 100:
			c.add(at, "is too long: 100 signs at most")
		}
		c.unique(seen, at, s.Outcomes[i])
	}
}

func (c *checker) lines(list []bridge.Line) {
	seen := map[string]string{}
	for i := range list {
		l, at := &list[i], fmt.Sprintf("lines[%d]", i)
		l.Number = c.number(at+".number", l.Number)
		c.unique(seen, at+".number", l.Number)
	}
}

func (c *checker) users(list []bridge.User) {
	seen := map[string]string{}
	for i := range list {
		u, at := &list[i], fmt.Sprintf("users[%d]", i)
		if !loginForm.MatchString(u.Login) {
			c.add(at+".login", "%q is no login; use 1 to 64 letters, digits and . _ - @", u.Login)
		}
		c.unique(seen, at+".login", strings.ToLower(u.Login))
		c.oneOf(at+".role", string(u.Role), string(bridge.Admin), string(bridge.Supervisor), string(bridge.Agent))
		c.extension(at+".extension", u.Extension, false)
		if u.Role == bridge.Agent && u.Extension == "" {
			c.add(at+".extension", "is missing: an agent sees the cards of his own phone only")
		}
		if u.Password != "" && u.Password != setting.Mask && len([]rune(u.Password)) < 8 {
			c.add(at+".password", "is too short: at least 8 signs")
		}
		if u.Language != "" {
			c.oneOf(at+".language", u.Language, "ru", "en")
		}
	}
}

var (
	loginForm     = regexp.MustCompile(`^[\pL\pN._@-]{1,64}$`)
	extensionForm = regexp.MustCompile(`^[\pL\pN._+*#-]{1,40}$`)
)

func (c *checker) extension(path, ext string, required bool) {
	switch {
	case ext == "" && required:
		c.add(path, "is missing")
	case ext != "" && !extensionForm.MatchString(ext):
		c.add(path, "%q is no extension such as 101", ext)
	}
}

// number returns one of our numbers as E.164; a short code stays as it is.
func (c *checker) number(path, raw string) string {
	n, kind := phone.Parse(raw, c.country)
	switch kind {
	case phone.Public:
		return string(n)
	case phone.Short:
		return strings.TrimSpace(raw)
	}
	c.add(path, "%q is no telephone number; write it as in +74951234567", raw)
	return raw
}

func (c *checker) numbers(path string, list []string) {
	seen := map[string]string{}
	for i := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		list[i] = c.number(at, list[i])
		c.unique(seen, at, list[i])
	}
}

func (c *checker) email(path, s string) string {
	if s == "" {
		return ""
	}
	if !isEmail(s) {
		c.add(path, "%q is no e-mail address", s)
	}
	return strings.ToLower(s)
}

func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && a.Name == ""
}

// responsible wants one of the words or an e-mail.
func (c *checker) responsible(path, s string) string {
	switch {
	case s == "" || slices.Contains(rules.ResponsibleWords(), s):
		return s
	case strings.Contains(s, "@"):
		return c.email(path, s)
	}
	c.add(path, "%q is neither an e-mail nor one of %s%s", s, strings.Join(rules.ResponsibleWords(), ", "), meant(s, rules.ResponsibleWords()))
	return s
}

func (c *checker) template(path, s string) {
	if err := rules.Check(s); err != nil {
		c.add(path, "%v", err)
	}
}

// Merge completes settings that are to be applied with what is stored: a
// masked secret, and a user without a password, keep theirs. Nothing else is
// taken from the stored ones.
func Merge(next, stored bridge.Settings) (bridge.Settings, []setting.Problem) {
	var v faults
	next.Integrations = slices.Clone(next.Integrations)
	for i := range next.Integrations {
		in := &next.Integrations[i]
		j := slices.IndexFunc(stored.Integrations, func(o bridge.Integration) bool { return o.ID == in.ID && o.Kind == in.Kind })
		var old map[string]string
		if j >= 0 {
			old = stored.Integrations[j].Credentials
		}
		if in.Credentials != nil {
			in.Credentials = unmask(&v, fmt.Sprintf("integrations[%d].credentials", i), in.ID, in.Credentials, old)
		}
	}
	next.Credentials = slices.Clone(next.Credentials)
	for i := range next.Credentials {
		cr := &next.Credentials[i]
		var old map[string]string
		if j := slices.IndexFunc(stored.Credentials, func(o bridge.Credential) bool { return o.ID == cr.ID && o.Kind == cr.Kind }); j >= 0 {
			old = stored.Credentials[j].Values
		}
		if cr.Values != nil {
			cr.Values = unmask(&v, fmt.Sprintf("credentials[%d].values", i), cr.ID, cr.Values, old)
		}
	}
	next.Users = slices.Clone(next.Users)
	for i := range next.Users {
		u := &next.Users[i]
		if u.Password != "" && u.Password != setting.Mask {
			continue
		}
		if u.Password = ""; u.PasswordHash != "" && u.PasswordHash != setting.Mask {
			continue
		}
		u.PasswordHash = ""
		if j := slices.IndexFunc(stored.Users, func(o bridge.User) bool { return strings.EqualFold(o.Login, u.Login) }); j >= 0 {
			u.PasswordHash = stored.Users[j].PasswordHash
		}
		if u.PasswordHash == "" {
			v.add(fmt.Sprintf("users[%d].password", i), "is missing: %s is new", u.Login)
		}
	}
	return next, v.list
}

// ExportSettings writes settings as text that ParseSettings reads. Secrets are
// masked; of a kind of CRM that is not known, all credentials are.
func ExportSettings(s bridge.Settings, drivers map[string][]setting.Field) ([]byte, error) {
	s.Integrations = slices.Clone(s.Integrations)
	for i := range s.Integrations {
		in := &s.Integrations[i]
		in.Credentials = masked(in.Kind, in.Credentials, drivers)
	}
	s.Credentials = slices.Clone(s.Credentials)
	for i := range s.Credentials {
		s.Credentials[i].Values = masked(s.Credentials[i].Kind, s.Credentials[i].Values, drivers)
	}
	s.Users = slices.Clone(s.Users)
	for i := range s.Users {
		s.Users[i].Password = ""
		if s.Users[i].PasswordHash != "" {
			s.Users[i].PasswordHash = setting.Mask
		}
	}
	n, err := encode(reflect.ValueOf(s))
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(n), enc.Close()); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return b.Bytes(), nil
}
