package retailcrmtest

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Module is a registered telephony module.
type Module struct {
	Active                         bool
	ClientID, MakeCallURL, Changed string            // Changed is changeUserStatusUrl
	Codes                          map[int]string    // user id to extension
	Phones                         map[string]string // shop to outside number
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
		Codes: map[int]string{}, Phones: map[string]string{}}
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

func (f *Fake) callUs(rt http.RoundTripper, address string, q url.Values) Called {
	began := f.opts.Now()
	req, err := http.NewRequest(http.MethodGet, address+"?"+q.Encode(), nil)
	if err != nil {
		return Called{}
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return Called{Took: f.opts.Now().Sub(began)}
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return Called{Status: res.StatusCode, Body: string(b), Took: f.opts.Now().Sub(began)}
}
