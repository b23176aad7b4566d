package megaplantest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"

	"callbridge/crm/sandbox"
)

// Streams are what an application may subscribe to (2.4).
var Streams = []string{"contractors", "payers", "deals", "events", "tasks", "projects", "employees", "invoices", "operations", "comments"}

func streams(*call) (result, *failure) {
	out := make([]any, len(Streams))
	for i, s := range Streams {
		out[i] = s
	}
	return result{raw: out}, nil
}

// Application is an application of the account, as its administrator makes it
// by hand.
type Application struct {
	UUID      string // "" makes one
	Name      string
	Streams   []string // it gets events of
	StreamURI string   // where events go
	PageURI   string   // the page that opens inside the account
}

// AddApplication makes an application and returns its UUID.
func (s *Server) AddApplication(a Application) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addApplication(a)
}

func (s *Server) addApplication(a Application) string {
	if a.UUID == "" {
		a.UUID = newUUID()
	}
	list := []any{}
	for _, x := range a.Streams {
		if slices.Contains(Streams, x) {
			list = append(list, x)
		}
	}
	e := s.insert("Integration", object{"uuid": a.UUID, "name": a.Name, "isEnabled": true, "isWidget": a.PageURI != "", "subscribedStreams": list,
		"streamUri": a.StreamURI, "pageUri": a.PageURI, "category": "telephony"})
	s.seeded[e] = true
	return a.UUID
}

// SetPage moves the page of an application.
func (s *Server) SetPage(uuid, uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.app(uuid); e != nil {
		e.data["pageUri"], e.data["isWidget"] = uri, uri != ""
	}
}

// Frames shows the pages of applications with a client, opened by the employee
// who is responsible for him, or by the first in the telephony settings.
func (s *Server) Frames(o sandbox.Object) []sandbox.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.get("Contractor", o.ID)
	if o.Kind != "contact" || e == nil {
		return nil
	}
	who := ""
	list, _ := e.data["responsibles"].([]any)
	for _, c := range s.order["CallUserConfig"] {
		l, _ := c.data["employee"].(object)
		if who == "" || refers(list, l) {
			who = str(l["id"])
		}
	}
	var out []sandbox.Frame
	for _, a := range s.order["Integration"] {
		page := str(a.data["pageUri"])
		if page == "" || who == "" {
			continue
		}
		q := url.Values{"applicationUuid": {str(a.data["uuid"])}, "userSign": {s.signOf(who)}, "phone": infos(e.data, "phone")}
		out = append(out, sandbox.Frame{Title: str(a.data["name"]) + " · " + s.person("Employee", who), URL: page + "?" + q.Encode()})
	}
	return out
}

// Sign is what Megaplan adds to the address of an application's page when the
// employee opens it.
func (s *Server) Sign(employee string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signOf(employee)
}

func (s *Server) signOf(employee string) string {
	for sign, who := range s.signs {
		if who == employee {
			return sign
		}
	}
	sign := rand.Text()
	s.signs[sign] = employee
	return sign
}

// app finds an application by uuid or number.
func (s *Server) app(key string) *entity {
	for _, e := range s.order["Integration"] {
		if e.id == key || e.data["uuid"] == key {
			return e
		}
	}
	return nil
}

func (c *call) application() (result, *failure) {
	e := c.s.app(c.args[0])
	if e == nil {
		return result{}, missing("Integration", c.args[0])
	}
	return result{one: e}, nil
}

// checkUserSign says who opened our page: 404 or, by a quirk, 403 for a sign
// that nobody has.
func (c *call) checkUserSign() (result, *failure) {
	if c.s.app(c.args[0]) == nil {
		return result{}, missing("Integration", c.args[0])
	}
	e := c.s.get("Employee", c.s.signs[c.args[1]])
	if e == nil {
		if c.s.quirks.SignForbidden {
			return result{}, forbidden("The sign is not valid")
		}
		return result{}, &failure{http.StatusNotFound, "", "The sign is not found"}
	}
	return result{one: e}, nil
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	const hex = "0123456789abcdef"
	var out []byte
	for i, x := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hex[x>>4], hex[x&15])
	}
	return string(out)
}
