package megaplantest

import (
	"encoding/json"
	"slices"
	"strings"
)

// asNumber reads a number, or the value of an amount of money.
func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		x, err := v.Float64()
		return x, err == nil
	case int:
		return float64(v), true
	case object:
		return asNumber(v["value"])
	}
	return 0, false
}

// numbers compiles the value of a FilterTermNumber.
func numbers(comparison string, value any) (func(float64) bool, *failure) {
	bad := invalid("filter", "value is not a number")
	if comparison == "interval" {
		o, _ := value.(object)
		from, ok1 := asNumber(o["from"])
		to, ok2 := asNumber(o["to"])
		if o["contentType"] != "IntervalNumbers" || !ok1 || !ok2 {
			return nil, invalid("filter", "'"+typeName(value)+"' is not assignable to 'IntervalNumbers'")
		}
		return func(x float64) bool { return x >= from && x <= to }, nil
	}
	if comparison == "one_of" {
		items, ok := value.([]any)
		if !ok {
			return nil, bad
		}
		return func(x float64) bool {
			return slices.ContainsFunc(items, func(it any) bool { y, ok := asNumber(it); return ok && x == y })
		}, nil
	}
	raw, isNumber := value.(json.Number)
	want, ok := asNumber(value)
	if !isNumber || !ok {
		return nil, bad
	}
	return func(x float64) bool {
		switch strings.TrimPrefix(comparison, "not_") {
		case "less":
			return x < want
		case "less_eq":
			return x <= want
		case "more":
			return x > want
		case "more_eq":
			return x >= want
		case "contains":
			b, err := json.Marshal(x)
			return err == nil && strings.Contains(string(b), raw.String())
		}
		return x == want
	}, nil
}

var (
	dateModes = []string{"past", "current", "next", "before", "before_or_equal", "later", "later_or_equal", "later_on", "before_on", "later_from", "before_from"}
	dateUnits = []string{"second", "minute", "hour", "day", "workDay", "week", "month", "quarter", "year"}
)

// dateValue checks a FilterTermDateValue.
func dateValue(o object) *failure {
	if !slices.Contains(dateModes, str(o["mode"])) {
		return invalid("filter", "mode is not one of "+strings.Join(dateModes, ", "))
	}
	if u, given := o["unit"]; given && !slices.Contains(dateUnits, str(u)) {
		return invalid("filter", "unit is not one of "+strings.Join(dateUnits, ", "))
	}
	return nil
}
