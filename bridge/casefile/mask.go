package casefile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// tail is how many last digits of a number are replaced. What is before them
// tells the country and the kind of number, which the replay needs.
const tail = 7

// mask replaces personal data, the same by the same.
type mask struct {
	tails  map[string]string // keyOf a client's number → digits that mean nobody
	names  map[string]string
	order  []string // names, longest first
	emails map[string]string
	texts  map[string]string
}

func newMask(f *File, names []string) *mask {
	m := &mask{tails: map[string]string{}, names: map[string]string{}, emails: map[string]string{}, texts: map[string]string{}}
	own := map[string]bool{}
	for _, n := range ownNumbers(f) {
		if d := digitsOf(n); len(d) >= tail {
			own[keyOf(d)] = true
		}
	}
	add := func(text string) {
		for _, run := range digitRuns.FindAllString(text, -1) {
			if len(run) < tail || len(run) > 15 {
				continue
			}
			t := keyOf(run)
			if _, known := m.tails[t]; !known && !own[t] {
				m.tails[t] = fmt.Sprintf("%0*d", tail, len(m.tails)+1)
			}
		}
	}
	add(string(f.Call.Client))
	add(digitsOf(f.Call.ClientRaw))
	names = append(names, f.Call.ClientName)
	for i := range f.Events {
		e := &f.Events[i].Event
		add(e.Dialled)
		for _, c := range channelsOf(e) {
			for _, n := range []string{c.Number, c.Other, c.Exten} {
				add(n)
			}
			names = append(names, c.CallerNm)
		}
	}
	for _, t := range f.Call.Transfers {
		add(t.To)
	}
	for _, e := range f.Settings.Employees {
		names = append(names, e.Name)
	}
	for _, n := range names {
		n = strings.TrimSpace(n)
		if utf8.RuneCountInString(n) < 3 || strings.Trim(n, "+0123456789 ()-") == "" || m.names[n] != "" {
			continue
		}
		m.names[n] = fmt.Sprintf("Name %d", len(m.names)+1)
	}
	m.order = slices.SortedFunc(maps.Keys(m.names), func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return m
}

// ownNumbers are those of the company: no personal data, and rules name them.
func ownNumbers(f *File) []string {
	out := []string{f.Call.Line}
	for _, l := range f.Settings.Lines {
		out = append(out, l.Number)
	}
	for _, in := range f.Settings.Integrations {
		out = append(out, in.ClickToCall.Number)
		out = append(out, in.Lines...)
	}
	return out
}

var (
	digitRuns = regexp.MustCompile(`\d+`)
	spelled   = regexp.MustCompile(`\d[\d \x{a0}()-]{5,24}\d`)
	emailForm = regexp.MustCompile(`[\pL\pN._%+*-]+@[\pL\pN-]+(\.[\pL\pN-]+)+`)
	// private are the names of fields of CRMs that hold what somebody wrote or
	// who somebody is.
	private = regexp.MustCompile(`(?i)^(first|last|middle|full|short|display)?_?name$|patronymic|surname|email|address|birth|comment|^note|description|^text$|customerComment|managerComment|^subject$|^content$|login|username`)
)

// keyOf is the part of a number that all its spellings with an area code share.
func keyOf(digits string) string {
	if len(digits) > 10 {
		return digits[len(digits)-10:]
	}
	return digits
}

func digitsOf(s string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, s)
}

// document masks a whole file.
func (m *mask) document(plain []byte) ([]byte, error) {
	var v map[string]any
	if err := decode(plain, &v); err != nil {
		return nil, err
	}
	for k, part := range v {
		v[k] = m.walk(part, k, false)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // ids are longer than a float
	return d.Decode(v)
}

// walk masks a JSON value. foreign is true inside what a CRM was told or said,
// where fields are judged by their names.
func (m *mask) walk(v any, key string, foreign bool) any {
	switch x := v.(type) {
	case map[string]any:
		for k, part := range x {
			x[k] = m.walk(part, k, foreign)
		}
		return x
	case []any:
		for i := range x {
			x[i] = m.walk(x[i], key, foreign)
		}
		return x
	case json.Number:
		if s := m.numbers(x.String()); s != x.String() {
			return json.Number(s)
		}
		return x
	case string:
		switch {
		case !foreign && (key == "request" || key == "response"):
			return m.traffic(x)
		case foreign && x != "" && private.MatchString(key):
			return m.private(x)
		}
		return m.text(x)
	}
	return v
}

// text masks numbers, e-mails and names in a text.
func (m *mask) text(s string) string {
	if s == "" {
		return s
	}
	s = emailForm.ReplaceAllStringFunc(s, func(e string) string {
		e = strings.ToLower(e)
		if m.emails[e] == "" {
			m.emails[e] = fmt.Sprintf("person%d@example.org", len(m.emails)+1)
		}
		return m.emails[e]
	})
	s = m.numbers(s)
	for _, n := range m.order {
		s = strings.ReplaceAll(s, n, m.names[n])
	}
	return s
}

func (m *mask) numbers(s string) string {
	s = digitRuns.ReplaceAllStringFunc(s, m.digits)
	return spelled.ReplaceAllStringFunc(s, m.digits)
}

// digits replaces the last digits of a number that is written with or without
// signs between.
func (m *mask) digits(run string) string {
	d := digitsOf(run)
	if len(d) < tail {
		return run
	}
	instead, ok := m.tails[keyOf(d)]
	if !ok {
		return run
	}
	out, left := []byte(run), tail
	for i := len(out) - 1; i >= 0 && left > 0; i-- {
		if out[i] >= '0' && out[i] <= '9' {
			left--
			out[i] = instead[left]
		}
	}
	return string(out)
}

// private replaces a whole value.
func (m *mask) private(s string) string {
	if t := m.text(s); t != s && len(m.text(s)) < 24 {
		return t // a name or number that is known keeps its mask
	}
	if m.texts[s] == "" {
		m.texts[s] = fmt.Sprintf("masked %d", len(m.texts)+1)
	}
	return m.texts[s]
}

// traffic masks a request or an answer: lines of JSON, of forms, and others.
func (m *mask) traffic(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = m.line(line)
	}
	return strings.Join(lines, "\n")
}

func (m *mask) line(line string) string {
	if t, ok := m.json(line); ok {
		return t
	}
	method, rest, found := strings.Cut(line, " ")
	if found && strings.HasPrefix(rest, "/") {
		path, query, _ := strings.Cut(rest, "?")
		if query == "" {
			return m.text(line)
		}
		return method + " " + m.text(path) + "?" + m.form(query)
	}
	if strings.Contains(line, "=") && !strings.Contains(line, " ") {
		return m.form(line)
	}
	return m.text(line)
}

func (m *mask) json(s string) (string, bool) {
	if s = strings.TrimSpace(s); s == "" || s[0] != '{' && s[0] != '[' {
		return s, false
	}
	var v any
	if decode([]byte(s), &v) != nil {
		return s, false
	}
	b, err := json.Marshal(m.walk(v, "", true))
	return string(b), err == nil
}

func (m *mask) form(s string) string {
	pairs := strings.Split(s, "&")
	for i, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok {
			continue
		}
		plain, err := url.QueryUnescape(v)
		if err != nil {
			plain = v
		}
		key, err := url.QueryUnescape(k)
		if err != nil {
			key = k
		}
		last := key
		if at := strings.LastIndexByte(strings.TrimSuffix(key, "]"), '['); at >= 0 {
			last = strings.TrimSuffix(key[at+1:], "]")
		}
		switch t, isJSON := m.json(plain); {
		case isJSON:
			plain = t
		case plain != "" && private.MatchString(last):
			plain = m.private(plain)
		default:
			plain = m.text(plain)
		}
		pairs[i] = k + "=" + url.QueryEscape(plain)
	}
	return strings.Join(pairs, "&")
}
