package app

import (
	"context"
	"slices"
	"strings"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/web"
	"callbridge/crm"
)

// LinkStaff joins users of the CRM to our extensions by hand, one to one,
// and appoints the senior manager, who gets what nobody else gets. links
// is by user; "" undoes the join of a user, and users who are not in it keep
// theirs. senior is a user, "" leaves him as he is.
func (a *App) LinkStaff(ctx context.Context, by, id string, links map[string]string, senior string) error {
	t, err := a.open(id)
	if err != nil {
		return err
	}
	list, _, err := people{a.db}.LoadStaff(ctx, id)
	if err != nil {
		return err
	}
	m := t.staff.Load()
	if m.CRMKeeps() && len(links) > 0 {
		return &web.Refused{Code: "crm_keeps_extensions"}
	}
	offered := func(user string) (crm.Employee, error) {
		i := slices.IndexFunc(list, func(e crm.Employee) bool { return string(e.User) == user && m.Offers(e) })
		if i < 0 {
			return crm.Employee{}, &web.Refused{Code: "unknown_user", Text: user}
		}
		return list[i], nil
	}
	s, _, err := a.db.Settings(ctx)
	if err != nil {
		return err
	}
	s.Integrations = slices.Clone(s.Integrations)
	i := slices.IndexFunc(s.Integrations, func(in bridge.Integration) bool { return in.ID == id })
	if i < 0 {
		return web.ErrNotFound
	}
	in := &s.Integrations[i]
	staff := slices.DeleteFunc(slices.Clone(in.Staff), func(l bridge.StaffLink) bool { _, changed := links[l.User]; return changed })
	for user, ext := range links {
		if ext = strings.TrimSpace(ext); ext == "" {
			continue
		}
		if !slices.ContainsFunc(in.Staff, func(l bridge.StaffLink) bool { return l == bridge.StaffLink{Extension: ext, User: user} }) {
			if _, err := offered(user); err != nil {
				return err
			}
		}
		if j := slices.IndexFunc(staff, func(l bridge.StaffLink) bool { return l.Extension == ext }); j >= 0 {
			return &web.Refused{Code: "employee_conflict", Text: ext}
		}
		staff = append(staff, bridge.StaffLink{Extension: ext, User: user})
	}
	slices.SortFunc(staff, func(x, y bridge.StaffLink) int { return strings.Compare(x.Extension, y.Extension) })
	in.Staff = staff
	if senior != "" {
		e, err := offered(senior)
		if err != nil {
			return err
		}
		if e.Email == "" {
			return &web.Refused{Code: "senior_needs_email", Text: cmpOr(e.Name, senior)}
		}
		in.DefaultResponsible = strings.ToLower(e.Email)
	}
	if faults := config.CheckSettings(&s, Credentials(), a.cfg.Country); len(faults) > 0 {
		return &web.Refused{Code: "employee_conflict", Text: faults[0].String()}
	}
	_, err = a.Apply(ctx, by, "employees of "+id+" joined by hand", s)
	return err
}
