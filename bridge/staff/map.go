// Package staff joins the people of a CRM to our extensions and keeps that
// map up to date. An empty or shrunken answer of a CRM never replaces a good
// map (D-07).
package staff

import (
	"fmt"
	"slices"
	"strings"

	"callbridge/bridge"
	"callbridge/crm"
)

// Map finds people of one integration by extension, e-mail and CRM user. It is
// read-only after NewMap and safe for concurrent use.
type Map struct {
	byExt   map[string]crm.Employee
	byEmail map[string]crm.Employee
	byUser  map[crm.UserID]crm.Employee
	issues  []string
}

// NewMap joins the CRM's users with the employees of the settings.
//
// Where the CRM itself keeps extensions (its telephony settings), only those
// count: who is not listed there gets no card and no call data (M-2.1.6).
// Where it keeps none, people are joined by e-mail (M-2.2.2). Empty
// extensions and e-mails join nobody (D-08).
func NewMap(users []crm.Employee, ours []bridge.Employee) *Map {
	m := &Map{byExt: map[string]crm.Employee{}, byEmail: map[string]crm.Employee{}, byUser: map[crm.UserID]crm.Employee{}}
	crmKeeps := slices.ContainsFunc(users, func(e crm.Employee) bool { return e.Extension != "" })
	for _, e := range users {
		e.Email = fold(e.Email)
		if e.User != "" {
			m.byUser[e.User] = e
		}
		if !e.Active {
			continue
		}
		if e.Email != "" {
			if old, double := m.byEmail[e.Email]; double {
				m.issue("two users of the CRM share the e-mail %s (ids %s and %s); the first is used", e.Email, old.User, e.User)
			} else {
				m.byEmail[e.Email] = e
			}
		}
		if e.Extension != "" {
			m.put(e.Extension, e)
		}
	}
	for _, o := range ours {
		email := fold(o.Email)
		if o.Extension == "" || email == "" {
			continue
		}
		user, ok := m.byEmail[email]
		switch {
		case !ok:
			m.issue("extension %s: no active user of the CRM has the e-mail %s", o.Extension, email)
		case crmKeeps && user.Extension == "":
			m.issue("extension %s: %s is not listed in the CRM's telephony settings", o.Extension, email)
		case crmKeeps && user.Extension != o.Extension:
			m.issue("%s has extension %s here and %s in the CRM's telephony settings; the CRM's is used", email, o.Extension, user.Extension)
		case !crmKeeps:
			user.Extension = o.Extension
			m.put(o.Extension, user)
			m.byEmail[email] = user
			m.byUser[user.User] = user
		}
	}
	return m
}

func (m *Map) put(ext string, e crm.Employee) {
	if old, double := m.byExt[ext]; double && old.User != e.User {
		m.issue("extension %s belongs to two users of the CRM (ids %s and %s); the first is used", ext, old.User, e.User)
		return
	}
	m.byExt[ext] = e
}

func (m *Map) issue(format string, args ...any) {
	m.issues = append(m.issues, fmt.Sprintf(format, args...))
}

// ByExtension returns the CRM user with this phone.
func (m *Map) ByExtension(ext string) (crm.Employee, bool) { e, ok := m.byExt[ext]; return e, ok }

// ByEmail returns the active CRM user with this e-mail, in any case of letters.
func (m *Map) ByEmail(email string) (crm.Employee, bool) {
	e, ok := m.byEmail[fold(email)]
	return e, ok
}

// ByUser returns the CRM user with this id, dismissed ones included.
func (m *Map) ByUser(id crm.UserID) (crm.Employee, bool) { e, ok := m.byUser[id]; return e, ok }

// Issues lists what does not fit together, in words for the admin.
func (m *Map) Issues() []string { return slices.Clone(m.issues) }

// Size returns how many extensions are joined to a CRM user.
func (m *Map) Size() int { return len(m.byExt) }

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
