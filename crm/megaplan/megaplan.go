// Package megaplan talks to Megaplan (API v3).
//
// What is documented and what was only seen is told apart in the reference;
// here is what we concluded ourselves and where it stands in the code, so that
// each can be corrected in one place once an account shows otherwise:
//
//   - addresses of pages for people: links.go
//   - tokens: renewed at 90 % of their life; 400, 401 and 403 of the token
//     endpoint mean "credentials refused": auth.go
//   - one call is one CallInfo; a second ringing employee gets his own, with
//     the extension added to providerId; only the first can become "miss": calls.go
//   - /callInfo/history recognises a call by providerId, or by id if given: calls.go
//   - clients with a number: callRoute, and possibleDuplicates for the other
//     spellings; both are checked against contactInfo: contacts.go
//   - a communication is a Todo of a category with masterType call, a task one
//     with masterType todo; `when` may be refused at creation: todos.go
//   - our key stands in square brackets at the end of descriptions: html.go
//   - an open deal is one whose result, or state's type, is active: deals.go
//   - do-not-disturb has no documented place; a setting says where in the settings
//     of a user it stands, if anywhere: presence.go
//   - whether a call makes a communication by itself is looked up once a day: todos.go
//   - who opened our page inside Megaplan is asked by checkUserSign: embed.go
//   - at most 3000 requests an hour, the limit of the older API: Fields
//
// Which test proves which row of the requirements stands in ROWS.md.
package megaplan

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"callbridge/bridge/fault"
	"callbridge/bridge/setting"
	"callbridge/crm"
)

var (
	fieldURL = setting.Field{Name: "url", Account: true, Label: "Address of the account", Required: true, URL: true,
		Help: "The full address of your Megaplan, https://<account>.megaplan.ru, as the browser shows it after you have signed in."}
	fieldUsername = setting.Field{Name: "username", Account: true, Label: "Login",
		Help: "E-mail of the Megaplan user on whose behalf Callbridge works. Make one of his own, with access to all clients."}
	fieldPassword = setting.Field{Name: "password", Account: true, Label: "Password", Secret: true,
		Help: "Password of that user."}
	fieldToken = setting.Field{Name: "token", Account: true, Label: "Application token", Secret: true,
		Help: "Instead of login and password: the token of an application (Настройки → Приложения)."}
	fieldCommunication = setting.Field{Name: "communication_category", Label: "Category of communications",
		Help: "Name or id of the kind of «дело» that calls become. Empty: the first one of type call («Звонок»)."}
	fieldTask = setting.Field{Name: "task_category", Label: "Category of tasks",
		Help: "Name or id of the kind of «дело» that tasks become. Empty: the first one of type todo («Дело»)."}
	fieldProgram = setting.Field{Name: "program", Label: "Scheme of processes",
		Help: "Name or id of the scheme for rules that name none. Empty: the one used last."}
	fieldWhen = setting.Field{Name: "when", Label: "Time of communications and tasks", OneOf: []string{"auto", "create", "update", "never"}, Default: "auto",
		Help: "How the time gets into a «дело»: when it is made (create), by a change afterwards (update), as text only (never). auto finds out what the account accepts."}
	fieldCards = setting.Field{Name: "cards", Label: "Call windows", OneOf: []string{"each", "one"}, Default: "each",
		Help: "each: every ringing employee gets a call of his own in Megaplan, so that his window opens. one: a single call that moves from employee to employee."}
	fieldSearch = setting.Field{Name: "search", Label: "Search of clients", OneOf: []string{"thorough", "quick"}, Default: "thorough",
		Help: "thorough finds numbers in every spelling with three requests; quick asks once and finds only numbers kept as 79161234567."}
	fieldApplication = setting.Field{Name: "application", Label: "UUID of the application",
		Help: "For the call button inside Megaplan: the UUID of your application (Настройки → Приложения), whose page address is that of Callbridge. Empty: no page inside Megaplan."}
	fieldDND = setting.Field{Name: "dnd_path", Label: "Do-not-disturb switch",
		Help: "Where the switch of Megaplan's web phone stands in the JSON settings of a user of telephony, names with dots between: phone.dnd. Megaplan does not document it; empty: the switch is not synchronised."}
	fieldRate = setting.Field{Name: "requests_per_second", Label: "Requests per second",
		Help: "How many requests on average; 0 means no limit. Empty: 0.8 with a reserve of 300, and no limit for a sandbox on this machine."}
)

const driverName = "megaplan"

// Driver is the entry in the list of CRMs.
var Driver = crm.Driver{
	Name:  driverName,
	Title: "Megaplan",
	Fields: []setting.Field{fieldURL, fieldUsername, fieldPassword, fieldToken,
		fieldCommunication, fieldTask, fieldProgram, fieldWhen, fieldCards, fieldSearch, fieldApplication, fieldDND, fieldRate},
	PerSecond: defaultRate,
	Open:      open,
}

var (
	_ crm.Client       = (*client)(nil)
	_ crm.Popper       = (*client)(nil)
	_ crm.HoldShower   = (*client)(nil)
	_ crm.StopShower   = (*client)(nil)
	_ crm.CallLogger   = (*client)(nil)
	_ crm.Communicator = (*client)(nil)
	_ crm.Tasker       = (*client)(nil)
	_ crm.DealMaker    = (*client)(nil)
	_ crm.FieldWriter  = (*client)(nil)
	_ crm.Directory    = (*client)(nil)
	_ crm.Router       = (*client)(nil)
	_ crm.Embedder     = (*client)(nil)
)

const (
	defaultRate = 0.8 // 3000 an hour
	reserve     = 300
)

// client is one account.
type client struct {
	env   crm.Env
	base  string // https://account.megaplan.ru
	v     setting.Values
	api   *crm.API
	auth  *auth
	calls callIDs
	cache cache
}

// open checks the values; it does no network I/O.
func open(env crm.Env, v setting.Values) (crm.Client, error) {
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Zone == nil {
		env.Zone = time.UTC
	}
	u, err := url.Parse(strings.TrimSpace(v.Get(fieldURL)))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("url: %s", fieldURL.Help)
	}
	local := isLoopback(u.Hostname())
	if u.Scheme == "http" && !local {
		return nil, fmt.Errorf("url: the address must begin with https://, or the password could be read on the way")
	}
	token, user, pass := v.Get(fieldToken), v.Get(fieldUsername), v.Get(fieldPassword)
	switch {
	case token == "" && user == "" && pass == "":
		return nil, fmt.Errorf("username, password: are missing (or give a token). %s", fieldUsername.Help)
	case token == "" && user == "":
		return nil, fmt.Errorf("username: is missing. %s", fieldUsername.Help)
	case token == "" && pass == "":
		return nil, fmt.Errorf("password: is missing. %s", fieldPassword.Help)
	}
	limits, err := limitsOf(v.Get(fieldRate), local)
	if err != nil {
		return nil, err
	}
	c := &client{env: env, base: u.Scheme + "://" + u.Host, v: v}
	c.api = crm.NewAPI(env, crm.APIOptions{Name: driverName, Base: c.base + "/api/v3", Secrets: []string{token, pass},
		Classify: classify, Limits: limits, SlowDown: 15 * time.Second})
	c.auth = newAuth(c.api, env, c.base, user, pass, token)
	if path := v.Get(fieldDND); path != "" {
		if strings.Contains("."+path+".", "..") {
			return nil, fmt.Errorf("dnd_path: %q is no path such as phone.dnd", path)
		}
		return withPresence{c}, nil
	}
	return c, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

func limitsOf(text string, local bool) ([]crm.Limit, error) {
	perSecond := defaultRate
	switch {
	case text == "" && local:
		return nil, nil
	case text != "":
		n, err := strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("requests_per_second: %q is no number such as 0.8", text)
		}
		if n == 0 {
			return nil, nil
		}
		perSecond = n
	}
	return []crm.Limit{{PerSecond: perSecond, Burst: reserve}}, nil
}

// request is one call of the API.
type request struct {
	op     string
	method string // "" means GET
	path   string // after /api/v3
	query  map[string]any
	body   any
}

// do sends r with a token, renews the token once if it is refused, and decodes
// `data` of the answer into out with related entities filled in.
func (c *client) do(ctx context.Context, r request, out any) (page, error) {
	token, err := c.auth.token(ctx)
	if err != nil {
		return page{}, err
	}
	pg, err := c.once(ctx, r, token, out)
	if fault.KindOf(err) == fault.Auth && err != nil {
		if token, err = c.auth.renew(ctx, token, err); err != nil {
			return page{}, err
		}
		pg, err = c.once(ctx, r, token, out)
	}
	if err != nil && fault.KindOf(err) == fault.Forbidden {
		err = c.forbidden(ctx, r, token, err)
	}
	return pg, err
}

func (c *client) once(ctx context.Context, r request, token string, out any) (page, error) {
	path := r.path
	if len(r.query) > 0 {
		q, err := encodeQuery(r.query)
		if err != nil {
			return page{}, fault.New(fault.Invalid, "megaplan: "+r.op, "cannot write the query: %v", err)
		}
		path += "?" + q
	}
	var env envelope
	err := c.api.Do(ctx, crm.Request{Op: r.op, Method: r.method, Path: path, JSON: r.body,
		Header: http.Header{"Authorization": {"Bearer " + token}}}, &env)
	if err != nil {
		return page{}, err
	}
	if out != nil {
		if err := decode(env.Data, out); err != nil {
			kind := fault.Temporary
			if r.method == http.MethodPost {
				kind = fault.Uncertain
			}
			return page{}, fault.New(kind, "megaplan: "+r.op, "cannot read the answer: %v", err)
		}
	}
	return env.Meta.Pagination, nil
}

// forbidden tells a missing right from an account that refuses everything.
func (c *client) forbidden(ctx context.Context, r request, token string, err error) error {
	if _, again := c.once(ctx, request{op: "who am I", path: "/currentUser"}, token, nil); again != nil {
		if k := fault.KindOf(again); k == fault.Auth || k == fault.Forbidden {
			return fault.New(fault.Auth, "megaplan: "+r.op, "the account refuses this user everything: %v", err)
		}
	}
	return err
}

// post makes or changes something and gives its id; an answer without one
// leaves open whether it was done.
func (c *client) post(ctx context.Context, op, path string, body any) (thing, error) {
	var made thing
	if _, err := c.do(ctx, request{op: op, method: http.MethodPost, path: path, body: body}, &made); err != nil {
		return thing{}, err
	}
	if made.ID == "" {
		return thing{}, fault.New(fault.Uncertain, "megaplan: "+op, "the answer does not name what was made")
	}
	return made, nil
}

// Check tries the credentials and reads from every part that we write to.
func (c *client) Check(ctx context.Context) (crm.Report, error) {
	var me employee
	if _, err := c.do(ctx, request{op: "who am I", path: "/currentUser"}, &me); err != nil {
		return crm.Report{}, err
	}
	u, _ := url.Parse(c.base)
	rep := crm.Report{Account: strings.TrimSpace(u.Host + " " + me.title())}
	const rights = "Give the user of this integration the right to see and edit %s in Megaplan (Настройки → Права), or take a user of the group «Админы»."
	one := map[string]any{"limit": 1}
	for _, l := range []struct{ what, path, help string }{
		{"read employees", "/employee", fmt.Sprintf(rights, "employees")},
		{"read telephony settings", "/callUserConfig", "In Megaplan open Настройки → Интеграция → Телефония, choose «Подключение к телефонии по API» and enter the extensions on the tab «Пользователи»."},
		{"read calls", "/callInfo", "In Megaplan open Настройки → Интеграция → Телефония and choose «Подключение к телефонии по API»; the user needs the right to use telephony."},
		{"read clients", "/contractor", fmt.Sprintf(rights, "clients")},
		{"read todos", "/todo", fmt.Sprintf(rights, "todos («Дела»)")},
		{"read processes", "/deal", fmt.Sprintf(rights, "processes («Сделки»)")},
		{"read schemes", "/program", fmt.Sprintf(rights, "schemes of processes")},
	} {
		_, err := c.do(ctx, request{op: l.what, path: l.path, query: one}, nil)
		line, err := checked(l.what, l.help, err)
		if err != nil {
			return crm.Report{}, err
		}
		rep.Lines = append(rep.Lines, line)
	}
	for _, f := range []struct {
		what, master string
		field        setting.Field
	}{{"category of communications", masterCall, fieldCommunication}, {"category of tasks", masterTodo, fieldTask}} {
		_, err := c.category(ctx, f.master, true)
		line, err := checked(f.what, f.field.Help, err)
		if err != nil {
			return crm.Report{}, err
		}
		rep.Lines = append(rep.Lines, line)
	}
	return rep, nil
}

// checked makes a line of the report; only what speaks against the address or
// the credentials, or a passing trouble, remains an error.
func checked(what, help string, err error) (crm.CheckLine, error) {
	if err == nil {
		return crm.CheckLine{What: what, OK: true}, nil
	}
	switch fault.KindOf(err) {
	case fault.Forbidden, fault.Invalid, fault.Gone:
		return crm.CheckLine{What: what, Help: cmp.Or(help, err.Error())}, nil
	}
	return crm.CheckLine{}, err
}
