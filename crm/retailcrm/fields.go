package retailcrm

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// Kinds of the CRM's own fields that rules may write.
type fieldKind uint8

const (
	asText fieldKind = iota
	asInt
	asNumber
	asBool
)

var customerFields = map[string]fieldKind{
	"firstName": asText, "lastName": asText, "patronymic": asText, "email": asText, "birthday": asText, "sex": asText,
	"managerId": asInt, "vip": asBool, "bad": asBool, "personalDiscount": asNumber, "discountCardNumber": asText,
}

var orderFields = map[string]fieldKind{
	"firstName": asText, "lastName": asText, "patronymic": asText, "email": asText, "status": asText, "statusComment": asText,
	"orderMethod": asText, "customerComment": asText, "managerComment": asText, "managerId": asInt, "call": asBool,
	"additionalPhone": asText, "clientId": asText,
}

// fill puts values into doc: the CRM's own fields by name, UTM marks into the
// source, everything else into customFields, with or without that prefix.
func fill(doc map[string]any, own map[string]fieldKind, values map[string]string) error {
	custom, utm := map[string]any{}, map[string]string{}
	for name, v := range values {
		kind, isOwn := own[name]
		switch {
		case isOwn:
			typed, err := kind.read(v)
			if err != nil {
				return fmt.Errorf("field %s: %q is %w", name, v, err)
			}
			doc[name] = typed
		case strings.HasPrefix(name, "utm_"):
			utm[name] = v
		default:
			name = strings.TrimPrefix(strings.TrimPrefix(name, "customFields."), "custom_")
			custom[name] = v
		}
	}
	if src := source(utm); src != nil {
		doc["source"] = src
	}
	if len(custom) > 0 {
		doc["customFields"] = custom
	}
	return nil
}

// addSource puts the marks of where a client came from into the source; what a
// rule has put there itself goes first.
func addSource(doc map[string]any, utm map[string]string) {
	src := source(utm)
	if src == nil {
		return
	}
	own, _ := doc["source"].(map[string]string)
	maps.Copy(src, own)
	doc["source"] = src
}

func (k fieldKind) read(s string) (any, error) {
	s = strings.TrimSpace(s)
	switch k {
	case asInt:
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, nil
		}
		return nil, fmt.Errorf("no whole number")
	case asNumber:
		if f, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64); err == nil {
			return f, nil
		}
		return nil, fmt.Errorf("no number")
	case asBool:
		switch strings.ToLower(s) {
		case "1", "true", "yes", "да":
			return true, nil
		case "", "0", "false", "no", "нет":
			return false, nil
		}
		return nil, fmt.Errorf("neither yes nor no")
	}
	return s, nil
}
