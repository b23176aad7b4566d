// Package retailcrmtest is a simulated retailCRM (API v5), strict where the
// real one is: it refuses unknown fields and wrong types, keeps what it was
// given, and speaks with the real error texts. Bind it to loopback only.
//
// What is not known of the real server and therefore a choice here: the text
// for a second object with one externalId, for a wrong limit and for a missing
// site; that calls/upload is all or nothing; that unknown filters are refused
// (Options.Lenient ignores them); how filter[name] compares numbers
// (Options.WholeNumbers).
package retailcrmtest

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"callbridge/crm"
	"callbridge/crm/sandbox"
)

// DefaultKey is the API key if Options has none.
const DefaultKey = "rcrm-key-5f0c9d27b1"

// User is an employee to begin with.
type User struct {
	ID        int // 0: the next free one
	Email     string
	First     string
	Last      string
	Extension string // code of the telephony module
	Dismissed bool
	NoManager bool // not in the managers' group
	Admin     bool
}

// Customer is a client to begin with.
type Customer struct {
	First, Last string
	Phones      []string
	Email       string
	Manager     int // id of a user
}

// Options say how the account looks at the start.
type Options struct {
	Key       string
	Sites     []string // shops, the first is the default; none: "shop"
	Users     []User
	Customers []Customer
	Zone      string           // of the account; "": Europe/Moscow
	Now       func() time.Time // nil: time.Now
	URL       string           // own address for links in answers
	// Lenient ignores unknown filters instead of refusing them, as the real
	// server perhaps does: everything is returned then.
	Lenient bool
	// WholeNumbers makes filter[name] find numbers only when all digits with
	// the country agree, instead of any part of the digits as written.
	WholeNumbers bool
	// Unlimited switches the limit of requests per second off.
	Unlimited bool
}

// DemoOptions is a small shop for the demo: managers as given, two clients,
// and no limit that several integrations on one machine would share.
func DemoOptions(users []User, customers []Customer) Options {
	return Options{Sites: []string{"shop"}, Users: users, Customers: customers, Unlimited: true}
}

// Fake is the simulated account.
type Fake struct {
	sandbox.Switchboard
	opts   Options
	zone   *time.Location
	routes []route

	mu         sync.Mutex
	account    bool // exists
	key        string
	denied     map[string]bool // paths without version that the key may not use
	nextID     int
	users      []*user
	customers  []*entity
	orders     []*entity
	tasks      []*entity
	notes      []*entity
	calls      []*call
	callIDs    map[string]*call
	events     []*event
	modules    map[string]object
	history    map[string][]object
	nextChange int
	arrived    map[string][]time.Time // per client IP and budget, the last second
	funds      bool
	echo       http.RoundTripper // see Echo
}

type object = map[string]any

// entity is a stored object with what the page needs.
type entity struct {
	data object
	at   time.Time
	seed bool
}

func (e *entity) id() int { return toInt(e.data["id"]) }

type user struct {
	User
	at     time.Time
	status string
	online bool
}

var (
	_ sandbox.Sandbox = (*Fake)(nil)
)

// New makes an account; it starts nothing.
func New(opts Options) *Fake {
	if opts.Key == "" {
		opts.Key = DefaultKey
	}
	if len(opts.Sites) == 0 {
		opts.Sites = []string{"shop"}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Zone == "" {
		opts.Zone = "Europe/Moscow"
	}
	if len(opts.Users) == 0 {
		opts.Users = []User{
			{Email: "ivan@example.ru", First: "Иван", Last: "Петров", Extension: "101"},
			{Email: "olga@example.ru", First: "Ольга", Last: "Смирнова", Extension: "102"},
			{Email: "admin@example.ru", First: "Анна", Admin: true, NoManager: true},
		}
	}
	f := &Fake{opts: opts, zone: zone(opts.Zone)}
	f.Answers = sandbox.StandardFaults(
		sandbox.Fault{Status: 403, Body: `{"success":false,"errorMsg":"Wrong \"apiKey\" value."}`},
		sandbox.Fault{Status: 503, HTML: true, Body: "<html><head><title>503 Service Temporarily Unavailable</title></head></html>"})
	f.routes = f.table()
	f.start()
	return f
}

// start fills the account with what Options say.
func (f *Fake) start() {
	f.account, f.key, f.denied, f.funds = true, f.opts.Key, map[string]bool{}, true
	f.nextID, f.nextChange = 0, 0
	f.users, f.customers, f.orders, f.tasks, f.notes, f.calls, f.events = nil, nil, nil, nil, nil, nil, nil
	f.callIDs, f.modules, f.history = map[string]*call{}, map[string]object{}, map[string][]object{}
	f.arrived = map[string][]time.Time{}
	for i, u := range f.opts.Users {
		if u.ID == 0 {
			u.ID = 11 + i
		}
		f.users = append(f.users, &user{User: u, at: f.opts.Now(), status: "free", online: true})
	}
	for _, c := range f.opts.Customers {
		f.seed(c)
	}
}

// zone finds a time zone; without a zone database Moscow still works.
func zone(name string) *time.Location {
	if z, err := time.LoadLocation(name); err == nil {
		return z
	}
	return time.FixedZone(name, 3*3600)
}

func (f *Fake) seed(c Customer) int {
	f.nextID++
	d := object{"type": "customer", "id": f.nextID, "isContact": false, "createdAt": f.stamp(), "vip": false, "bad": false,
		"site": f.opts.Sites[0], "firstName": c.First, "lastName": c.Last, "email": c.Email, "managerId": c.Manager, "phones": phones(c.Phones)}
	for k, v := range d {
		if v == "" || (k == "managerId" && v == 0) {
			delete(d, k)
		}
	}
	f.customers = append(f.customers, &entity{d, f.opts.Now(), true})
	return f.nextID
}

func phones(all []string) []any {
	out := []any{}
	for _, p := range all {
		if p == "" {
			out = append(out, object{})
			continue
		}
		out = append(out, object{"number": p})
	}
	return out
}

func (f *Fake) stamp() string { return f.opts.Now().In(f.zone).Format(time.DateTime) }

// Title is for the sandbox page.
func (f *Fake) Title() string { return "retailCRM" }

// Key returns the API key that works now.
func (f *Fake) Key() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.key
}

// ServeHTTP is the API.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.Serve(w, r, http.HandlerFunc(f.answer))
}

// SeedContact adds a customer with its numbers spelled as given.
func (f *Fake) SeedContact(name string, numbers ...string) crm.ContactID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return crm.ContactID(strconv.Itoa(f.seed(Customer{First: name, Phones: numbers})))
}

// SeedCustomer adds a customer.
func (f *Fake) SeedCustomer(c Customer) crm.ContactID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return crm.ContactID(strconv.Itoa(f.seed(c)))
}

// DeleteCustomer makes a customer not exist any more.
func (f *Fake) DeleteCustomer(id crm.ContactID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, c := range f.customers {
		if strconv.Itoa(c.id()) == string(id) {
			f.customers = append(f.customers[:i:i], f.customers[i+1:]...)
			return
		}
	}
}

// Revoke makes the key invalid, as deleting it in the CRM does.
func (f *Fake) Revoke() { f.SetKey("") }

// SetKey makes key the only valid one; "" is none.
func (f *Fake) SetKey(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key = key
}

// Restrict takes a method away from the key: its path without version, such
// as /api/customers/create.
func (f *Fake) Restrict(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied[path] = true
}

// Permit gives a restricted method back.
func (f *Fake) Permit(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.denied, path)
}

// Close makes the whole account not exist, as a mistyped address does.
func (f *Fake) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.account = false
}

// NoFunds makes the registration of a module fail for want of money.
func (f *Fake) NoFunds() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.funds = false
}

// ClearUsers makes the list of users empty.
func (f *Fake) ClearUsers() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users = nil
}

// SetUserStatus sets what the CRM shows about a user: free, busy, dinner or
// break, and whether he is online.
func (f *Fake) SetUserStatus(id int, status string, online bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.userByID(id); u != nil {
		u.status, u.online = status, online
	}
}

// Reset forgets everything made since New and ends all faults.
func (f *Fake) Reset() {
	f.ClearFaults()
	f.ClearLog()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.start()
}

func (f *Fake) userByID(id int) *user {
	for _, u := range f.users {
		if u.ID == id {
			return u
		}
	}
	return nil
}

func (f *Fake) userByCode(code string) *user {
	for _, u := range f.users {
		if u.Extension == code && code != "" {
			return u
		}
	}
	return nil
}

func (f *Fake) hasSite(code string) bool {
	for _, s := range f.opts.Sites {
		if s == code {
			return true
		}
	}
	return false
}

// digits leaves only the digits of s.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// normal is a number with its country as the CRM compares it (8… is 7…).
func normal(s string) string {
	d := digits(s)
	if len(d) == 11 && d[0] == '8' {
		return "7" + d[1:]
	}
	if len(d) == 10 && d[0] == '9' {
		return "7" + d
	}
	return d
}

func toInt(v any) int {
	switch v := v.(type) {
	case int:
		return v
	case float64:
		return int(v)
	case string:
		n, _ := strconv.Atoi(v)
		return n
	}
	return 0
}
