// Package staff joins the people of a CRM to our extensions and keeps that
// map up to date. An empty or shrunken answer of a CRM never replaces a good
// map (D-07).
package staff

import (
	"fmt"
	"maps"
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
	links   []Link
	issues  []string
}

// Link joins an employee of ours to a user of the CRM by the CRM's id, since
// the match by e-mail that found him.
type Link struct {
	Extension string
	Email     string // ours at the match
	User      crm.UserID
}

func linkOf(links []Link, ext string) (Link, bool) {
	for _, l := range links {
		if l.Extension == ext && l.User != "" {
			return l, true
		}
	}
	return Link{}, false
}

// Links returns the joints as they hold now, to be kept for the next list.
// Those of employees whom the CRM does not list at the moment stay as well.
func (m *Map) Links(before []Link) []Link {
	out := slices.Clone(m.links)
	for _, l := range before {
		if _, there := linkOf(out, l.Extension); !there {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b Link) int { return strings.Compare(a.Extension, b.Extension) })
	return out
}

// NewMap joins the CRM's users with the employees of the settings.
//
// Where the CRM itself keeps extensions (its telephony settings), only those
// count: who is not listed there gets no card and no call data (M-2.1.6).
// Where it keeps none, people are joined by e-mail (M-2.2.2), once: links say
// whom an earlier match found, and hold when an e-mail changes afterwards
// (decision 5). Empty extensions and e-mails join nobody (D-08).
func NewMap(users []crm.Employee, ours []bridge.Employee, links []Link) *Map {
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
		if l, linked := linkOf(links, o.Extension); linked {
			if u, there := m.byUser[l.User]; there && (!ok || u.User == user.User || l.Email == email) {
				user, ok = u, u.Active
				switch {
				case !u.Active:
					m.issue("extension %s: %s (id %s) does not work there any more; what was his goes to the default responsible", o.Extension, cmpOr(u.Name, email), u.User)
					continue
				case u.Email != email:
					m.issue("extension %s: the e-mail is %s here and %s in the CRM; it stays joined to user %s", o.Extension, email, cmpOr(u.Email, "empty"), u.User)
				}
				m.byEmail[email] = u
			}
		}
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
		if ok {
			m.links = append(m.links, Link{Extension: o.Extension, Email: email, User: user.User})
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

// Joined lists the CRM users who have an extension, by extension.
func (m *Map) Joined() []crm.Employee {
	out := make([]crm.Employee, 0, len(m.byExt))
	for _, ext := range slices.Sorted(maps.Keys(m.byExt)) {
		e := m.byExt[ext]
		e.Extension = ext
		out = append(out, e)
	}
	return out
}

// Size returns how many extensions are joined to a CRM user.
func (m *Map) Size() int { return len(m.byExt) }

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
