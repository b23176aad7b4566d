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
	ours    []bridge.Employee
	byHand  map[string]crm.UserID // by extension
	group   string
	keeps   bool // the CRM itself keeps extensions
}

// CRMKeeps says that the CRM's own telephony settings hold the extensions, so
// that only those count and nobody is joined here.
func (m *Map) CRMKeeps() bool { return m.keeps }

// Wishes are what the settings of an integration say about its employees.
type Wishes struct {
	// ByHand joins extensions to users, whatever their e-mails are.
	ByHand []bridge.StaffLink
	// Group is the name of the CRM's group whose members alone are offered
	// "" offers everybody who works there.
	Group string
	// Default is the e-mail of who gets what nobody else gets (M-3.3, R-9).
	Default string
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
// (decision 5). A join by hand goes before the e-mail. Empty extensions and
// e-mails join nobody (D-08), and nobody is joined twice.
func NewMap(users []crm.Employee, ours []bridge.Employee, links []Link, want Wishes) *Map {
	m := &Map{byExt: map[string]crm.Employee{}, byEmail: map[string]crm.Employee{}, byUser: map[crm.UserID]crm.Employee{},
		ours: ours, byHand: map[string]crm.UserID{}, group: want.Group}
	crmKeeps := slices.ContainsFunc(users, func(e crm.Employee) bool { return e.Extension != "" })
	m.keeps = crmKeeps
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
	taken := map[crm.UserID]string{} // by hand
	if crmKeeps {
		for _, h := range want.ByHand {
			m.issue("extension %s is joined by hand, but the CRM keeps extensions in its telephony settings; only those count", h.Extension)
		}
	} else {
		for _, h := range want.ByHand {
			m.hand(h, taken)
		}
	}
	for _, o := range ours {
		email := fold(o.Email)
		if _, hand := m.byHand[o.Extension]; hand || o.Extension == "" || email == "" {
			continue
		}
		user, ok := m.byEmail[email]
		if ext := taken[user.User]; ok && ext != "" {
			m.issue("extension %s: user %s of the CRM has the e-mail %s, but is joined to extension %s by hand", o.Extension, user.User, email, ext)
			continue
		}
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
		_, was := linkOf(links, o.Extension)
		switch {
		case ok && !crmKeeps && !was && !m.Offers(user):
			m.issue("extension %s: %s is not in the CRM's group %s, so he is not joined", o.Extension, email, m.group)
			continue
		case ok && !crmKeeps && !m.Offers(user):
			m.issue("extension %s: %s is not in the CRM's group %s any more; he stays joined", o.Extension, email, m.group)
			user.Extension = o.Extension
			m.put(o.Extension, user)
			m.byEmail[email] = user
			m.byUser[user.User] = user
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
	if d := fold(want.Default); d != "" && len(users) > 0 {
		if _, ok := m.byEmail[d]; !ok {
			m.issue("the senior manager (default responsible) %s is no active user of the CRM", d)
		}
	}
	return m
}

// hand joins an extension to the user an admin chose. Another in the group's
// stead is his decision; one who does not work there any more is nobody's.
func (m *Map) hand(h bridge.StaffLink, taken map[crm.UserID]string) {
	id := crm.UserID(h.User)
	u, there := m.byUser[id]
	switch {
	case !there:
		m.issue("extension %s: the CRM does not list user %s, to whom it is joined by hand", h.Extension, h.User)
	case !u.Active:
		m.issue("extension %s: %s (id %s) does not work there any more; what was his goes to the default responsible", h.Extension, cmpOr(u.Name, u.Email), u.User)
	case taken[id] != "":
		m.issue("user %s of the CRM is joined to extension %s and to %s by hand; the first is used", h.User, taken[id], h.Extension)
	default:
		if !m.Offers(u) {
			m.issue("extension %s: %s is not in the CRM's group %s any more; he stays joined", h.Extension, cmpOr(u.Email, cmpOr(u.Name, h.User)), m.group)
		}
		u.Extension = h.Extension
		m.put(h.Extension, u)
		m.byUser[id] = u
		if u.Email != "" {
			m.byEmail[u.Email] = u
		}
		for _, o := range m.ours { // our own e-mail of him finds him as well
			if mail := fold(o.Email); mail != "" && o.Extension == h.Extension {
				if _, other := m.byEmail[mail]; !other {
					m.byEmail[mail] = u
				}
			}
		}
		taken[id] = h.Extension
	}
	m.byHand[h.Extension] = id // nobody else gets it
}

// Offers says whether a user may be joined to an extension: he works there and
// is in the group, if only one is offered.
func (m *Map) Offers(e crm.Employee) bool { return e.Active && (m.group == "" || e.Manager) }

// HandOf returns the extension that an admin joined a user to.
func (m *Map) HandOf(u crm.UserID) (ext string, ok bool) {
	for e, id := range m.byHand {
		if id == u && (ext == "" || e < ext) {
			ext = e
		}
	}
	return ext, ext != ""
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
