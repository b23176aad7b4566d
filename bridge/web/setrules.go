package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/rules"
)

// rulesForm is the page on which the rules of one integration are edited.
type rulesForm struct {
	form
	In      bridge.Integration
	Lists   []ruleList
	Fields  []bridge.FieldRule
	Minutes string
	People  []string // words and e-mails for "responsible"
	Ours    []bridge.Line
	Dry     *rules.DryRun
	Lang    lang
}

type ruleList struct {
	Name string // communications, tasks, processes
	Rows []ruleRow
}

// ruleRow is one rule as the form shows it.
type ruleRow struct {
	Name        string // tasks[0]
	Fresh       bool   // an empty row at the end
	Rule        bridge.CallRule
	Responsible string
	Hours       string
	Title       string
	Text        string
	Scheme      string
	Attach      bool
	Fields      string
	Sentence    string
}

// Has says whether the rule names an outcome.
func (r ruleRow) Has(o string) bool { return slices.Contains(r.Rule.Outcome, bridge.Outcome(o)) }

// HasReason and HasLine say whether the rule names one.
func (r ruleRow) HasReason(x string) bool { return slices.Contains(r.Rule.Reason, bridge.Reason(x)) }

// HasLine is HasReason for a line.
func (r ruleRow) HasLine(n string) bool { return slices.Contains(r.Rule.Lines, n) }

// Narrow says whether the rule names reasons or lines, so that they are to be seen at once.
func (r ruleRow) Narrow() bool { return len(r.Rule.Reason)+len(r.Rule.Lines) > 0 || r.Text != "" }

// Reasons are those a rule can name.
func (f rulesForm) Reasons() []bridge.Reason { return bridge.Reasons() }

// LinesOf are our lines, and those a rule names beside them.
func (f rulesForm) LinesOf(r ruleRow) []bridge.Line {
	out := slices.Clone(f.Ours)
	for _, n := range r.Rule.Lines {
		if !slices.ContainsFunc(out, func(l bridge.Line) bool { return l.Number == n }) {
			out = append(out, bridge.Line{Number: n})
		}
	}
	return out
}

// Known is the choice "known clients, new ones, all".
func (r ruleRow) Known() string {
	switch {
	case r.Rule.Known == nil:
		return ""
	case *r.Rule.Known:
		return "yes"
	}
	return "no"
}

func (s *server) rulesFormPage(w http.ResponseWriter, r *http.Request) error {
	now, f, err := s.begin(r)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(now.Integrations, func(in bridge.Integration) bool { return in.ID == r.PathValue("id") })
	if at < 0 {
		return ErrNotFound
	}
	l := s.language(r)
	v := rulesForm{form: f, In: now.Integrations[at], Lang: l, People: rules.ResponsibleWords(), Ours: now.Lines}
	for _, e := range now.Employees {
		if e.Email != "" {
			v.People = append(v.People, e.Email)
		}
	}
	if r.Method == http.MethodPost {
		if done, err := s.saveRules(w, r, &v, now, at); done || err != nil {
			return err
		}
	}
	v.show(l)
	return s.settingsRender(w, r, v.status(), "setrules.html", "set.rules", v)
}

// saveRules takes what was typed, and saves it or says what it would change.
func (s *server) saveRules(w http.ResponseWriter, r *http.Request, v *rulesForm, now bridge.Settings, at int) (bool, error) {
	if r.PostForm.Get("complete") == "" {
		return false, &apiError{Status: 422, Code: "missing", Field: "complete"} // a cut form must not wipe rules (D-14)
	}
	v.In.Calls = readRules(r, v)
	next := now
	next.Integrations = slices.Clone(now.Integrations)
	next.Integrations[at] = v.In
	prefix := fmt.Sprintf("integrations[%d].calls.", at)
	rename := func(path string) (string, bool) { return strings.CutPrefix(path, prefix) }
	if r.PostForm.Get("do") != "preview" {
		done, err := s.finish(r, &v.form, next, "rules of "+v.In.ID, rename)
		if done {
			http.Redirect(w, r, r.URL.Path+"?saved=1", http.StatusSeeOther)
		}
		return done, err
	}
	full, problems, err := s.d.Admin.Complete(r.Context(), next)
	if err != nil {
		return false, err
	}
	for _, p := range problems {
		if name, ok := rename(p.Path); ok {
			v.Problems[name] = problemIn(v.Lang, p.Text)
		}
	}
	if len(v.Problems) > 0 {
		return false, nil
	}
	d, err := s.d.Admin.DryRun(r.Context(), full, dryDays, 30)
	v.Dry = &d
	return false, err
}

// readRules makes rules of the form. What a form does not hold stays as it is:
// a row says by ".more" that it holds reasons, lines and the text.
func readRules(r *http.Request, v *rulesForm) bridge.CallRules {
	old, form := v.In.Calls, r.PostForm
	out := old
	out.Contact = nil
	if form.Get("contact") != "" {
		c := bridge.ContactRule{}
		if old.Contact != nil {
			c = *old.Contact
		}
		c.When, c.Responsible = form["contact.when"], form.Get("contact.responsible")
		out.Contact = &c
	}
	popup, minutes := form.Get("popup") != "", strings.TrimSpace(form.Get("communication_minutes"))
	out.Popup, out.PersonalManager = &popup, form.Get("personal_manager") != ""
	out.CommunicationMinutes = nil
	if n, err := strconv.Atoi(minutes); err == nil {
		out.CommunicationMinutes = &n
	} else if minutes != "" {
		v.Problems["communication_minutes"] = v.Lang.t("set.number")
	}
	out.Fields = nil
	for i := range rows(form.Get("fields.count")) {
		name := fmt.Sprintf("fields[%d].", i)
		if f := (bridge.FieldRule{CRM: strings.TrimSpace(form.Get(name + "crm")), From: strings.TrimSpace(form.Get(name + "from")), Update: form.Get(name + "update")}); f.CRM+f.From != "" {
			out.Fields = append(out.Fields, f)
		}
	}
	out.Communications, out.Tasks, out.Processes = nil, nil, nil
	for i := range rows(form.Get("communications.count")) {
		var was bridge.CallRule
		if i < len(old.Communications) {
			was = old.Communications[i]
		}
		if c, ok := readRule(form, fmt.Sprintf("communications[%d]", i), was); ok {
			out.Communications = append(out.Communications, c)
		}
	}
	for i := range rows(form.Get("tasks.count")) {
		name := fmt.Sprintf("tasks[%d]", i)
		var t bridge.TaskRule
		if i < len(old.Tasks) {
			t = old.Tasks[i]
		}
		var ok bool
		if t.CallRule, ok = readRule(form, name, t.CallRule); !ok {
			continue
		}
		t.Responsible, t.Title = form.Get(name+".responsible"), strings.TrimSpace(form.Get(name+".title"))
		if form.Has(name + ".more") {
			t.Text = typedText(form.Get(name + ".text"))
		}
		t.Due = 0
		if h := strings.ReplaceAll(strings.TrimSpace(form.Get(name+".due")), ",", "."); h != "" {
			hours, err := strconv.ParseFloat(h, 64)
			if err != nil || !(hours >= 0 && hours <= 9000) {
				v.Problems[fmt.Sprintf("tasks[%d].due", len(out.Tasks))] = v.Lang.t("set.number")
			} else {
				t.Due = bridge.Duration(hours * float64(time.Hour))
			}
		}
		out.Tasks = append(out.Tasks, t)
	}
	for i := range rows(form.Get("processes.count")) {
		name := fmt.Sprintf("processes[%d]", i)
		var p bridge.ProcessRule
		if i < len(old.Processes) {
			p = old.Processes[i]
		}
		var ok bool
		if p.CallRule, ok = readRule(form, name, p.CallRule); !ok {
			continue
		}
		p.Responsible, p.Title = form.Get(name+".responsible"), strings.TrimSpace(form.Get(name+".title"))
		if form.Has(name + ".more") {
			p.Text = typedText(form.Get(name + ".text"))
		}
		p.Scheme, p.AttachOpen = strings.TrimSpace(form.Get(name+".scheme")), form.Get(name+".attach_open") != ""
		p.Fields = readFields(form.Get(name + ".fields"))
		out.Processes = append(out.Processes, p)
	}
	return out
}

// readFields reads "utm_source = source.utm_source, line = line.name".
func readFields(text string) (out []bridge.FieldRule) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			to, from, _ := strings.Cut(part, "=")
			out = append(out, bridge.FieldRule{CRM: strings.TrimSpace(to), From: strings.TrimSpace(from)})
		}
	}
	return out
}

func showFields(list []bridge.FieldRule) string {
	parts := make([]string, len(list))
	for i, f := range list {
		parts[i] = f.CRM + " = " + f.From
	}
	return strings.Join(parts, ", ")
}

// rows bounds how many rows a form may say it has.
func rows(count string) int {
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return 0
	}
	return min(n, 200)
}

// readRule reads the conditions of one row; ok is false for an empty row and
// for one that is to go.
func readRule(form map[string][]string, name string, was bridge.CallRule) (bridge.CallRule, bool) {
	get := func(k string) string {
		if v := form[name+k]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	d := get(".direction")
	if d == "" || get(".remove") != "" {
		return was, false
	}
	was.Direction, was.Outcome, was.Known = bridge.Direction(strings.TrimSuffix(d, "any")), nil, nil
	for _, o := range form[name+".outcome"] {
		was.Outcome = append(was.Outcome, bridge.Outcome(o))
	}
	if get(".more") != "" {
		was.Reason, was.Lines = nil, nil
		for _, x := range form[name+".reason"] {
			was.Reason = append(was.Reason, bridge.Reason(x))
		}
		was.Lines = append(was.Lines, form[name+".line"]...)
	}
	if k := get(".known"); k == "yes" || k == "no" {
		known := k == "yes"
		was.Known = &known
	}
	return was, true
}

// typedText is what was typed into a box of several lines.
func typedText(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }

// show makes rows of the rules, with an empty one at the end of each list.
func (v *rulesForm) show(l lang) {
	c := v.In.Calls
	comm := ruleList{Name: "communications"}
	for i, r := range c.Communications {
		comm.Rows = append(comm.Rows, ruleRow{Name: fmt.Sprintf("communications[%d]", i), Rule: r, Sentence: l.sentence(r, l.t("set.to.communications"))})
	}
	tasks := ruleList{Name: "tasks"}
	for i, r := range c.Tasks {
		row := ruleRow{Name: fmt.Sprintf("tasks[%d]", i), Rule: r.CallRule, Responsible: r.Responsible, Title: r.Title, Text: r.Text}
		what := l.t("set.to.tasks") + " → " + rules.ResponsibleWord(orDefault(r.Responsible), string(l))
		if r.Due > 0 {
			row.Hours = strconv.FormatFloat(time.Duration(r.Due).Hours(), 'f', -1, 64)
			what += ", " + strings.ReplaceAll(l.t("set.within"), "{n}", row.Hours)
		}
		row.Sentence = l.sentence(r.CallRule, what)
		tasks.Rows = append(tasks.Rows, row)
	}
	processes := ruleList{Name: "processes"}
	for i, r := range c.Processes {
		processes.Rows = append(processes.Rows, ruleRow{Name: fmt.Sprintf("processes[%d]", i), Rule: r.CallRule, Responsible: r.Responsible, Title: r.Title, Text: r.Text, Scheme: r.Scheme,
			Attach: r.AttachOpen, Fields: showFields(r.Fields), Sentence: l.sentence(r.CallRule, l.t("set.to.processes")+" → "+rules.ResponsibleWord(orDefault(r.Responsible), string(l)))})
	}
	v.Lists = []ruleList{comm, tasks, processes}
	for i := range v.Lists {
		x := &v.Lists[i]
		x.Rows = append(x.Rows, ruleRow{Name: fmt.Sprintf("%s[%d]", x.Name, len(x.Rows)), Fresh: true})
	}
	v.Fields = append(slices.Clone(c.Fields), bridge.FieldRule{})
	if c.CommunicationMinutes != nil {
		v.Minutes = strconv.Itoa(*c.CommunicationMinutes)
	}
}

func orDefault(s string) string {
	if s == "" {
		return rules.ByDefault
	}
	return s
}

// sentence writes a rule as people say it: inbound, missed → task.
func (l lang) sentence(r bridge.CallRule, what string) string {
	parts := []string{l.t("set.any")}
	if r.Direction != "" {
		parts[0] = rules.DirectionWord(r.Direction, string(l))
	}
	var outs []string
	for _, o := range r.Outcome {
		outs = append(outs, rules.OutcomeWord(o, string(l)))
	}
	if len(outs) > 0 {
		parts = append(parts, strings.Join(outs, " "+l.t("set.or")+" "))
	}
	for _, x := range r.Reason {
		parts = append(parts, rules.ReasonWord(x, string(l)))
	}
	parts = append(parts, r.Lines...)
	if r.Known != nil {
		parts = append(parts, l.t(map[bool]string{true: "set.known.yes", false: "set.known.no"}[*r.Known]))
	}
	return strings.Join(parts, ", ") + " → " + what
}

// Values lists what templates may name, with a made-up call as example.
func (v rulesForm) Values() []rules.Value { return rules.Values() }

// Popup says whether the CRM's own window is used: yes unless said otherwise.
func (v rulesForm) Popup() bool { return v.In.Calls.Popup == nil || *v.In.Calls.Popup }

// When says whether a contact is made at a moment; none named means all.
func (v rulesForm) When(m string) bool {
	c := v.In.Calls.Contact
	return c == nil || len(c.When) == 0 || slices.Contains(c.When, m)
}

// ContactBy is whose a new contact becomes.
func (v rulesForm) ContactBy() string {
	if v.In.Calls.Contact == nil || v.In.Calls.Contact.Responsible == "" {
		return rules.ByLastTalked
	}
	return v.In.Calls.Contact.Responsible
}

// Word names who becomes responsible.
func (v rulesForm) Word(code string) string { return rules.ResponsibleWord(code, string(v.Lang)) }
