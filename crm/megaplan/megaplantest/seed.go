package megaplantest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"callbridge/crm"
)

// Seed is what the account holds from the start. Everything may be left out,
// as in real accounts (D-08, D-09).
type Seed struct {
	Employees    []Employee
	Clients      []Client
	Programs     []Program
	ClientFields []Field // custom fields of both kinds of client
	Applications []Application
}

// Employee is a user of the account. The first one gets the id 1000001.
type Employee struct {
	FirstName, LastName string
	Email, Phone        string
	Extension           string // as in the telephony settings; "" leaves him out of them
	Dismissed           bool
}

// Client is a person, or a company if Company is set.
type Client struct {
	FirstName, LastName string
	Company             string
	Phones              []string
	Email               string
	Responsible         string // e-mail of an employee
	Description         string
}

// Program is a scheme of deals. States are in the order of the funnel; the
// first is the entry, those named in Won and Lost end the deal.
type Program struct {
	Name   string
	States []string
	Won    []string
	Lost   []string
	Fields []Field
}

// Field is a custom field.
type Field struct {
	Name     string // Category183CustomFieldUtmSource
	Label    string // utm_source
	Kind     string // StringField (also ""), EnumField, BoolField, IntegerField, FloatField, DateField, MoneyField
	Enum     []string
	Required bool
}

func (f Field) check() check {
	switch f.Kind {
	case "EnumField":
		return oneOf(f.Enum...)
	case "BoolField":
		return boolean
	case "IntegerField", "FloatField":
		return number
	case "DateField":
		return dateOnly
	case "MoneyField":
		return money
	}
	return text
}

func (f Field) describe(id int) object {
	out := object{"contentType": cmp.Or(f.Kind, "StringField"), "id": fmt.Sprint(id + 1), "name": f.Name, "hrName": f.Label,
		"isRequired": f.Required, "isMultiple": false, "isSystem": false, "settings": []any{}}
	if f.Kind == "EnumField" {
		vals := []any{}
		for _, v := range f.Enum {
			vals = append(vals, v)
		}
		out["enumValues"] = vals
	}
	return out
}

// AddEmployee adds one while the server runs and returns his id.
func (s *Server) AddEmployee(e Employee) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addEmployee(e).id
}

// AddClient adds one while the server runs and returns its id.
func (s *Server) AddClient(c Client) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addClient(c).id
}

// AddProgram adds a scheme while the server runs and returns its id.
func (s *Server) AddProgram(p Program) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addProgram(p).id
}

// SeedContact adds a person with these numbers, for the conformance suite.
func (s *Server) SeedContact(name string, phones ...string) crm.ContactID {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.addClient(Client{FirstName: name, Phones: phones})
	s.seeded[e] = true
	return crm.ContactID(e.id)
}

// SetTelephony is what the employee's web phone keeps in his telephony settings.
func (s *Server) SetTelephony(employee, settings string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.configOf(employee); e != nil {
		e.data["settings"] = settings
	}
}

// Telephony returns it.
func (s *Server) Telephony(employee string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.configOf(employee); e != nil {
		return str(e.data["settings"])
	}
	return ""
}

func (s *Server) configOf(employee string) *entity {
	for _, e := range s.order["CallUserConfig"] {
		if l, _ := e.data["employee"].(object); str(l["id"]) == employee {
			return e
		}
	}
	return nil
}

// ClearUsers empties the list of employees, as a broken answer does (D-07).
func (s *Server) ClearUsers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order["Employee"] = nil
}

// DeleteClient removes a client, as a user of the account may.
func (s *Server) DeleteClient(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.get("Contractor", id); e != nil {
		s.remove(e)
	}
}

// MoveDeal puts a deal into the state of that name of its scheme, whatever
// the transitions, as an administrator may.
func (s *Server) MoveDeal(id, state string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	deal := s.get("Deal", id)
	if deal == nil {
		return false
	}
	for _, st := range s.order["ProgramState"] {
		if st.data["name"] == state && refers(st.data["program"], deal.data["program"]) {
			s.move(deal, st)
			return true
		}
	}
	return false
}

func (s *Server) remove(e *entity) {
	s.event("on_after_drop", e)
	delete(s.byID[e.ct], e.id)
	s.order[e.ct] = slices.DeleteFunc(s.order[e.ct], func(x *entity) bool { return x == e })
}

func (s *Server) plant(seed Seed) {
	for _, c := range [][2]string{{"Встреча", "meeting"}, {"Звонок", "call"}, {"Дело", "todo"}} {
		s.insert("TodoCategory", object{"name": c[0], "masterType": c[1]})
	}
	for _, c := range [][2]string{{"Запланировано", "scheduled"}, {"Завершено", "finished"}} {
		s.insert("TodoStatus", object{"name": c[0], "masterType": c[1]})
	}
	s.insert("ContractorType", object{"name": "Клиент"})
	s.fields["ContractorHuman"], s.fields["ContractorCompany"] = seed.ClientFields, seed.ClientFields
	for _, e := range seed.Employees {
		s.addEmployee(e)
	}
	s.me = s.employeeByEmail(s.opts.Username)
	if s.me == nil { // the log-in of a robot that no list shows
		s.me = &entity{ct: "Employee", id: "1000000", created: s.now(), updated: s.now(),
			data: object{"firstName": "Callbridge", "isWorking": true, "possibleActions": []any{"can_use_telephony"}}}
		if s.byID["Employee"] == nil {
			s.byID["Employee"] = map[string]*entity{}
		}
		s.byID["Employee"][s.me.id] = s.me
	}
	for _, c := range seed.Clients {
		s.addClient(c)
	}
	for _, a := range seed.Applications {
		s.addApplication(a)
	}
	programs := seed.Programs
	if programs == nil {
		programs = []Program{{Name: "Продажа", States: []string{"Новая", "В работе", "Оплачено", "Отказ"}, Won: []string{"Оплачено"}, Lost: []string{"Отказ"}}}
	}
	for _, p := range programs {
		s.addProgram(p)
	}
}

func infoList(email string, phones ...string) []any {
	out := []any{}
	for i, p := range phones {
		if p != "" {
			out = append(out, object{"contentType": "ContactInfo", "type": "phone", "value": digits(p), "isMain": i == 0})
		}
	}
	if email != "" {
		out = append(out, object{"contentType": "ContactInfo", "type": "email", "value": email, "isMain": true})
	}
	return out
}

func put(o object, k, v string) {
	if v != "" {
		o[k] = v
	}
}

func (s *Server) addEmployee(e Employee) *entity {
	o := object{"isWorking": !e.Dismissed, "canLogin": !e.Dismissed, "possibleActions": []any{"can_use_telephony"}}
	put(o, "firstName", e.FirstName)
	put(o, "lastName", e.LastName)
	if e.Email != "" || e.Phone != "" {
		o["contactInfo"] = infoList(e.Email, e.Phone)
	}
	out := s.insert("Employee", o)
	if e.Extension != "" {
		s.insert("CallUserConfig", object{"employee": out.link(), "internalNumber": e.Extension})
	}
	return out
}

func (s *Server) employeeByEmail(email string) *entity {
	for _, e := range s.order["Employee"] {
		for _, v := range infos(e.data, "email") {
			if email != "" && strings.EqualFold(v, email) {
				return e
			}
		}
	}
	return nil
}

// infos returns the values of one type in contactInfo.
func infos(o object, kind string) []string {
	var out []string
	list, _ := o["contactInfo"].([]any)
	for _, it := range list {
		if ci, _ := it.(object); ci["type"] == kind {
			out = append(out, str(ci["value"]))
		}
	}
	return out
}

func (s *Server) addClient(c Client) *entity {
	o := object{"contactInfo": infoList(c.Email, c.Phones...)}
	put(o, "description", c.Description)
	if e := s.employeeByEmail(c.Responsible); e != nil {
		o["responsibles"] = []any{e.link()}
	}
	if c.Company != "" {
		o["name"] = c.Company
		return s.insert("ContractorCompany", o)
	}
	put(o, "firstName", c.FirstName)
	put(o, "lastName", c.LastName)
	return s.insert("ContractorHuman", o)
}

func (s *Server) addProgram(p Program) *entity {
	prog := s.insert("Program", object{"name": p.Name, "isBpm": true, "possibleActions": []any{"can_create"}})
	s.fields["Program/"+prog.id] = p.Fields
	states, moves := []any{}, []any{}
	var all []*entity
	for i, name := range p.States {
		kind := "active"
		switch {
		case slices.Contains(p.Won, name):
			kind = "positive"
		case slices.Contains(p.Lost, name):
			kind = "negative"
		}
		st := s.insert("ProgramState", object{"name": name, "type": kind, "isEntry": i == 0, "program": prog.link()})
		states, all = append(states, st.link()), append(all, st)
	}
	for _, from := range all {
		for _, to := range all {
			if from != to && from.data["type"] == "active" {
				t := s.insert("ProgramTransition", object{"name": str(to.data["name"]), "from": from.link(), "to": to.link(), "enabled": true})
				moves = append(moves, t.link())
			}
		}
	}
	prog.data["states"], prog.data["transitions"] = states, moves
	return prog
}
