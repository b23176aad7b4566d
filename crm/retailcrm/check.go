package retailcrm

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

// need is a right of the API key. Scope names are inferred from the rule
// "group_read, group_write"; only customer_read is documented.
type need struct {
	what  string
	path  string // as in the key's list of methods
	scope string
	probe url.Values // read: try it with this query; nil: look into the list
	kinds []bridge.ActionKind
}

// What needs a client finds him first.
var (
	ofClient  = []bridge.ActionKind{bridge.ActContact, bridge.ActFields, bridge.ActCall, bridge.ActTask, bridge.ActProcess, bridge.ActPopup, bridge.ActOwner}
	ofContact = []bridge.ActionKind{bridge.ActContact}
	ofEdit    = []bridge.ActionKind{bridge.ActFields, bridge.ActOwner}
	ofProcess = []bridge.ActionKind{bridge.ActProcess}
	ofTask    = []bridge.ActionKind{bridge.ActTask}
	ofPopup   = []bridge.ActionKind{bridge.ActPopup}
	ofCall    = []bridge.ActionKind{bridge.ActCall}
)

var needs = []need{
	{"read customers", "/api/customers", "customer_read", url.Values{"limit": {"20"}}, ofClient},
	{"create customers", "/api/customers/create", "customer_write", nil, ofContact},
	{"find a customer by our key", "/api/customers/{externalId}", "customer_read", nil, ofContact},
	{"edit customers", "/api/customers/{externalId}/edit", "customer_write", nil, ofEdit},
	{"read users", "/api/users", "user_read", url.Values{"limit": {"20"}}, nil},
	{"read one user", "/api/users/{id}", "user_read", nil, nil},
	{"set the status of users", "/api/users/{id}/status", "user_write", nil, nil},
	{"read groups of users", "/api/user-groups", "user_read", url.Values{"limit": {"20"}}, nil},
	{"read orders", "/api/orders", "order_read", url.Values{"limit": {"20"}}, ofProcess},
	{"find an order by our key", "/api/orders/{externalId}", "order_read", nil, ofProcess},
	{"create orders", "/api/orders/create", "order_write", nil, ofProcess},
	{"read tasks", "/api/tasks", "task_read", url.Values{"limit": {"20"}}, ofTask},
	{"create tasks", "/api/tasks/create", "task_write", nil, ofTask},
	{"show calls", "/api/telephony/call/event", "telephony_write", nil, ofPopup},
	{"write the call history", "/api/telephony/calls/upload", "telephony_write", nil, ofCall},
	{"find the personal manager", "/api/telephony/manager", "telephony_read", url.Values{"phone": {"70000000000"}}, nil},
	{"read order statuses", "/api/reference/statuses", "reference_read", url.Values{}, ofProcess},
	{"read groups of statuses", "/api/reference/status-groups", "reference_read", url.Values{}, nil},
	{"read order methods", "/api/reference/order-methods", "reference_read", url.Values{}, nil},
	{"read the telephony module", "/api/integration-modules/{code}", "integration_read", nil, nil},
	{"register the telephony module", "/api/integration-modules/{code}/edit", "integration_write", nil, nil},
}

// Check tries every reading method and looks the writing ones up in the list
// of the key's rights.
func (c *client) Check(ctx context.Context) (crm.Report, error) {
	rep := crm.Report{Account: strings.TrimPrefix(strings.TrimPrefix(c.base, "https://"), "http://")}
	var key struct {
		Scopes      []crm.Text `json:"scopes"`
		Credentials []crm.Text `json:"credentials"`
	}
	err := c.api.Do(ctx, crm.Request{Op: "read rights", Path: "/api/credentials"}, &key)
	if err != nil && fault.KindOf(err) != fault.Forbidden {
		return rep, err
	}
	for _, n := range needs {
		line, err := c.checkNeed(ctx, n, key.Scopes, key.Credentials)
		if err != nil {
			return rep, err
		}
		rep.Lines = append(rep.Lines, line)
	}
	for _, f := range []func(context.Context) (crm.CheckLine, error){c.checkSite, c.checkZone, c.checkAdmin} {
		line, err := f(ctx)
		if err != nil {
			return rep, err
		}
		if line.What != "" {
			rep.Lines = append(rep.Lines, line)
		}
	}
	return rep, nil
}

func (c *client) checkNeed(ctx context.Context, n need, scopes, paths []crm.Text) (crm.CheckLine, error) {
	line := crm.CheckLine{What: n.what, OK: true, For: n.kinds}
	help := fmt.Sprintf("Settings → Integration → API access keys → our key: allow %s (Настройки → Интеграция → Ключи доступа к API: разрешите этот метод).", n.path)
	if n.probe != nil {
		err := c.api.Do(ctx, crm.Request{Op: n.what, Path: "/api/v5" + strings.TrimPrefix(n.path, "/api"), Query: n.probe}, nil)
		return allowed(line, help, err)
	}
	switch {
	case slices.Contains(paths, crm.Text(n.path)), slices.Contains(scopes, crm.Text(n.scope)):
	case len(paths) == 0 && len(scopes) == 0:
		line.Help = "The CRM does not list this key's rights; the first use will show. CRM не показала права ключа."
	default:
		line.OK, line.Help = false, help
	}
	return line, nil
}

// allowed turns a missing right into a line of the report; other faults stay faults.
func allowed(line crm.CheckLine, help string, err error) (crm.CheckLine, error) {
	if err == nil {
		return line, nil
	}
	switch fault.KindOf(err) {
	case fault.Forbidden, fault.Invalid, fault.Gone:
		line.OK, line.Help = false, help
		if fault.KindOf(err) != fault.Forbidden {
			line.Help = err.Error()
		}
		return line, nil
	}
	return line, err
}

// checkSite: a key that sees several shops must say which one is ours.
func (c *client) checkSite(ctx context.Context) (crm.CheckLine, error) {
	line := crm.CheckLine{What: "shop", OK: true}
	var ans struct {
		Sites crm.Map[crm.Map[any]] `json:"sites"`
	}
	err := c.api.Do(ctx, crm.Request{Op: "read shops", Path: "/api/v5/reference/sites"}, &ans)
	if err != nil {
		return allowed(line, "Allow /api/reference/sites for our key (разрешите ключу метод reference/sites).", err)
	}
	codes := strings.Join(slices.Sorted(maps.Keys(ans.Sites)), ", ")
	_, known := ans.Sites[c.site()]
	switch {
	case c.site() == "" && len(ans.Sites) > 1:
		line.OK, line.Help = false, "The key sees several shops; write one of them into “site” (укажите магазин): "+codes
	case c.site() != "" && !known && len(ans.Sites) > 0:
		line.OK, line.Help = false, fmt.Sprintf("There is no shop %q (нет такого магазина); there are: %s", c.site(), codes)
	}
	return line, nil
}

// checkZone compares the account's clock with ours: times are sent without a zone.
func (c *client) checkZone(ctx context.Context) (crm.CheckLine, error) {
	line := crm.CheckLine{What: "time zone", OK: true}
	var ans struct {
		Settings crm.Map[struct {
			Value crm.Text `json:"value"`
		}] `json:"settings"`
	}
	err := c.api.Do(ctx, crm.Request{Op: "read settings", Path: "/api/v5/settings"}, &ans)
	if err != nil {
		return allowed(line, "Allow /api/settings for our key, or compare the time zones by hand (разрешите метод settings или сверьте часовой пояс).", err)
	}
	name := string(ans.Settings["timezone"].Value)
	theirs, err := time.LoadLocation(name)
	if name == "" || err != nil {
		return line, nil
	}
	now := c.env.Now()
	_, a := now.In(theirs).Zone()
	_, b := now.In(c.env.Zone).Zone()
	if a != b {
		line.OK, line.Help = false, fmt.Sprintf("The account's time zone is %s, ours is %s: set time_zone: %s (часовые пояса различаются).", name, c.env.Zone, name)
	}
	return line, nil
}

// checkAdmin looks for the administrator among the users.
func (c *client) checkAdmin(ctx context.Context) (crm.CheckLine, error) {
	mail := strings.TrimSpace(c.vals.Get(fieldAdmin))
	if mail == "" {
		return crm.CheckLine{}, nil
	}
	line := crm.CheckLine{What: "administrator's e-mail", OK: true}
	rows, err := list[user](ctx, c, "find administrator", "/api/v5/users", "users", url.Values{"filter[email]": {mail}})
	if err != nil {
		return allowed(line, "Allow /api/users for our key.", err)
	}
	if !slices.ContainsFunc(rows, func(u user) bool { return strings.EqualFold(string(u.Email), mail) }) {
		line.OK, line.Help = false, "No user of this portal has this e-mail; is it the right portal? У пользователей портала нет такого e-mail."
	}
	return line, nil
}
