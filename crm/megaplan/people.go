package megaplan

import (
	"cmp"
	"context"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"

	"golang.org/x/sync/errgroup"
)

// employee is a user of Megaplan. Any field may be missing (D-09).
type employee struct {
	thing
	FirstName   crm.Text          `json:"firstName"`
	LastName    crm.Text          `json:"lastName"`
	IsWorking   *crm.Text         `json:"isWorking"`
	ContactInfo many[contactInfo] `json:"contactInfo"`
}

func (e *employee) title() string {
	return cmp.Or(strings.TrimSpace(string(e.Name)), strings.TrimSpace(string(e.LastName+" "+e.FirstName)), first(e.ContactInfo, "email"))
}

// active: a dismissed employee says so; one of whom nothing is told works.
func (e *employee) active() bool {
	return e.IsWorking == nil || *e.IsWorking == "" || e.IsWorking.Bool()
}

// userConfig is the extension of an employee in the telephony settings (7.4).
type userConfig struct {
	thing
	Employee maybe[thing] `json:"employee"`
	Number   crm.Text     `json:"internalNumber"`
	Settings crm.Text     `json:"settings"` // JSON
}

// extension strips the SIP form: sip:101@pbx is 101.
func extension(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexByte(s, ':'); i >= 0 {
		if scheme := strings.ToLower(s[:i]); scheme == "sip" || scheme == "sips" {
			s = s[i+1:]
		}
	}
	s, _, _ = strings.Cut(s, "@")
	return strings.TrimSpace(s)
}

// Employees lists everybody, with the extensions of the telephony settings.
// An empty list is an answer; the caller decides what to believe (D-07).
func (c *client) Employees(ctx context.Context) ([]crm.Employee, error) {
	people, err := list(ctx, c, "list employees", "/employee",
		object{"fields": []string{"firstName", "lastName", "isWorking", "contactInfo"}}, 100, func(e employee) thing { return e.thing })
	if err != nil {
		return nil, err
	}
	exts, err := c.extensions(ctx, true)
	if err != nil {
		return nil, err
	}
	var out []crm.Employee
	for i := range people {
		e := &people[i]
		if e.ID == "" {
			continue
		}
		out = append(out, crm.Employee{User: crm.UserID(e.ID), Email: first(e.ContactInfo, "email"), Name: e.title(),
			Extension: exts[crm.UserID(e.ID)], Active: e.active()})
	}
	return out, nil
}

const extensionsKey = "extensions"

// extensions maps employees to their numbers. Empty numbers index nothing (D-08).
func (c *client) extensions(ctx context.Context, fresh bool) (map[crm.UserID]string, error) {
	if !fresh {
		if v, ok := c.cache.get(extensionsKey, c.env.Now()).(map[crm.UserID]string); ok {
			return v, nil
		}
	}
	all, err := list(ctx, c, "read telephony settings", "/callUserConfig", nil, 100, func(u userConfig) thing { return u.thing })
	if err != nil {
		return nil, err
	}
	out := map[crm.UserID]string{}
	for _, u := range all {
		if ext, id := extension(string(u.Number)), u.Employee.get().ID; ext != "" && id != "" {
			out[crm.UserID(id)] = ext
		}
	}
	c.cache.put(extensionsKey, out, c.env.Now().Add(10*time.Minute))
	return out, nil
}

// route is callRoute's answer: who has the number and whom to ring (7.3).
type route struct {
	Employees many[employee]   `json:"employees"` // older documents show one object
	Users     many[contractor] `json:"users"`
}

func (c *client) route(ctx context.Context, n bridge.Number) (route, error) {
	var out route
	_, err := c.do(ctx, request{op: "find by number", path: "/callRoute", query: object{"phone": n.Digits()}}, &out)
	return out, err
}

// routeLimit is how long a PBX can wait for an answer.
const routeLimit = 1500 * time.Millisecond

// PersonalManager asks Megaplan who is responsible for the number and takes
// the first of them who has an extension.
func (c *client) PersonalManager(ctx context.Context, n bridge.Number) (crm.Manager, error) {
	if n == "" {
		return crm.Manager{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, routeLimit)
	defer cancel()
	var r route
	var exts map[crm.UserID]string
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		r, err = c.route(gctx, n)
		return err
	})
	g.Go(func() (err error) {
		exts, err = c.extensions(gctx, false)
		if fault.KindOf(err) == fault.Forbidden {
			return nil // the name is worth something without the extension
		}
		return err
	})
	if err := g.Wait(); err != nil {
		return crm.Manager{}, err
	}
	var m crm.Manager
	candidates := r.Employees
	for i := range r.Users {
		u := &r.Users[i]
		if u.ContentType != human && u.ContentType != company || u.ID == "" {
			continue
		}
		if m.Contact == nil {
			contact := c.contact(u)
			m.Contact = &contact
		}
		for _, e := range u.Responsibles {
			if e.ContentType == "Employee" {
				candidates = append(candidates, e)
			}
		}
	}
	for i := range candidates {
		e := &candidates[i]
		id := crm.UserID(e.ID)
		if id == "" || !e.active() {
			continue
		}
		if m.User == "" || m.Extension == "" && exts[id] != "" {
			m.User, m.Name, m.Extension = id, e.title(), exts[id]
		}
	}
	return m, nil
}
