// Package retailcrm talks to retailCRM (Simla.com) through its API v5.
//
// Quirks, each with a test: a revoked key is refused with 403 and told apart
// from a missing right by the text alone; too many requests are 503 with a web
// page; a mistyped portal answers 404 or 405; clients are searched by
// filter[name], which matches parts of numbers, so every hit is compared;
// empty maps come as []; call events and the call history have different words
// for the same outcome; tasks have no external id.
//
// Not stated by the vendor and therefore inferred, each in one place:
// the form of numbers (setting phone_form), how filter[name] reads a number
// (setting phone_search), that call times are in the account's zone
// (callDate), the addresses of cards in the web interface (links.go), names of
// scopes other than customer_read (check.go), the words for outcomes
// (words.go), that tasks/list shows commentary (tasks.go).
package retailcrm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/setting"
	"callbridge/crm"
)

var (
	fieldURL = setting.Field{Name: "url", Account: true, Label: "Portal address", Required: true, URL: true,
		Help: "Copy it from the browser: https://<name>.retailcrm.ru. Скопируйте из браузера."}
	fieldKey = setting.Field{Name: "api_key", Account: true, Label: "API key", Required: true, Secret: true,
		Help: "retailCRM: Settings → Integration → API access keys (Настройки → Интеграция → Ключи доступа к API)."}
	fieldSite = setting.Field{Name: "site", Label: "Shop code",
		Help: "Settings → Shops (Настройки → Магазины), column “Symbolic code” (Символьный код). Needed if the key sees several shops."}
	fieldAdmin = setting.Field{Name: "admin_email", Label: "Administrator's e-mail",
		Help: "E-mail of the portal's administrator; the check looks whether he is among the users. E-mail администратора портала."}
	fieldPhone = setting.Field{Name: "phone_form", Label: "Numbers are sent", OneOf: []string{"digits", "plus"}, Default: "digits",
		Help: "digits: 79161234567; plus: +79161234567. Как писать номера в CRM."}
	fieldSearch = setting.Field{Name: "phone_search", Label: "Numbers are searched", OneOf: []string{"auto", "national", "digits", "plus"}, Default: "auto",
		Help: "auto: without the country first, then with it. Change only if clients are not found. Меняйте, только если клиенты не находятся."}
	fieldNotify = setting.Field{Name: "notify", Label: "Pop-ups go to", OneOf: []string{"both", "users", "codes"}, Default: "both",
		Help: "users: by the CRM's user; codes: by extension as entered in the CRM. Кому показывать карточку звонка."}
	fieldStatus = setting.Field{Name: "manager_status", Label: "Personal manager", OneOf: []string{"any", "free"}, Default: "any",
		Help: "free: only a manager who is online and free in the CRM. free: только если менеджер в CRM в сети и свободен."}
	fieldMethod = setting.Field{Name: "order_method", Label: "Order method of a call", Default: "phone",
		Help: "Symbolic code; used if the account has it. Способ оформления заказа для звонка."}
	fieldMissed = setting.Field{Name: "order_method_missed", Label: "Order method of a missed call", Default: "missed-call",
		Help: "Symbolic code; used if the account has it. Способ оформления заказа для пропущенного звонка."}
	fieldClosed = setting.Field{Name: "closed_groups", Label: "Groups of closed orders", Default: "complete,cancel",
		Help: "Symbolic codes of status groups, with commas. Группы статусов закрытых заказов, через запятую."}
	fieldModule = setting.Field{Name: "module_code", Label: "Telephony module",
		Help: "Symbolic code of the integration that holds the extensions, if there is one. Код модуля телефонии с внутренними номерами."}
	fieldGroup = setting.Field{Name: "managers_group", Label: "Group of managers", Default: builtIn,
		Help: "Symbolic code or name; only its active users are offered for joining to extensions. Several with commas. Группа, чьи пользователи предлагаются для связи с внутренними номерами."}
	fieldPresence = setting.Field{Name: "user_status", Label: "Status of users", OneOf: []string{"sync", "off"}, Default: "sync",
		Help: "sync: busy while on the phone, break while on do-not-disturb, and what users set in the CRM counts here. Статус пользователя: занят во время разговора, перерыв при «не беспокоить», и обратно."}
	fieldRate = setting.Field{Name: "requests_per_second", Label: "Requests per second",
		Help: "0 means no limit. Empty: just below the vendor's limits, and no limit for a sandbox on this machine. Пусто: чуть меньше лимита retailCRM."}
)

// Driver is retailCRM for the settings.
var Driver = crm.Driver{
	Name:  "retailcrm",
	Title: "retailCRM",
	Fields: []setting.Field{fieldURL, fieldKey, fieldSite, fieldAdmin, fieldPhone, fieldSearch, fieldNotify, fieldStatus, fieldMethod,
		fieldMissed, fieldClosed, fieldModule, fieldGroup, fieldPresence, fieldRate},
	PerSecond: perSecond,
	Batch:     batchSize,
	Open:      open,
}

var (
	_ crm.Client       = (*client)(nil)
	_ crm.Popper       = (*client)(nil)
	_ crm.CallLogger   = (*client)(nil)
	_ crm.BatchLogger  = (*client)(nil)
	_ crm.Tasker       = (*client)(nil)
	_ crm.DealMaker    = (*client)(nil)
	_ crm.FieldWriter  = (*client)(nil)
	_ crm.Directory    = (*client)(nil)
	_ crm.Grouped      = (*client)(nil)
	_ crm.Installer    = (*client)(nil)
	_ crm.StatusSetter = (*client)(nil)
	_ crm.StatusReader = (*client)(nil)
	_ crm.StatusTeller = (*client)(nil)
	_ crm.Router       = (*client)(nil)
)

type client struct {
	env  crm.Env
	api  *crm.API
	base string
	vals setting.Values

	mu    sync.Mutex
	words dictionary // of orders; read once in a while
}

// The documented limits are 10 requests within a second, and 40 for telephony.
// What a resend may use, and the burst that is kept for cards, routing and fresh
// calls, are together a little less, because the way to the server is not even.
const perSecond = 7.9

var limits = []crm.Limit{{Prefix: "/api/", PerSecond: perSecond, Burst: 2}, {Prefix: "/api/v5/telephony/", PerSecond: 35, Burst: 4}}

// limitsOf reads the setting. One number is for all paths.
func limitsOf(text, base string) ([]crm.Limit, error) {
	if text == "" {
		if u, err := url.Parse(base); err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()) {
			return nil, nil
		}
		return limits, nil
	}
	n, err := strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64)
	switch {
	case err != nil || n < 0:
		return nil, fmt.Errorf("requests_per_second: %q is no number such as 9.5", text)
	case n == 0:
		return nil, nil
	}
	return []crm.Limit{{Prefix: "/api/", PerSecond: n, Burst: 2}}, nil
}

func open(env crm.Env, v setting.Values) (crm.Client, error) {
	if env.Zone == nil {
		env.Zone = time.UTC
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	base := strings.TrimRight(strings.TrimSpace(v.Get(fieldURL)), "/")
	key := strings.TrimSpace(v.Get(fieldKey))
	rates, err := limitsOf(v.Get(fieldRate), base)
	if err != nil {
		return nil, err
	}
	api := crm.NewAPI(env, crm.APIOptions{
		Name: "retailcrm", Base: base, Secrets: []string{key}, Limits: rates, Classify: classify,
		Authorize: func(r *http.Request) { r.Header.Set("X-API-KEY", key) },
		// The server never says how long; its window is one second.
		SlowDown: 2 * time.Second,
	})
	return &client{env: env, api: api, base: base, vals: v}, nil
}

// envelope is around every answer.
type envelope struct {
	Success *bool      `json:"success"`
	Message crm.Text   `json:"errorMsg"`
	Errors  errorTexts `json:"errors"`
}

// errorTexts reads a list of texts, or an object of field to text.
type errorTexts []string

func (e *errorTexts) UnmarshalJSON(b []byte) error {
	*e = nil
	var v any
	if json.Unmarshal(b, &v) != nil {
		return nil
	}
	e.collect("", v)
	slices.Sort(*e)
	return nil
}

func (e *errorTexts) collect(path string, v any) {
	switch v := v.(type) {
	case string:
		if path != "" {
			v = path + ": " + v
		}
		*e = append(*e, v)
	case []any:
		for _, x := range v {
			e.collect(path, x)
		}
	case map[string]any:
		for k, x := range v {
			if path != "" {
				k = path + "." + k
			}
			e.collect(k, x)
		}
	}
}

var errNoMethod = errors.New("this portal has no such method; is the address really retailCRM's?")

// classify says what an answer means in retailCRM's words. nil leaves it to
// the rules of HTTP.
func classify(a crm.Answer) *fault.Error {
	refuse := func(k fault.Kind, err error) *fault.Error { return &fault.Error{Kind: k, Err: err} }
	var env envelope
	_ = json.Unmarshal(a.Body, &env)
	text := string(env.Message)
	if len(env.Errors) > 0 {
		text += " (" + strings.Join(env.Errors[:min(len(env.Errors), 10)], "; ") + ")"
	}
	if text == "" {
		text = http.StatusText(a.Status)
	}
	lower := strings.ToLower(text)
	switch {
	case a.Status == http.StatusServiceUnavailable, a.Status == http.StatusTooManyRequests:
		return refuse(fault.RateLimited, errors.New("too many requests at once"))
	case a.Status == http.StatusNotFound && strings.Contains(lower, "account does not exist"),
		(a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed) && a.IsHTML():
		// Everything is held until the address is corrected, as for a wrong key.
		return refuse(fault.Auth, errors.New("there is no portal at this address; correct “url”"))
	case a.Status == http.StatusNotFound && strings.Contains(lower, "api method not found"):
		return refuse(fault.Invalid, errNoMethod)
	case a.Status == http.StatusForbidden && strings.Contains(lower, "apikey"):
		return refuse(fault.Auth, errors.New("the API key is refused: "+text))
	case a.Status == http.StatusForbidden:
		return refuse(fault.Forbidden, errors.New("the API key lacks the right to "+a.Op+": "+text))
	case a.Status >= 400 && a.Status < 500:
		if a.Status == http.StatusNotFound || a.Status == http.StatusUnauthorized || a.Status == http.StatusRequestTimeout {
			return nil
		}
		return refuse(fault.Invalid, errors.New(text))
	case a.Status < 300 && env.Success != nil && !*env.Success:
		return refuse(fault.Invalid, errors.New(text))
	}
	return nil
}

// lost is for a 2xx answer that lacks what it must hold.
func lost(op string, write bool, what string) error {
	kind := fault.Temporary
	if write {
		kind = fault.Uncertain
	}
	return fault.New(kind, "retailcrm: "+op, "the answer has no %s", what)
}

func (c *client) site() string { return strings.TrimSpace(c.vals.Get(fieldSite)) }

// number is n as the CRM is to keep it.
func (c *client) number(n bridge.Number) string {
	if c.vals.Get(fieldPhone) == "plus" {
		return string(n)
	}
	return n.Digits()
}

// userID reads one of our UserIDs; 0 if it is none of this CRM's.
func userID(u crm.UserID) int64 {
	n, err := strconv.ParseInt(string(u), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// when reads a date-time of the account.
func (c *client) when(t crm.Text) bridge.Time {
	v, err := time.ParseInLocation(time.DateTime, string(t), c.env.Zone)
	if err != nil {
		return bridge.Time{}
	}
	return bridge.At(v)
}

// callDate is the zone-less form in which the CRM takes times; that it reads
// them in the account's zone is inferred.
func (c *client) callDate(t time.Time) string { return t.In(c.env.Zone).Format(time.DateTime) }

// source maps UTM marks to the CRM's object of five fields, nil if there are none.
func source(utm map[string]string) map[string]string {
	out := map[string]string{}
	for from, to := range map[string]string{"utm_source": "source", "utm_medium": "medium", "utm_campaign": "campaign",
		"utm_term": "keyword", "utm_content": "content"} {
		if v := utm[from]; v != "" {
			out[to] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
