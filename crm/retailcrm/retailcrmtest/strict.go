package retailcrmtest

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check returns what is wrong with a value, "" if nothing.
type check func(v any) string

// shape lists the allowed fields of a document.
type shape map[string]check

const (
	notValid = "This value is not valid."
	extra    = "This form should not contain extra fields."
)

func text(v any) string {
	if _, ok := v.(string); !ok {
		return notValid
	}
	return ""
}

func whole(v any) string {
	if n, ok := v.(float64); !ok || n != math.Trunc(n) {
		return notValid
	}
	return ""
}

func natural(v any) string {
	if n, ok := v.(float64); !ok || n != math.Trunc(n) || n < 0 {
		return notValid
	}
	return ""
}

func numberValue(v any) string {
	if _, ok := v.(float64); !ok {
		return notValid
	}
	return ""
}

func boolean(v any) string {
	if _, ok := v.(bool); !ok {
		return notValid
	}
	return ""
}

func anyObject(v any) string {
	if _, ok := v.(object); !ok {
		return notValid
	}
	return ""
}

func short(v any) string {
	s, ok := v.(string)
	if !ok {
		return notValid
	}
	if len([]rune(s)) > 255 {
		return "This value is too long. It should have 255 characters or less."
	}
	return ""
}

func one(of ...string) check {
	return func(v any) string {
		if s, ok := v.(string); !ok || !slices.Contains(of, s) {
			return "The value you selected is not a valid choice."
		}
		return ""
	}
}

func stamped(layout string) check {
	return func(v any) string {
		s, ok := v.(string)
		if !ok {
			return notValid
		}
		// time.Parse takes "1" for "01"; the length does not.
		if _, err := time.Parse(layout, s); err != nil || len(s) != len(layout) {
			return notValid
		}
		return ""
	}
}

func absoluteURL(v any) string {
	s, ok := v.(string)
	if u, err := url.Parse(s); !ok || err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "This value is not a valid URL."
	}
	return ""
}

func listOf(c check) check {
	return func(v any) string {
		all, ok := v.([]any)
		if !ok {
			return notValid
		}
		for _, e := range all {
			if msg := c(e); msg != "" {
				return msg
			}
		}
		return ""
	}
}

func objectOf(s shape) check {
	return func(v any) string {
		o, ok := v.(object)
		if !ok {
			return notValid
		}
		for field, msg := range s.errors(o) {
			return field + ": " + msg
		}
		return ""
	}
}

// errors returns field to fault; the map is empty if all is well.
func (s shape) errors(o object) map[string]string {
	errs := map[string]string{}
	for k, v := range o {
		c, known := s[k]
		if !known {
			errs[k] = extra
			continue
		}
		if msg := c(v); msg != "" {
			errs[k] = msg
		}
	}
	return errs
}

var sourceShape = objectOf(shape{"source": text, "medium": text, "campaign": text, "keyword": text, "content": text})

// customValues accepts the values of custom fields.
func customValues(v any) string {
	o, ok := v.(object)
	if !ok {
		return notValid
	}
	for k, e := range o {
		if _, nested := e.(object); nested || k == "" {
			return notValid
		}
	}
	return ""
}

// filters is the list of filters a method knows, with how to read them.
type filters map[string]check

func queryBool(v any) string {
	if v != "0" && v != "1" {
		return notValid
	}
	return ""
}

func queryInt(v any) string {
	if _, err := strconv.Atoi(v.(string)); err != nil {
		return notValid
	}
	return ""
}

var filterName = regexp.MustCompile(`^filter\[([A-Za-z]+)\](\[[A-Za-z0-9_]*\])*$`)

// page reads limit, page and filters, strictly.
func (r *request) page(known filters) (limit, page int, f map[string][]string, rep *reply) {
	refuse := func(field, msg string) (int, int, map[string][]string, *reply) {
		rp := fail(http.StatusBadRequest, inputParams, object{"children[" + field + "]": msg})
		return 0, 0, nil, &rp
	}
	limit, page, f = 20, 1, map[string][]string{}
	if s := r.q.Get("limit"); s != "" {
		if !slices.Contains([]string{"20", "50", "100"}, s) {
			return refuse("limit", "The value you selected is not a valid choice.")
		}
		limit, _ = strconv.Atoi(s)
	}
	if s := r.q.Get("page"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return refuse("page", notValid)
		}
		page = n
	}
	for k, vals := range r.q {
		if !strings.HasPrefix(k, "filter") {
			continue
		}
		m := filterName.FindStringSubmatch(k)
		if m == nil {
			return refuse(k, notValid)
		}
		c, isKnown := known[m[1]]
		if !isKnown {
			if r.f.opts.Lenient {
				continue
			}
			return refuse(m[1], extra)
		}
		for _, v := range vals {
			if msg := c(v); msg != "" {
				return refuse(m[1], msg)
			}
			f[m[1]] = append(f[m[1]], v)
		}
	}
	return limit, page, f, nil
}

// paged cuts a list and describes the pages.
func paged[T any](all []T, limit, page int) ([]T, object) {
	total := len(all)
	from := min((page-1)*limit, total)
	out := all[from:min(from+limit, total)]
	if out == nil {
		out = []T{}
	}
	return out, object{"limit": limit, "totalCount": total, "currentPage": page, "totalPageCount": (total + limit - 1) / limit}
}

// copyOf makes an independent copy in the form JSON has.
func copyOf(o object) object {
	b, err := json.Marshal(o)
	if err != nil {
		panic(fmt.Sprintf("retailcrmtest: %v", err))
	}
	var out object
	if err := json.Unmarshal(b, &out); err != nil {
		panic(fmt.Sprintf("retailcrmtest: %v", err))
	}
	return out
}

func str(v any) string { s, _ := v.(string); return s }

func strs(all []any) []string {
	var out []string
	for _, v := range all {
		out = append(out, str(v))
	}
	return out
}

func oneOrMany(errs map[string]string) any {
	out := object{}
	for k, v := range errs {
		out[k] = v
	}
	return out
}
