package retailcrm

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"callbridge/crm"
)

const (
	pageSize = 100 // the largest the CRM allows
	maxPages = 50
)

type pagination struct {
	Current crm.Text `json:"currentPage"`
	Total   crm.Text `json:"totalPageCount"`
}

// list reads all pages of a list. An answer without the list is a fault, so
// that it is not taken for an empty one (D-07).
func list[T any](ctx context.Context, c *client, op, path, field string, q url.Values) ([]T, error) {
	var out []T
	for page := 1; page <= maxPages; page++ {
		q.Set("limit", strconv.Itoa(pageSize))
		q.Set("page", strconv.Itoa(page))
		var ans map[string]json.RawMessage
		if err := c.api.Do(ctx, crm.Request{Op: op, Path: path, Query: q}, &ans); err != nil {
			return nil, err
		}
		raw, has := ans[field]
		var rows []T
		if !has || string(raw) == "null" || json.Unmarshal(raw, &rows) != nil {
			return nil, lost(op, false, "list of "+field)
		}
		out = append(out, rows...)
		var p pagination
		_ = json.Unmarshal(ans["pagination"], &p)
		if p.Total != "" && p.Total.Int() <= int64(page) || p.Total == "" && len(rows) < pageSize {
			return out, nil
		}
	}
	return out, nil
}

// form makes the body of a POST: the document as JSON in one form field.
func (c *client) form(name string, doc any) (url.Values, error) {
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	f := url.Values{name: {string(b)}}
	if s := c.site(); s != "" {
		f.Set("site", s)
	}
	return f, nil
}

// post sends doc in the form field name.
func (c *client) post(ctx context.Context, op, path, name string, doc any, extra url.Values, out any) error {
	f, err := c.form(name, doc)
	if err != nil {
		return invalid(op, "cannot write the request: %v", err)
	}
	for k, v := range extra {
		f[k] = v
	}
	return c.api.Do(ctx, crm.Request{Op: op, Method: "POST", Path: path, Form: f}, out)
}

// get reads one object by our key or by the CRM's id.
func (c *client) get(ctx context.Context, op, kind, by, id string, out any) error {
	q := url.Values{"by": {by}}
	if s := c.site(); s != "" {
		q.Set("site", s)
	}
	return c.api.Do(ctx, crm.Request{Op: op, Path: "/api/v5/" + kind + "/" + url.PathEscape(id), Query: q}, out)
}
