package megaplan

import (
	"context"
	"encoding/json"
	"html"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

// descriptor tells about a custom field (3.4).
type descriptor struct {
	ContentType crm.Text       `json:"contentType"`
	Name        crm.Text       `json:"name"`
	Label       crm.Text       `json:"hrName"`
	Enum        many[crm.Text] `json:"enumValues"`
	Multiple    crm.Text       `json:"isMultiple"`
}

const cacheLife = time.Hour

// cache holds small lists of the account that change rarely.
type cache struct {
	mu  sync.Mutex
	all map[string]cached
}

type cached struct {
	value any
	until time.Time
}

func (k *cache) get(name string, now time.Time) any {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.all[name]; ok && now.Before(e.until) {
		return e.value
	}
	return nil
}

func (k *cache) put(name string, v any, until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = map[string]cached{}
	}
	k.all[name] = cached{v, until}
}

func (k *cache) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, name)
}

// remembered reads a list through the cache. An empty list is not kept.
func remembered[T any](ctx context.Context, c *client, op, path string, fresh bool) ([]T, error) {
	if !fresh {
		if v, ok := c.cache.get(path, c.env.Now()).([]T); ok {
			return v, nil
		}
	}
	var out many[T]
	if _, err := c.do(ctx, request{op: op, path: path}, &out); err != nil {
		return nil, err
	}
	if len(out) > 0 {
		c.cache.put(path, []T(out), c.env.Now().Add(cacheLife))
	}
	return out, nil
}

// customFields writes our texts as values of the account's own fields. A name
// nobody knows is a fault if strict, else it is left out and logged.
func (c *client) customFields(ctx context.Context, path string, fields map[string]string, strict bool) (object, error) {
	out := object{}
	if len(fields) == 0 {
		return out, nil
	}
	known, err := remembered[descriptor](ctx, c, "read field list", path, false)
	if err != nil {
		if k := fault.KindOf(err); !strict && (k == fault.Forbidden || k == fault.Invalid || k == fault.Gone) {
			c.env.Log.WarnContext(ctx, "the account does not show its fields; additional fields are left out", "integration", c.env.Integration, "err", err)
			return out, nil
		}
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		i := slices.IndexFunc(known, func(d descriptor) bool {
			return string(d.Name) == name || strings.EqualFold(string(d.Label), name)
		})
		if i >= 0 && known[i].Name != "" {
			if v := value(known[i], fields[name]); v != nil {
				out[string(known[i].Name)] = v
				continue
			}
		}
		text := "has no value %q"
		if i < 0 {
			text = "does not exist in Megaplan; make it there or correct the name (value %q)"
		}
		if strict {
			return nil, fault.New(fault.Invalid, "megaplan: write fields", "the field %q "+text, name, fields[name])
		}
		c.env.Log.WarnContext(ctx, "a field is left out", "integration", c.env.Integration, "field", name, "known", i >= 0)
	}
	return out, nil
}

// value is text in the form the field wants, nil if it cannot be.
func value(d descriptor, text string) any {
	text = strings.TrimSpace(text)
	switch d.ContentType {
	case "BoolField":
		switch strings.ToLower(text) {
		case "true", "1", "yes", "да":
			return true
		case "false", "0", "no", "нет", "":
			return false
		}
		return nil
	case "IntegerField", "BigIntField", "FloatField", "RatingField":
		s := strings.Replace(text, ",", ".", 1)
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return nil
		}
		return json.Number(s)
	case "MoneyField":
		s := strings.Replace(text, ",", ".", 1)
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return nil
		}
		return object{"contentType": "Money", "value": json.Number(s)}
	case "DateField":
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return nil
		}
		return dateOnly(t)
	case "DateTimeField":
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil
		}
		return dateTime(t)
	case "EnumField":
		for _, e := range d.Enum {
			if strings.EqualFold(string(e), text) {
				if d.Multiple.Bool() {
					return []string{string(e)}
				}
				return string(e)
			}
		}
		return nil
	case "StringField", "":
		return html.EscapeString(text)
	}
	return nil // links, files, durations: a call has none
}
