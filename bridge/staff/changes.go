package staff

import (
	"fmt"
	"slices"
	"strings"

	"callbridge/crm"
)

// Changes says in sentences what differs between two lists of one CRM, for the
// admin. A first list has changed nothing.
func Changes(old, list []crm.Employee) []string {
	if len(old) == 0 {
		return nil
	}
	was := map[crm.UserID]crm.Employee{}
	for _, e := range old {
		was[e.User] = e
	}
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, e := range list {
		o, known := was[e.User]
		delete(was, e.User)
		who := called(e)
		switch {
		case !known && e.Active:
			say("%s is new", who)
			continue
		case !known:
			continue // dismissed before we ever saw him
		case o.Active && !e.Active:
			say("%s does not work there any more", who)
		case !o.Active && e.Active:
			say("%s works there again", who)
		}
		if fold(o.Email) != fold(e.Email) {
			say("%s: the e-mail was %s, now %s", who, cmpOr(o.Email, "empty"), cmpOr(e.Email, "empty"))
		}
		if o.Name != e.Name {
			say("%s: the name was %s", who, cmpOr(o.Name, "empty"))
		}
		if o.Extension != e.Extension {
			say("%s: the extension was %s, now %s", who, cmpOr(o.Extension, "empty"), cmpOr(e.Extension, "empty"))
		}
		switch {
		case o.Manager && !e.Manager:
			say("%s left the managers' group", who)
		case !o.Manager && e.Manager:
			say("%s joined the managers' group", who)
		}
	}
	for _, o := range old {
		if _, gone := was[o.User]; gone && o.Active {
			say("%s is not in the list any more", called(o))
		}
	}
	return out
}

func called(e crm.Employee) string {
	return fmt.Sprintf("%s (id %s)", cmpOr(e.Name, cmpOr(e.Email, "user")), e.User)
}

// Suggestion is an extension of ours for a user of the CRM who is not linked
// by hand, and how it was found.
type Suggestion struct {
	Extension string
	By        string // email, name
}

// Suggest proposes one of our extensions for each user: the one with the same
// e-mail, else the only one with the same name. Whoever is linked by hand
// already is left out, on both sides.
func (m *Map) Suggest(users []crm.Employee) map[crm.UserID]Suggestion {
	out := map[crm.UserID]Suggestion{}
	taken := map[string]bool{}
	for ext := range m.byHand {
		taken[ext] = true
	}
	byHand := map[crm.UserID]bool{}
	for _, u := range m.byHand {
		byHand[u] = true
	}
	users = slices.DeleteFunc(slices.Clone(users), func(e crm.Employee) bool { return byHand[e.User] || !m.Offers(e) })
	for _, e := range users {
		for _, o := range m.ours {
			if mail := fold(o.Email); mail != "" && mail == fold(e.Email) && !taken[o.Extension] {
				out[e.User] = Suggestion{Extension: o.Extension, By: "email"}
				taken[o.Extension] = true
				break
			}
		}
	}
	named := func(e crm.Employee) []string { // our extensions with this name
		var exts []string
		for _, o := range m.ours {
			if !taken[o.Extension] && sameName(o.Name, e.Name) {
				exts = append(exts, o.Extension)
			}
		}
		return exts
	}
	for _, e := range users {
		if _, has := out[e.User]; has {
			continue
		}
		exts := named(e)
		if len(exts) != 1 {
			continue
		}
		rivals := 0
		for _, x := range users {
			if _, has := out[x.User]; !has && slices.Contains(named(x), exts[0]) {
				rivals++
			}
		}
		if rivals == 1 { // two of one name: an admin must say who is who
			out[e.User] = Suggestion{Extension: exts[0], By: "name"}
		}
	}
	return out
}

// sameName compares names in any order of words; a patronymic may be missing,
// and ё is е. One word alone is no name.
func sameName(a, b string) bool {
	words := func(s string) []string {
		return strings.Fields(strings.ReplaceAll(strings.ToLower(s), "ё", "е"))
	}
	x, y := words(a), words(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	if len(x) < 2 {
		return false
	}
	for _, w := range x {
		if !slices.Contains(y, w) {
			return false
		}
	}
	return true
}
