package megaplan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

// object is a JSON object to be sent.
type object = map[string]any

// encodeQuery writes the query string, which is one JSON object (1.2).
func encodeQuery(q object) (string, error) {
	b, err := json.Marshal(q)
	return url.QueryEscape(string(b)), err
}

// link names an entity; Megaplan wants ids as text.
func link(contentType, id string) object { return object{"contentType": contentType, "id": id} }

func dateTime(t time.Time) object {
	return object{"contentType": "DateTime", "value": t.Format("2006-01-02T15:04:05-07:00")}
}

// dateOnly counts months from 0 (1.6 no. 2).
func dateOnly(t time.Time) object {
	return object{"contentType": "DateOnly", "year": t.Year(), "month": int(t.Month()) - 1, "day": t.Day()}
}

func intervalTime(from, to time.Time) object {
	return object{"contentType": "IntervalTime", "from": dateTime(from), "to": dateTime(to)}
}

// envelope is around every answer but the tokens'.
type envelope struct {
	Meta meta            `json:"meta"`
	Data json.RawMessage `json:"data"`
}

type meta struct {
	Status     crm.Text       `json:"status"`
	Errors     many[apiError] `json:"errors"`
	Pagination page           `json:"pagination"`
}

// apiError: either part may be missing or no text (1.4).
type apiError struct {
	Field   crm.Text `json:"field"`
	Message crm.Text `json:"message"`
}

// page is where a list was cut. Without a list it comes as an empty array.
type page struct {
	Known bool
	More  bool
}

// UnmarshalJSON takes an object, and anything else as "not paginated".
func (p *page) UnmarshalJSON(b []byte) error {
	*p = page{}
	var v struct {
		More *crm.Text `json:"hasMoreNext"`
	}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) && json.Unmarshal(b, &v) == nil && v.More != nil {
		*p = page{Known: true, More: v.More.Bool()}
	}
	return nil
}

// many reads a list, a single object in its place, and anything else as none.
// An element that cannot be read is left out.
type many[T any] []T

// UnmarshalJSON never fails (D-09).
func (m *many[T]) UnmarshalJSON(b []byte) error {
	*m = nil
	var raw []json.RawMessage
	switch b = bytes.TrimSpace(b); {
	case len(b) == 0:
	case b[0] == '[':
		_ = json.Unmarshal(b, &raw)
	case b[0] == '{':
		raw = []json.RawMessage{b}
	}
	for _, r := range raw {
		var v T
		if !bytes.Equal(r, []byte("null")) && json.Unmarshal(r, &v) == nil {
			*m = append(*m, v)
		}
	}
	return nil
}

// maybe reads an object, and anything else as absent.
type maybe[T any] struct{ V T }

// UnmarshalJSON never fails (D-09).
func (m *maybe[T]) UnmarshalJSON(b []byte) error {
	var v T
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) && json.Unmarshal(b, &v) == nil {
		m.V = v
	}
	return nil
}

// thing is what all entities have; a link is one with nothing more.
type thing struct {
	ContentType crm.Text `json:"contentType"`
	ID          crm.Text `json:"id"`
	Name        crm.Text `json:"name"`
	Type        crm.Text `json:"type"`
	Description crm.Text `json:"description"`
}

type moment struct {
	Value crm.Text `json:"value"`
}

func (m maybe[T]) get() T { return m.V }

func at(m maybe[moment]) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, string(m.get().Value))
	return t
}

type contactInfo struct {
	Type   crm.Text `json:"type"`
	Value  crm.Text `json:"value"`
	IsMain crm.Text `json:"isMain"`
}

// first returns the main value of a kind, else any.
func first(all []contactInfo, kind string) string {
	best := ""
	for _, ci := range all {
		if string(ci.Type) == kind && ci.Value != "" && (best == "" || ci.IsMain.Bool()) {
			best = string(ci.Value)
		}
	}
	return best
}

// classify says what an answer means. Megaplan puts the status into the body,
// too, and clients are to check both (1.3).
func classify(a crm.Answer) *fault.Error {
	if strings.HasPrefix(a.Path, tokenPath) {
		return classifyToken(a)
	}
	var e envelope
	_ = json.Unmarshal(a.Body, &e)
	status := a.Status
	if inner := int(e.Meta.Status.Int()); status >= 200 && status < 300 && inner >= 400 {
		status = inner
	}
	why := refused(e.Meta.Errors)
	switch {
	case status < 400:
		return nil
	case status == http.StatusUnauthorized:
		return &fault.Error{Kind: fault.Auth, Err: errors.New("the token is refused")}
	case status == http.StatusForbidden:
		return &fault.Error{Kind: fault.Forbidden, Err: why}
	case status == http.StatusUnprocessableEntity:
		return &fault.Error{Kind: fault.Invalid, Err: why}
	case status == http.StatusNotFound && !pointsAt(a.Path):
		return &fault.Error{Kind: fault.Temporary, Err: errors.New("this address does not answer as Megaplan does; check the address")}
	case status != a.Status && status == http.StatusTooManyRequests:
		return &fault.Error{Kind: fault.RateLimited, Err: why}
	case status != a.Status:
		kind := fault.Temporary
		if a.Write && status >= 500 {
			kind = fault.Uncertain
		}
		return &fault.Error{Kind: kind, Err: why}
	}
	return nil // HTTP's own rules
}

// pointsAt says whether the path names one object, which may be gone.
func pointsAt(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return strings.ContainsAny(path, "0123456789") || strings.HasSuffix(path, "/provider")
}

// refused is a refusal with its reasons. errors.Is(err, about("when")) asks
// whether it is about a field.
type refused []apiError

func (r refused) Error() string {
	var parts []string
	for _, e := range r {
		switch s := strings.TrimSpace(string(e.Message)); {
		case e.Field != "":
			parts = append(parts, strings.TrimSpace(string(e.Field)+": "+s))
		case s != "":
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return "Megaplan gave no reason"
	}
	return strings.Join(parts, "; ")
}

// Is answers for about.
func (r refused) Is(target error) bool {
	a, ok := target.(about)
	if !ok {
		return false
	}
	for _, e := range r {
		if strings.Contains(strings.ToLower(string(e.Field+" "+e.Message)), strings.ToLower(string(a))) {
			return true
		}
	}
	return false
}

// about is a target for errors.Is, see refused.
type about string

func (a about) Error() string { return string(a) }

// decode reads data into out after filling in related entities: in one answer
// only the first occurrence is in full, later ones are bare links (1.3).
func decode(data json.RawMessage, out any) error {
	if len(data) == 0 {
		return errors.New("no data")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	full := map[string]object{}
	index(v, full)
	if len(full) > 0 {
		v = fill(v, full, 0)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

func nameOf(o object) string {
	ct, _ := o["contentType"].(string)
	id := fmt.Sprint(o["id"])
	if ct == "" || o["id"] == nil || id == "" {
		return ""
	}
	return ct + "/" + id
}

// index collects the fullest form of every entity.
func index(v any, full map[string]object) {
	switch v := v.(type) {
	case []any:
		for _, it := range v {
			index(it, full)
		}
	case object:
		if n := nameOf(v); n != "" && len(v) > 2 && len(v) > len(full[n]) {
			full[n] = v
		}
		for _, it := range v {
			index(it, full)
		}
	}
}

// fill replaces bare links, a few levels deep, since entities point at each other.
func fill(v any, full map[string]object, depth int) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, it := range v {
			out[i] = fill(it, full, depth)
		}
		return out
	case object:
		if depth >= 5 {
			return v
		}
		if f := full[nameOf(v)]; f != nil && len(v) <= 2 {
			v = f
		}
		out := make(object, len(v))
		for k, it := range v {
			out[k] = fill(it, full, depth+1)
		}
		return out
	}
	return v
}

// list reads a whole list, page by page, at most maxPages.
func list[T any](ctx context.Context, c *client, op, path string, query object, maxPages int, key func(T) thing) ([]T, error) {
	const limit = 100
	q := object{"limit": limit}
	for k, v := range query {
		q[k] = v
	}
	seen := map[string]bool{}
	var out []T
	for range maxPages {
		var part many[T]
		pg, err := c.do(ctx, request{op: op, path: path, query: q}, &part)
		if err != nil {
			return nil, err
		}
		fresh := 0
		var last thing
		for _, it := range part {
			last = key(it)
			name := string(last.ContentType + "/" + last.ID)
			// The last of a page may come again as the first of the next.
			if last.ID != "" && seen[name] {
				continue
			}
			seen[name] = true
			fresh++
			out = append(out, it)
		}
		if pg.Known && !pg.More || !pg.Known && len(part) < limit || fresh == 0 || last.ID == "" || last.ContentType == "" {
			return out, nil
		}
		q["pageAfter"] = link(string(last.ContentType), string(last.ID))
	}
	return out, nil
}
