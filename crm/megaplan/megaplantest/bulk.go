package megaplantest

import (
	"net/http"
	"slices"
	"strings"
)

// bulk carries out several calls in one request; the answers keep the order,
// each with its own status (3.5).
func (c *call) bulk() (result, *failure) {
	body, f := c.entityBody()
	if f != nil {
		return result{}, f
	}
	calls, ok := body["calls"].([]any)
	if body["contentType"] != "BulkApiCall" || !ok {
		return result{}, invalid("calls", "'stdClass' is not assignable to 'ApiCall[]'")
	}
	out := []any{}
	for _, it := range calls {
		one, ok := it.(object)
		method, url := str(one["method"]), str(one["url"])
		text, isText := one["body"].(string) // a JSON string, not an object
		if !ok || one["contentType"] != "ApiCall" || !strings.HasPrefix(url, root) || one["body"] != nil && !isText ||
			!slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, method) {
			return result{}, invalid("calls", "'stdClass' is not assignable to 'ApiCall'")
		}
		b, f := c.s.inner(method, url, text)
		if f != nil {
			out = append(out, object{"status": f.status, "body": refusal(f.status, f.field, f.message)})
			continue
		}
		out = append(out, object{"status": http.StatusOK, "body": string(b)})
	}
	return result{raw: out}, nil
}

// inner answers one call of a bulk request; who asks is known already.
func (s *Server) inner(method, address, body string) ([]byte, *failure) {
	path, raw, _ := strings.Cut(strings.TrimPrefix(address, root), "?")
	q, f := parseQuery(raw)
	if f != nil {
		return nil, f
	}
	var v any
	if method == http.MethodPost {
		if v, f = parseJSON([]byte(body)); f != nil {
			return nil, f
		}
	}
	return s.run(method, strings.TrimSuffix(path, "/"), q, v, false)
}

// byLinks returns the entities that can be seen, in no order; links to
// employees break it (1.6 no. 13).
func (c *call) byLinks() (result, *failure) {
	list, ok := c.body.([]any)
	if !ok {
		return result{}, invalid("", "'"+typeName(c.body)+"' is not assignable to 'BaseEntity[]'")
	}
	out := []any{}
	for _, it := range list {
		l, _ := it.(object)
		if l["contentType"] == "Employee" {
			return result{}, &failure{http.StatusInternalServerError, "", "Internal Server Error"}
		}
		if e := c.s.get(str(l["contentType"]), idOf(l["id"])); e != nil {
			out = append(out, e.link())
		}
	}
	slices.Reverse(out) // the order is not guaranteed
	return result{raw: out}, nil
}
