package crm

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Text reads a string from whatever a CRM writes there: a string, a number, a
// boolean; null, lists and objects give "". It never fails (D-09).
type Text string

// UnmarshalJSON never returns an error.
func (t *Text) UnmarshalJSON(b []byte) error {
	*t = ""
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return nil
	}
	switch b[0] {
	case '"':
		var s string
		if json.Unmarshal(b, &s) == nil {
			*t = Text(s)
		}
	case '{', '[', 'n':
	default:
		*t = Text(b)
	}
	return nil
}

// Int returns the whole number in t, 0 if there is none.
func (t Text) Int() int64 {
	s, _, _ := strings.Cut(string(t), ".")
	n, _ := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return n
}

// Float returns the number in t, 0 if there is none.
func (t Text) Float() float64 {
	f, _ := strconv.ParseFloat(strings.TrimSpace(string(t)), 64)
	return f
}

// Bool says whether t means yes: true, or a number that is not 0.
func (t Text) Bool() bool { return t == "true" || t.Float() != 0 }

// Map reads an object and takes an empty list, which PHP writes for an empty
// map, or null, as an empty one.
type Map[V any] map[string]V

// UnmarshalJSON accepts an object, and anything else as empty.
func (m *Map[V]) UnmarshalJSON(b []byte) error {
	*m = nil
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	var v map[string]V
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*m = v
	return nil
}
