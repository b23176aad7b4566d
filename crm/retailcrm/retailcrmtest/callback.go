package retailcrmtest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Module is a registered telephony module.
type Module struct {
	Active                         bool
	ClientID, MakeCallURL, Changed string            // Changed is changeUserStatusUrl
	Codes                          map[int]string    // user id to extension
	Phones                         map[string]string // shop to outside number
	ActivityURL, AccountURL        string            // "" if none is registered
}

// Module returns what is registered under a code; false if nothing is.
func (f *Fake) Module(code string) (Module, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	doc, has := f.modules[code]
	if !has {
		return Module{}, false
	}
	in, _ := doc["integrations"].(object)
	tel, _ := in["telephony"].(object)
	active, _ := doc["active"].(bool)
	m := Module{Active: active, ClientID: str(doc["clientId"]), MakeCallURL: str(tel["makeCallUrl"]), Changed: str(tel["changeUserStatusUrl"]),
		Codes: map[int]string{}, Phones: map[string]string{}, AccountURL: str(doc["accountUrl"])}
	if actions, ok := doc["actions"].(object); ok && str(actions["activity"]) != "" {
		m.ActivityURL = strings.TrimRight(str(doc["baseUrl"]), "/") + str(actions["activity"])
	}
	codes, _ := tel["additionalCodes"].([]any)
	for _, c := range codes {
		if o, ok := c.(object); ok {
			m.Codes[toInt(o["userId"])] = str(o["code"])
		}
	}
	phones, _ := tel["externalPhones"].([]any)
	for _, p := range phones {
		if o, ok := p.(object); ok {
			m.Phones[str(o["siteCode"])] = str(o["externalPhone"])
		}
	}
	return m, true
}

// UserStatus is what the CRM shows about a user.
func (f *Fake) UserStatus(id int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.userByID(id); u != nil {
		return u.status
	}
	return ""
}

// Called is what came of a request of the CRM to us.
type Called struct {
	Status int // 0: no answer
	Body   string
	Took   time.Duration
	// Location is where a redirect leads.
	Location string
}

// Click asks the module to call a number, as a click on a phone icon of a card
// of the first shop does: the parameters of the real CRM and no others. A user
// without an extension is sent without code.
func (f *Fake) Click(rt http.RoundTripper, m Module, user int, phone string) Called {
	q := url.Values{"clientId": {m.ClientID}, "userId": {strconv.Itoa(user)}, "phone": {phone}}
	if c := m.Codes[user]; c != "" {
		q.Set("code", c)
	}
	if p := m.Phones[f.opts.Sites[0]]; p != "" {
		q.Set("externalPhone", p)
	}
	return f.callUs(rt, m.MakeCallURL, q)
}

// ChangeStatus reports a user's new status to the module.
func (f *Fake) ChangeStatus(rt http.RoundTripper, m Module, user int, status string) Called {
	f.mu.Lock()
	if u := f.userByID(user); u != nil {
		u.status = status
	}
	f.mu.Unlock()
	q := url.Values{"clientId": {m.ClientID}, "userId": {strconv.Itoa(user)}, "status": {status}}
	if c := m.Codes[user]; c != "" {
		q.Set("code", c)
	}
	return f.callUs(rt, m.Changed, q)
}
