package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/staff"
	"callbridge/bridge/web"
	"callbridge/crm"
	"callbridge/store"
)

// syncOnce reads the employees of one integration and puts them in force.
func (a *App) syncOnce(ctx context.Context, t *target) error { return a.syncNow(ctx, t, false) }

// syncNow is syncOnce; shorter means that an admin takes a list that shrank.
func (a *App) syncNow(ctx context.Context, t *target, shorter bool) error {
	dir, ok := t.client.(crm.Directory)
	if !ok {
		return nil
	}
	t.syncing.Lock() // the button and the clock may come together
	defer t.syncing.Unlock()
	cctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	now, id := time.Now(), t.settings.ID
	before, _, err := people{a.db}.LoadStaff(ctx, id)
	if err != nil {
		return err
	}
	list, err := staff.Sync(t.asking(cctx, crm.Fresh), id, dir, people{a.db}, now, shorter)
	t.say(err)
	t.refused(ctx, "list employees", err)
	if err != nil {
		alarm, shrunk := errors.AsType[*staff.Shrunken](err)
		t.shrunken.Store(shrunk)
		if shrunk {
			a.log.Error("the CRM lists far fewer employees than before; the old list stays in force until an admin takes the shorter one", "integration", id, "was", alarm.Old, "now", alarm.New)
			serr := a.db.SaveStaffAlarm(ctx, id, &store.StaffAlarm{At: bridge.At(now), Was: alarm.Old, Now: alarm.New, Gone: alarm.Gone, Text: alarm.Error()})
			err = errors.Join(err, serr)
		}
		return err // the old map is in force still
	}
	t.shrunken.Store(false)
	t.setStaff(list, a.plan.Load().employees, now)
	m := t.staff.Load()
	links := m.Links(t.joined())
	t.links.Store(&links)
	if err := errors.Join(people{a.db}.saveLinks(ctx, id, links, now), a.db.SaveStaffAlarm(ctx, id, nil),
		a.db.AddStaffChanges(ctx, id, now, staff.Changes(before, list))); err != nil {
		return err
	}
	for _, issue := range m.Issues() {
		a.log.Warn("employees do not fit together", "integration", id, "issue", issue)
	}
	return nil
}

// joined is who of ours is which user, as an earlier match found.
func (t *target) joined() []staff.Link {
	if l := t.links.Load(); l != nil {
		return *l
	}
	return nil
}

func (p people) links(ctx context.Context, integration string) ([]staff.Link, error) {
	rows, err := p.db.StaffLinks(ctx, integration)
	out := make([]staff.Link, len(rows))
	for i, r := range rows {
		out[i] = staff.Link{Extension: r.Extension, Email: r.Email, User: crm.UserID(r.User)}
	}
	return out, err
}

func (p people) saveLinks(ctx context.Context, integration string, links []staff.Link, at time.Time) error {
	rows := make([]store.StaffLink, len(links))
	for i, l := range links {
		rows[i] = store.StaffLink{Extension: l.Extension, Email: l.Email, User: string(l.User)}
	}
	return p.db.SaveStaffLinks(ctx, integration, rows, at)
}

// open returns an integration that works, or why it does not.
func (a *App) open(id string) (*target, error) {
	if t := a.targetOf(id); t != nil {
		return t, nil
	}
	if err := a.openTrouble(id); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("there is no integration %q: %w", id, web.ErrNotFound)
}

// SyncStaff reads the employees of one integration now (M-2.1.7, M-2.2.4). It
// returns how many extensions are joined and what does not fit together.
func (a *App) SyncStaff(ctx context.Context, id string) (joined int, issues []string, err error) {
	return a.TakeStaff(ctx, id, false)
}

// TakeStaff is SyncStaff; shorter takes a list that shrank (D-07).
func (a *App) TakeStaff(ctx context.Context, id string, shorter bool) (joined int, issues []string, err error) {
	t, err := a.open(id)
	if err != nil {
		return 0, nil, err
	}
	err = a.syncNow(ctx, t, shorter)
	m := t.staff.Load()
	return m.Size(), m.Issues(), err
}

// Staff shows the employees of one integration: who is joined to whom, who
// could be imported, and what does not fit.
func (a *App) Staff(ctx context.Context, id string) (web.Staff, error) {
	t, err := a.open(id)
	if err != nil {
		return web.Staff{}, err
	}
	list, at, err := people{a.db}.LoadStaff(ctx, id)
	if err != nil {
		return web.Staff{}, err
	}
	alarm, err := a.db.StaffAlarm(ctx, id)
	if err != nil {
		return web.Staff{}, err
	}
	changes, err := a.db.StaffChanges(ctx, id)
	if err != nil {
		return web.Staff{}, err
	}
	m, wishes := t.staff.Load(), t.wishes()
	out := web.Staff{Group: wishes.Group, Senior: wishes.Default, Linkable: !m.CRMKeeps(), Changes: []web.StaffChanges{}, Integration: id, Name: a.titleOf(t), SyncedAt: bridge.At(at), Joined: m.Size(), Issues: m.Issues(), Import: t.settings.SyncEmployees, Trouble: t.saying(), People: []web.Person{}}
	if alarm != nil {
		out.Alarm = &web.StaffAlarm{At: alarm.At, Was: alarm.Was, Now: alarm.Now, Gone: alarm.Gone, Text: alarm.Text}
	}
	for _, c := range changes {
		out.Changes = append(out.Changes, web.StaffChanges{At: c.At, What: c.What})
	}
	ours := a.plan.Load().employees
	suggested := m.Suggest(list)
	for _, e := range list {
		offered := m.Offers(e)
		if u, ok := m.ByUser(e.User); ok {
			e.Extension = u.Extension
		}
		p := web.Person{User: string(e.User), Name: e.Name, Email: e.Email, Extension: e.Extension, Active: e.Active,
			Offered: offered, Suggested: suggested[e.User].Extension, SuggestedBy: suggested[e.User].By}
		i := slices.IndexFunc(ours, func(o bridge.Employee) bool {
			u, ok := m.ByEmail(o.Email)
			return ok && u.User == e.User || e.Extension != "" && o.Extension == e.Extension
		})
		if i >= 0 {
			p.Ours = ours[i].Extension
		}
		if p.Linked, _ = m.HandOf(e.User); p.Linked != "" {
			p.Ours = p.Linked
		}
		out.People = append(out.People, p)
	}
	slices.SortFunc(out.People, func(x, y web.Person) int {
		return strings.Compare(x.Extension+"\x00"+x.Name, y.Extension+"\x00"+y.Name)
	})
	return out, nil
}

// ImportStaff adds chosen users of the CRM to our employees, with the
// extensions of the CRM's telephony settings or those given (M-2.2.1, M-2.2.3).
// Whoever is there already changes nothing.
func (a *App) ImportStaff(ctx context.Context, by, id string, chosen []web.Chosen) (added int, err error) {
	t, err := a.open(id)
	if err != nil {
		return 0, err
	}
	if !t.settings.SyncEmployees {
		return 0, &web.Refused{Code: "import_off"}
	}
	list, _, err := people{a.db}.LoadStaff(ctx, id)
	if err != nil {
		return 0, err
	}
	s, _, err := a.db.Settings(ctx)
	if err != nil {
		return 0, err
	}
	s.Employees = slices.Clone(s.Employees)
	for _, c := range chosen {
		i := slices.IndexFunc(list, func(e crm.Employee) bool { return string(e.User) == c.User && e.Active })
		if i < 0 {
			return 0, &web.Refused{Code: "unknown_user", Text: c.User}
		}
		e := list[i]
		ext := cmpOr(strings.TrimSpace(c.Extension), e.Extension)
		if ext == "" {
			return 0, &web.Refused{Code: "needs_extension", Text: cmpOr(e.Name, c.User)}
		}
		same := func(o bridge.Employee) bool {
			return o.Extension == ext || e.Email != "" && strings.EqualFold(o.Email, e.Email)
		}
		if j := slices.IndexFunc(s.Employees, same); j >= 0 {
			if o := s.Employees[j]; o.Extension == ext && (e.Email == "" || strings.EqualFold(o.Email, e.Email)) {
				continue // imported before
			}
			return 0, &web.Refused{Code: "employee_conflict", Text: fmt.Sprintf("%s (%s)", cmpOr(e.Name, c.User), s.Employees[j].Extension)}
		}
		s.Employees = append(s.Employees, bridge.Employee{Extension: ext, Email: strings.ToLower(e.Email), Name: e.Name})
		added++
	}
	if added == 0 {
		return 0, nil
	}
	if faults := config.CheckSettings(&s, Credentials(), a.cfg.Country); len(faults) > 0 {
		return 0, &web.Refused{Code: "employee_conflict", Text: faults[0].String()}
	}
	if _, err := a.Apply(ctx, by, fmt.Sprintf("%d employees imported from %s", added, id), s); err != nil {
		return 0, err
	}
	if t, err = a.open(id); err != nil {
		return added, err
	}
	return added, a.syncNow(ctx, t, false)
}
