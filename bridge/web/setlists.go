package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"callbridge/bridge"
)

// column is one column of a list in the settings.
type column struct {
	Name   string // of the input: extension
	Type   string // text, email, tel, password, or select
	Values []string
}

// listForm is the page of employees, lines or users.
type listForm struct {
	form
	List    string
	Columns []column
	Rows    []listRow
	Count   int
}

type listRow struct {
	Name  string // employees[3]
	Cells []cell
	Fresh bool
}

type cell struct {
	column
	Input string
	Value string
}

var listColumns = map[string][]column{
	"employees": {{Name: "extension", Type: "text"}, {Name: "name", Type: "text"}, {Name: "email", Type: "email"}, {Name: "line", Type: "tel"},
		{Name: "card", Type: "select", Values: []string{"", "answer", "never"}}},
	"lines": {{Name: "number", Type: "tel"}, {Name: "name", Type: "text"}, {Name: "source.utm_source", Type: "text"}, {Name: "source.utm_medium", Type: "text"}, {Name: "source.utm_campaign", Type: "text"}},
	"users": {{Name: "login", Type: "text"}, {Name: "name", Type: "text"}, {Name: "role", Type: "select", Values: []string{"agent", "supervisor", "admin"}},
		{Name: "extension", Type: "text"}, {Name: "language", Type: "select", Values: []string{"", "ru", "en"}}, {Name: "password", Type: "password"},
		{Name: "hide_clients", Type: "select", Values: []string{"", "hidden"}}},
}

// freshRows is how many empty rows a list ends with.
const freshRows = 3

// maxRows bounds what one form may hold.
const maxRows = 5000

func (s *server) employeesPage(w http.ResponseWriter, r *http.Request) error {
	return s.listPage(w, r, "employees")
}

func (s *server) linesPage(w http.ResponseWriter, r *http.Request) error {
	return s.listPage(w, r, "lines")
}

func (s *server) usersPage(w http.ResponseWriter, r *http.Request) error {
	return s.listPage(w, r, "users")
}

func (s *server) listPage(w http.ResponseWriter, r *http.Request, list string) error {
	now, f, err := s.begin(r)
	if err != nil {
		return err
	}
	v := listForm{form: f, List: list, Columns: listColumns[list]}
	values := listValues(now, list)
	if r.Method == http.MethodPost {
		next, kept, err := readList(r, now, list, values)
		if err != nil {
			return err
		}
		done, err := s.finish(r, &v.form, next, list, func(path string) (string, bool) { return path, strings.HasPrefix(path, list+"[") })
		if err != nil {
			return err
		}
		if done {
			http.Redirect(w, r, "/settings/"+list+"?saved=1", http.StatusSeeOther)
			return nil
		}
		values = kept
	}
	for i := range len(values) + freshRows {
		row := listRow{Name: fmt.Sprintf("%s[%d]", list, i), Fresh: i >= len(values)}
		for k, c := range v.Columns {
			x := cell{column: c, Input: row.Name + "." + c.Name}
			if !row.Fresh {
				x.Value = values[i][k]
			}
			row.Cells = append(row.Cells, x)
		}
		v.Rows = append(v.Rows, row)
	}
	v.Count = len(v.Rows)
	return s.settingsRender(w, r, v.status(), "setlist.html", "set."+list, v)
}

// listValues are the rows of a list as texts, in the order of its columns.
func listValues(s bridge.Settings, list string) [][]string {
	var out [][]string
	switch list {
	case "employees":
		for _, e := range s.Employees {
			card := string(e.Card)
			if e.Card == bridge.CardAtRing {
				card = "" // the same
			}
			out = append(out, []string{e.Extension, e.Name, e.Email, e.Line, card})
		}
	case "lines":
		for _, x := range s.Lines {
			out = append(out, []string{x.Number, x.Name, x.Source["utm_source"], x.Source["utm_medium"], x.Source["utm_campaign"]})
		}
	case "users":
		for _, u := range s.Users {
			out = append(out, []string{u.Login, u.Name, string(u.Role), u.Extension, u.Language, "", map[bool]string{true: "hidden"}[u.HideClients]})
		}
	}
	return out
}

// readList makes settings of what was posted. A row goes only when its box was
// ticked; rows a cut form does not hold stay (D-14). kept are the rows as typed.
func readList(r *http.Request, now bridge.Settings, list string, had [][]string) (next bridge.Settings, kept [][]string, err error) {
	count := 0
	if _, err := fmt.Sscan(r.PostForm.Get("count"), &count); err != nil || count < 0 || count > maxRows {
		return now, nil, &apiError{Status: 422, Code: "missing", Field: "count"}
	}
	columns := listColumns[list]
	from := []int{} // index of the kept row in the stored list, -1: new
	for i := range max(count, len(had)) {
		name := fmt.Sprintf("%s[%d]", list, i)
		if r.PostForm.Get(name+".remove") != "" {
			continue
		}
		row, any := make([]string, len(columns)), false
		for k, c := range columns {
			if i < len(had) {
				row[k] = had[i][k]
			}
			if input := name + "." + c.Name; r.PostForm.Has(input) {
				if row[k] = r.PostForm.Get(input); c.Type != "password" {
					row[k] = strings.TrimSpace(row[k])
				}
			}
			any = any || row[k] != "" && c.Type != "select"
		}
		if i >= len(had) && !any {
			continue
		}
		kept = append(kept, row)
		if i < len(had) {
			from = append(from, i)
		} else {
			from = append(from, -1)
		}
	}
	next = now
	switch list {
	case "employees":
		next.Employees = nil
		for i, c := range kept {
			var e bridge.Employee
			if from[i] >= 0 {
				e = now.Employees[from[i]] // what the form does not show stays
			}
			e.Extension, e.Name, e.Email, e.Line, e.Card = c[0], c[1], c[2], c[3], bridge.CardMoment(c[4])
			next.Employees = append(next.Employees, e)
		}
	case "lines":
		next.Lines = nil
		for i, c := range kept {
			var x bridge.Line
			if from[i] >= 0 {
				x = now.Lines[from[i]]
			}
			next.Lines = append(next.Lines, lineOf(x, c))
		}
	case "users":
		next.Users = nil
		for i, c := range kept {
			var u bridge.User
			if from[i] >= 0 {
				u = now.Users[from[i]]
			}
			u.Login, u.Name, u.Role, u.Extension, u.Language, u.Password = c[0], c[1], bridge.Role(c[2]), c[3], c[4], c[5]
			u.HideClients = c[6] != ""
			next.Users = append(next.Users, u)
			kept[i] = slices.Clone(c)
			kept[i][5] = "" // a password is never sent back
		}
	}
	return next, kept, nil
}

func lineOf(x bridge.Line, c []string) bridge.Line {
	source := map[string]string{}
	for k, v := range x.Source {
		source[k] = v
	}
	for i, k := range []string{"utm_source", "utm_medium", "utm_campaign"} {
		if delete(source, k); c[2+i] != "" {
			source[k] = c[2+i]
		}
	}
	x.Number, x.Name, x.Source = c[0], c[1], source
	if len(source) == 0 {
		x.Source = nil
	}
	return x
}
