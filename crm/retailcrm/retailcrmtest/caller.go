package retailcrmtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Slowest is how long a module may take for an answer.
const Slowest = 5 * time.Second

// Trouble says what the real portal's people would complain about: no answer, a
// refusal, a redirect away from https, or one that took too long. "" is none.
func (c Called) Trouble() string {
	switch {
	case c.Status == 0:
		return "no answer"
	case c.Took > Slowest:
		return fmt.Sprintf("took %v, more than %v", c.Took, Slowest)
	case c.Status >= 300 && c.Status < 400 && !strings.HasPrefix(c.Location, "https://"):
		return fmt.Sprintf("redirects to %q, which is not https", c.Location)
	case c.Status >= 400:
		return fmt.Sprintf("answered %d", c.Status)
	}
	return ""
}

// callUs sends the parameters in the query, as the two telephony callbacks do.
func (f *Fake) callUs(rt http.RoundTripper, address string, q url.Values) Called {
	req, err := http.NewRequest(http.MethodGet, address+"?"+q.Encode(), nil)
	if err != nil {
		return Called{}
	}
	return f.send(rt, req)
}

// postUs sends them as a form, as the module's own callbacks do.
func (f *Fake) postUs(rt http.RoundTripper, address string, form url.Values) Called {
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return Called{}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.send(rt, req)
}

func (f *Fake) send(rt http.RoundTripper, req *http.Request) Called {
	began := f.opts.Now()
	res, err := rt.RoundTrip(req)
	if err != nil {
		return Called{Took: f.opts.Now().Sub(began)}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return Called{Took: f.opts.Now().Sub(began)}
	}
	return Called{Status: res.StatusCode, Body: string(b), Took: f.opts.Now().Sub(began), Location: res.Header.Get("Location")}
}

// SetActivity is the portal's admin switching the module in the portal's list,
// or its billing freezing it; system is the portal's address, "" for that of
// Options. The module is told.
func (f *Fake) SetActivity(rt http.RoundTripper, m Module, active, freeze bool, system string) Called {
	b, err := json.Marshal(map[string]bool{"active": active, "freeze": freeze})
	if err != nil {
		return Called{}
	}
	return f.postUs(rt, m.ActivityURL, url.Values{"clientId": {m.ClientID}, "activity": {string(b)}, "systemUrl": {cmp.Or(system, f.opts.URL)}})
}

// OpenAccount is a user opening the module's own page from the portal's list.
func (f *Fake) OpenAccount(rt http.RoundTripper, m Module) Called {
	return f.postUs(rt, m.AccountURL, url.Values{"clientId": {m.ClientID}})
}

// Echo makes the portal report every change of a user's status to all modules
// that want to know, also those they made themselves, through rt.
func (f *Fake) Echo(rt http.RoundTripper) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.echo = rt
}

// echoed tells the modules of a user's status; the caller holds the lock.
func (f *Fake) echoed(id int, status string) {
	if f.echo == nil {
		return
	}
	rt := f.echo
	for _, doc := range f.modules {
		in, _ := doc["integrations"].(object)
		tel, _ := in["telephony"].(object)
		address := str(tel["changeUserStatusUrl"])
		if active, _ := doc["active"].(bool); !active || address == "" {
			continue
		}
		q := url.Values{"clientId": {str(doc["clientId"])}, "userId": {strconv.Itoa(id)}, "status": {status}}
		if u := f.userByID(id); u != nil && u.Extension != "" {
			q.Set("code", u.Extension)
		}
		go f.callUs(rt, address, q)
	}
}

// Play fetches a recording as a browser does, whole and then a part of it, and
// says what would keep it from playing: nil if it plays.
func Play(rt http.RoundTripper, link string) error {
	for _, part := range []string{"", "bytes=0-1"} {
		req, err := http.NewRequest(http.MethodGet, link, nil)
		if err != nil {
			return err
		}
		want := http.StatusOK
		if part != "" {
			req.Header.Set("Range", part)
			want = http.StatusPartialContent
		}
		res, err := rt.RoundTrip(req)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close() // all of it is read
		switch kind := res.Header.Get("Content-Type"); {
		case err != nil:
			return err
		case res.StatusCode != want:
			return fmt.Errorf("answered %d to a request for %q, want %d", res.StatusCode, part, want)
		case !strings.HasPrefix(kind, "audio/"):
			return fmt.Errorf("is %q, no sound", kind)
		case part != "" && len(b) != 2:
			return fmt.Errorf("%d bytes instead of 2", len(b))
		}
	}
	return nil
}
