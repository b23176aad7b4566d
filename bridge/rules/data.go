package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/phone"
)

// Data is what a template may name: {{.Client.Phone}}, {{.Source.utm_source}}.
type Data struct {
	Client    Client
	Line      Line
	Source    map[string]string // of the line: utm_source, …
	Call      CallData
	Agent     Agent
	Recording Recording
}

// Client is the outside party.
type Client struct {
	Phone string // +79161234567; "" when withheld
	Name  string // as the PBX gave it; "" when that was only a number
	Raw   string // exactly as the PBX gave the number
}

// Line is our number.
type Line struct{ Number, Name string }

// Agent is the employee of the call: who talked last, else who placed it, else
// whose phone rang last.
type Agent struct{ Name, Extension, Email string }

// Recording is the sound of the call.
type Recording struct{ URL string }

// CallData is the call in words; the codes are for comparing.
type CallData struct {
	ID        string
	Direction string // входящий
	Outcome   string // пропущен
	Reason    string // звонивший не дождался в очереди
	Queue     string
	People    string // everybody who talked, in order; nobody talked: whose phones rang
	Started   Moment
	Ended     Moment
	Wait      Span
	Talk      Span

	DirectionCode, OutcomeCode, ReasonCode string
}

// Moment prints as 22.11.2026 05:01 in the zone it was made in.
type Moment struct{ t time.Time }

func (m Moment) String() string {
	if m.t.IsZero() {
		return ""
	}
	return m.t.Format("02.01.2006 15:04")
}

// Span prints as minutes and seconds: 2:05.
type Span time.Duration

func (s Span) String() string {
	sec := (time.Duration(s) + time.Second/2) / time.Second
	if sec >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", sec/3600, sec/60%60, sec%60)
	}
	return fmt.Sprintf("%d:%02d", sec/60, sec%60)
}

// About is what a template is told besides the call.
type About struct {
	Line      bridge.Line     // our number as the settings know it
	Agent     bridge.Employee // of AgentOf(call)
	RecordURL string
	Name      func(extension string) string // of an employee; nil: extensions only
	Zone      *time.Location                // of the integration; nil is UTC
	Lang      string                        // "" is Russian
}

// AgentOf returns the extension that stands for our side of the call.
func AgentOf(c *bridge.Call) string {
	switch {
	case c.LastTalked() != "":
		return c.LastTalked()
	case c.Agent != "":
		return c.Agent
	case len(c.Rang) > 0:
		return c.Rang[len(c.Rang)-1]
	}
	return ""
}

// NewData makes the data of a call.
func NewData(c bridge.Call, about About) Data {
	lang := about.Lang
	if lang == "" {
		lang = "ru"
	}
	zone := about.Zone
	if zone == nil {
		zone = time.UTC
	}
	moment := func(t bridge.Time) Moment {
		if t.IsZero() {
			return Moment{}
		}
		return Moment{t.In(zone)}
	}
	span := func(ms *int64) Span {
		if ms == nil {
			return 0
		}
		return Span(time.Duration(*ms) * time.Millisecond)
	}
	d := Data{
		Client: Client{Phone: string(c.Client), Name: personName(c.ClientName), Raw: c.ClientRaw},
		Line:   Line{Number: c.Line, Name: about.Line.Name},
		Source: about.Line.Source,
		Call: CallData{ID: c.ID, Queue: c.Queue, People: people(&c, about.Name), Started: moment(c.StartedAt), Ended: moment(c.EndedAt), Wait: span(c.WaitMS), Talk: span(c.TalkMS),
			Direction: DirectionWord(c.Direction, lang), Outcome: OutcomeWord(c.Outcome, lang), Reason: ReasonWord(c.Reason, lang),
			DirectionCode: string(c.Direction), OutcomeCode: string(c.Outcome), ReasonCode: string(c.Reason)},
		Agent:     Agent{Name: about.Agent.Name, Extension: about.Agent.Extension, Email: about.Agent.Email},
		Recording: Recording{URL: about.RecordURL},
	}
	if d.Agent.Extension == "" {
		d.Agent.Extension = AgentOf(&c)
	}
	if d.Source == nil {
		d.Source = map[string]string{}
	}
	return d
}

// people lists everybody on our side: name and extension.
func people(c *bridge.Call, name func(string) string) string {
	who := c.AnsweredBy
	if len(who) == 0 {
		who = c.Rang
	}
	if len(who) == 0 && c.Agent != "" {
		who = []string{c.Agent}
	}
	var out []string
	for _, ext := range who {
		text := ext
		if name != nil {
			if n := name(ext); n != "" {
				text = n + ", " + ext
			}
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "; ")
}

// personName drops what a PBX puts into the name when it has none: the number
// again, or a word for "withheld".
func personName(s string) string {
	s = strings.TrimSpace(s)
	if _, kind := phone.Parse(s, "RU"); kind != phone.Invalid {
		return ""
	}
	return s
}
