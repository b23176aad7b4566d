package rules

import (
	"strings"

	"callbridge/bridge"
)

// Words of "responsible" and of the other closed lists in the settings.
const (
	ByDefault       = "default"
	ByFirstTalked   = "first_talked"
	ByLastTalked    = "last_talked"
	ByLongestTalked = "longest_talked"
	ByTalked        = "talked" // the same as last_talked
	ByManager       = "manager"
	ByContact       = "contact"

	WhenAnswer = "answer"
	WhenMissed = "missed" // in, and nobody talked
	WhenFailed = "failed" // out, and the client was not reached

	UpdateAlways = "always"
)

// ResponsibleWords returns the words "responsible" knows besides an e-mail.
func ResponsibleWords() []string {
	return []string{ByDefault, ByTalked, ByLastTalked, ByFirstTalked, ByLongestTalked, ByManager, ByContact}
}

// Staff is what is needed to name a person.
type Staff struct {
	Default   string // e-mail of the integration's default responsible (M-3.3)
	Employees []bridge.Employee
}

// Owner is who a rule makes responsible. Email or Extension (or both) name the
// person; neither means that nobody could be named.
type Owner struct {
	Email     string
	Extension string
	// Ask is "manager" or "contact" when only the CRM can tell; Email then is
	// who gets it if the CRM names nobody.
	Ask string
	Why string // English sentence for the ledger
}

// Responsible says who a rule makes responsible for a call's object, and why.
func Responsible(rule string, call bridge.Call, staff Staff) Owner {
	rule = strings.TrimSpace(rule)
	switch rule {
	case ByManager, ByContact:
		o := staff.fallback()
		o.Ask, o.Why = rule, because(ownerAsk, rule)
		return o
	case ByFirstTalked, ByLastTalked, ByLongestTalked, ByTalked:
		ext := talker(rule, &call)
		if ext == "" && call.Direction != bridge.In && call.Agent != "" {
			// Nobody reached the client, but somebody tried.
			o := staff.phone(call.Agent)
			o.Why = because(ownerCaller, call.Agent)
			return o
		}
		if ext == "" {
			o := staff.fallback()
			o.Why = because(ownerNobody)
			return o
		}
		o := staff.phone(ext)
		o.Why = because(ownerTalked, rule, ext)
		return o
	case ByDefault, "":
		o := staff.fallback()
		o.Why = because(ownerDefault)
		return o
	}
	o := Owner{Email: rule, Why: because(ownerNamed, rule)}
	for _, e := range staff.Employees {
		if strings.EqualFold(e.Email, rule) {
			o.Extension = e.Extension
			break
		}
	}
	return o
}

// talker returns the extension a talk rule means, "" if nobody talked or the
// rule is another.
func talker(rule string, c *bridge.Call) string {
	switch rule {
	case ByFirstTalked:
		return c.FirstTalked()
	case ByLastTalked, ByTalked:
		return c.LastTalked()
	case ByLongestTalked:
		return c.LongestTalked()
	}
	return ""
}

// phone names the employee of an extension. One that is in nobody's name stays
// an extension: the CRM may know it, and delivery falls back if not.
func (s Staff) phone(ext string) Owner {
	o := Owner{Extension: ext}
	for _, e := range s.Employees {
		if e.Extension == ext {
			o.Email = e.Email
			break
		}
	}
	return o
}

func (s Staff) fallback() Owner {
	o := Owner{Email: s.Default}
	for _, e := range s.Employees {
		if s.Default != "" && strings.EqualFold(e.Email, s.Default) {
			o.Extension = e.Extension
			break
		}
	}
	return o
}
