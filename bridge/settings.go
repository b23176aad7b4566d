package bridge

import (
	"maps"
	"slices"
	"time"
)

// Settings is everything an admin decides: what `callbridge apply` takes and
// `callbridge export` prints. It is kept in versions; a rule's version is the
// version of the Settings it stood in.
type Settings struct {
	// Credentials are named accounts that several integrations use (M-1.1).
	Credentials  []Credential  `yaml:"credentials,omitempty" json:"credentials,omitempty"`
	Integrations []Integration `yaml:"integrations,omitempty" json:"integrations,omitempty"`
	Employees    []Employee    `yaml:"employees,omitempty" json:"employees,omitempty"`
	Lines        []Line        `yaml:"lines,omitempty" json:"lines,omitempty"`
	Users        []User        `yaml:"users,omitempty" json:"users,omitempty"`
	Card         CardSettings  `yaml:"card,omitempty" json:"card,omitzero"`
}

// CardSettings are about the agents' card.
type CardSettings struct {
	// Outcomes are what an employee can say came of a talk; empty: a usual list.
	Outcomes []string `yaml:"outcomes,omitempty" json:"outcomes,omitempty"`
}

// Credential is a named account of a CRM (M-1.2 to M-1.5).
type Credential struct {
	ID     string            `yaml:"id" json:"id"`
	Kind   string            `yaml:"kind" json:"kind"` // name of a CRM driver
	Name   string            `yaml:"name,omitempty" json:"name,omitempty"`
	Values map[string]string `yaml:"values,omitempty" json:"values,omitempty"`
}

// Resolved returns the settings with the values of named credentials filled in
// where integrations use them; what an integration gives itself goes first.
func (s Settings) Resolved() Settings {
	s.Integrations = slices.Clone(s.Integrations)
	for i := range s.Integrations {
		in := &s.Integrations[i]
		in.Credentials = s.CredentialsOf(*in)
	}
	return s
}

// CredentialsOf returns an integration's own credentials and the named ones it uses.
func (s Settings) CredentialsOf(in Integration) map[string]string {
	j := slices.IndexFunc(s.Credentials, func(c Credential) bool { return c.ID == in.CredentialsID && c.Kind == in.Kind })
	if in.CredentialsID == "" || j < 0 {
		return in.Credentials
	}
	out := maps.Clone(s.Credentials[j].Values)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range in.Credentials {
		if v != "" {
			out[k] = v
		}
	}
	return out
}

// Integration is one CRM account with its rules.
type Integration struct {
	ID     string `yaml:"id" json:"id"`
	Kind   string `yaml:"kind" json:"kind"` // name of a CRM driver: megaplan, retailcrm
	Name   string `yaml:"name,omitempty" json:"name,omitempty"`
	Active bool   `yaml:"active" json:"active"`
	// CredentialsID names the credentials the integration uses; Credentials may
	// add to them.
	CredentialsID string            `yaml:"credentials_id,omitempty" json:"credentials_id,omitempty"`
	Credentials   map[string]string `yaml:"credentials,omitempty" json:"credentials,omitempty"`
	// Lines limits the integration to calls on these numbers; empty means all (M-3.1, M-3.2).
	Lines []string `yaml:"lines,omitempty" json:"lines,omitempty"`
	// DefaultResponsible is the e-mail of the employee who gets what no rule gives to another (M-3.3).
	DefaultResponsible string `yaml:"default_responsible,omitempty" json:"default_responsible,omitempty"`
	TimeZone           string `yaml:"time_zone,omitempty" json:"time_zone,omitempty"`
	// WorkingHours is the calendar of deadlines; nil: day and night.
	WorkingHours *WorkingHours `yaml:"working_hours,omitempty" json:"working_hours,omitempty"`
	Calls        CallRules     `yaml:"calls,omitempty" json:"calls,omitzero"`
	ClickToCall  ClickToCall   `yaml:"click_to_call,omitempty" json:"click_to_call,omitzero"`
	// Staff joins extensions to users of the CRM by hand, one to one. Who is
	// not in it is joined by e-mail.
	Staff []StaffLink `yaml:"staff,omitempty" json:"staff,omitempty"`
	// SyncEmployees offers the CRM's employees for import (M-2.2.1).
	SyncEmployees bool `yaml:"sync_employees,omitempty" json:"sync_employees,omitempty"`
}

// StaffLink joins one of our extensions to one user of a CRM.
type StaffLink struct {
	Extension string `yaml:"extension" json:"extension"`
	User      string `yaml:"user" json:"user"` // the CRM's id
}

// CallRules says what is to be done in the CRM for calls.
type CallRules struct {
	Contact              *ContactRule  `yaml:"contact,omitempty" json:"contact,omitempty"`
	Fields               []FieldRule   `yaml:"fields,omitempty" json:"fields,omitempty"`
	Communications       []CallRule    `yaml:"communications,omitempty" json:"communications,omitempty"`
	CommunicationMinutes *int          `yaml:"communication_minutes,omitempty" json:"communication_minutes,omitempty"` // nil: 120; 0: the real length
	Tasks                []TaskRule    `yaml:"tasks,omitempty" json:"tasks,omitempty"`
	Processes            []ProcessRule `yaml:"processes,omitempty" json:"processes,omitempty"`
	// Missed says how missed calls are answered; nil: without a deadline, and
	// their tasks are closed when somebody has talked to the client.
	Missed          *MissedRule `yaml:"missed,omitempty" json:"missed,omitempty"`
	PersonalManager bool        `yaml:"personal_manager,omitempty" json:"personal_manager,omitempty"`
	// Popup sends ring, answer and end to the CRM's own call window. nil means yes.
	Popup *bool `yaml:"popup,omitempty" json:"popup,omitempty"`
}

// CallRule chooses calls: every condition that is given must hold.
type CallRule struct {
	Direction Direction `yaml:"direction" json:"direction"`
	Outcome   []Outcome `yaml:"outcome,omitempty" json:"outcome,omitempty"` // empty = any
	Reason    []Reason  `yaml:"reason,omitempty" json:"reason,omitempty"`   // empty = any
	Lines     []string  `yaml:"lines,omitempty" json:"lines,omitempty"`     // empty = any
	// Known restricts the rule to clients who are (true) or are not (false) in the CRM.
	Known *bool `yaml:"known,omitempty" json:"known,omitempty"`
}

// ContactRule says when a contact is made and whose it is (M-4.1, decision 1).
type ContactRule struct {
	When        []string `yaml:"when,omitempty" json:"when,omitempty"`               // answer, missed, failed; empty: all (M-0.6)
	Responsible string   `yaml:"responsible,omitempty" json:"responsible,omitempty"` // last_talked (also if empty), first_talked, longest_talked
	Name        string   `yaml:"name,omitempty" json:"name,omitempty"`               // template; empty: the caller's name or number
}

// FieldRule passes one of our values into a field of the client (M-4.2).
type FieldRule struct {
	CRM    string `yaml:"crm" json:"crm"`
	From   string `yaml:"from" json:"from"`
	Update string `yaml:"update,omitempty" json:"update,omitempty"` // always; empty: only when the contact is made
}

// MissedRule is for clients who wait to be called back (F-6).
type MissedRule struct {
	Within    Duration `yaml:"within,omitempty" json:"within,omitzero"`          // deadline, in working hours; 0: none
	KeepTasks bool     `yaml:"keep_tasks,omitempty" json:"keep_tasks,omitempty"` // do not close tasks when somebody has talked to the client
}

// TaskRule makes a task ("дело", M-4.4).
type TaskRule struct {
	CallRule    `yaml:",inline"`
	Responsible string   `yaml:"responsible,omitempty" json:"responsible,omitempty"` // default, talked, manager, contact, or an e-mail
	Title       string   `yaml:"title,omitempty" json:"title,omitempty"`
	Text        string   `yaml:"text,omitempty" json:"text,omitempty"`
	Due         Duration `yaml:"due,omitempty" json:"due,omitzero"`
}

// ProcessRule makes a process or order (M-4.5).
type ProcessRule struct {
	CallRule    `yaml:",inline"`
	Responsible string `yaml:"responsible,omitempty" json:"responsible,omitempty"`
	Scheme      string `yaml:"scheme,omitempty" json:"scheme,omitempty"` // Megaplan: id of the scheme; retailCRM: order type
	Title       string `yaml:"title,omitempty" json:"title,omitempty"`
	Text        string `yaml:"text,omitempty" json:"text,omitempty"`
	// AttachOpen uses an open process of the same scheme instead of a new one (decision 9).
	AttachOpen bool `yaml:"attach_open,omitempty" json:"attach_open,omitempty"`
	// Fields passes our values into fields of the process or order; Update
	// means nothing here.
	Fields []FieldRule `yaml:"fields,omitempty" json:"fields,omitempty"`
}

// ClickToCall are the settings M-5.1 and M-5.2.
type ClickToCall struct {
	Number           string `yaml:"number,omitempty" json:"number,omitempty"`
	OverrideCallerID bool   `yaml:"override_caller_id,omitempty" json:"override_caller_id,omitempty"`
	// Links is raised to withdraw the signed addresses given so far.
	Links int `yaml:"links,omitempty" json:"links,omitempty"`
}

// Employee joins a person to an extension. Match is by e-mail once, by the
// CRM's id afterwards (decision 5).
type Employee struct {
	Extension string `yaml:"extension" json:"extension"`
	Email     string `yaml:"email,omitempty" json:"email,omitempty"`
	Name      string `yaml:"name,omitempty" json:"name,omitempty"`
	// Card says when his card comes: ring (also if empty), answer or never.
	Card CardMoment `yaml:"card,omitempty" json:"card,omitempty"`
	// Line is the employee's own outside number: what clients see when he calls.
	// Without one they see the number of click-to-call (M-5.1).
	Line string `yaml:"line,omitempty" json:"line,omitempty"`
}

// CardMoment is when an employee's card comes.
type CardMoment string

const (
	CardAtRing   CardMoment = "ring"
	CardAtAnswer CardMoment = "answer"
	CardNever    CardMoment = "never"
)

// Line is one of our public numbers.
type Line struct {
	Number string            `yaml:"number" json:"number"`
	Name   string            `yaml:"name,omitempty" json:"name,omitempty"`
	Source map[string]string `yaml:"source,omitempty" json:"source,omitempty"` // utm_source, utm_medium, …
}

// Role is what a user may do.
type Role string

const (
	Admin      Role = "admin"
	Supervisor Role = "supervisor"
	Agent      Role = "agent"
)

// User can sign in. The password is kept as a hash only.
type User struct {
	Login     string `yaml:"login" json:"login"`
	Name      string `yaml:"name,omitempty" json:"name,omitempty"`
	Role      Role   `yaml:"role" json:"role"`
	Extension string `yaml:"extension,omitempty" json:"extension,omitempty"` // whose cards he sees
	// Password is only read by apply, never kept or printed.
	Password     string `yaml:"password,omitempty" json:"-"`
	PasswordHash string `yaml:"password_hash,omitempty" json:"password_hash,omitempty"`
	Language     string `yaml:"language,omitempty" json:"language,omitempty"` // ru, en; empty: the browser's
	// HideClients keeps the names of clients from him (F-22); numbers he sees. It
	// has no meaning for admins.
	HideClients bool `yaml:"hide_clients,omitempty" json:"hide_clients,omitempty"`
}

// Duration is a time.Duration that reads and writes itself as text ("4h").
type Duration time.Duration

// MarshalText writes the shortest usual form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}
