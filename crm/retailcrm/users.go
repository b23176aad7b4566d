package retailcrm

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"callbridge/crm"
)

// user is an employee as the CRM shows him: without an extension, and any
// field may be missing (D-09).
type user struct {
	ID         crm.Text  `json:"id"`
	Active     *crm.Text `json:"active"`
	Email      crm.Text  `json:"email"`
	FirstName  crm.Text  `json:"firstName"`
	LastName   crm.Text  `json:"lastName"`
	Patronymic crm.Text  `json:"patronymic"`
	IsManager  crm.Text  `json:"isManager"`
	IsAdmin    crm.Text  `json:"isAdmin"`
	Groups     []group   `json:"groups"`
}

// builtIn is the code of the group "Менеджеры", which every account has.
const builtIn = "manager"

// Group is for people: only its members are offered for joining.
func (c *client) Group() string {
	if g := strings.TrimSpace(c.vals.Get(fieldGroup)); g != builtIn {
		return g
	}
	return "Менеджеры"
}

// manager says whether a user is in the group, by its code or its name. An
// answer without groups (D-09) leaves the CRM's own mark.
func (c *client) manager(u user) bool {
	if len(u.Groups) == 0 {
		return u.IsManager.Bool()
	}
	wanted := strings.Split(c.vals.Get(fieldGroup), ",")
	return slices.ContainsFunc(wanted, func(w string) bool {
		w = strings.TrimSpace(w)
		return w != "" && slices.ContainsFunc(u.Groups, func(g group) bool {
			return strings.EqualFold(string(g.Code), w) || strings.EqualFold(string(g.Name), w)
		})
	})
}

type group struct {
	Code crm.Text `json:"code"`
	Name crm.Text `json:"name"`
}

// Employees lists all users, the dismissed ones too, so that the caller sees
// who was dismissed and who merely is not in the answer.
func (c *client) Employees(ctx context.Context) ([]crm.Employee, error) {
	rows, err := list[user](ctx, c, "list users", "/api/v5/users", "users", url.Values{})
	if err != nil {
		return nil, err
	}
	codes, err := c.codes(ctx)
	if err != nil {
		return nil, err
	}
	var out []crm.Employee
	for _, u := range rows {
		if u.ID == "" {
			continue
		}
		out = append(out, crm.Employee{User: crm.UserID(u.ID), Email: strings.TrimSpace(string(u.Email)),
			Name:      joinName(u.FirstName, u.Patronymic, u.LastName),
			Extension: codes[string(u.ID)], Active: u.Active == nil || u.Active.Bool(), Manager: c.manager(u)})
	}
	slices.SortStableFunc(out, func(a, b crm.Employee) int { return int(crm.Text(a.User).Int() - crm.Text(b.User).Int()) })
	return out, nil
}

// codes reads the extensions from the telephony module, if one is named.
func (c *client) codes(ctx context.Context) (map[string]string, error) {
	code := strings.TrimSpace(c.vals.Get(fieldModule))
	if code == "" {
		return nil, nil
	}
	var ans struct {
		Module struct {
			Integrations crm.Map[struct {
				Codes []struct {
					User crm.Text `json:"userId"`
					Code crm.Text `json:"code"`
				} `json:"additionalCodes"`
			}] `json:"integrations"`
		} `json:"integrationModule"`
	}
	err := c.api.Do(ctx, crm.Request{Op: "read telephony module", Path: "/api/v5/integration-modules/" + url.PathEscape(code)}, &ans)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, row := range ans.Module.Integrations["telephony"].Codes {
		if row.User != "" && row.Code != "" {
			out[string(row.User)] = string(row.Code)
		}
	}
	return out, nil
}
