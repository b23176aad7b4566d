package megaplantest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// object is one JSON object.
type object = map[string]any

// check looks at one value of a body: it returns the value in the form in
// which Megaplan keeps it, and what is wrong with it ("" if nothing).
type check func(s *Server, v any) (any, string)

// property is one field of an entity.
type property struct {
	check    check
	required bool // on creation
	short    bool // shown in lists without being asked for
	sortable bool
	readOnly bool
}

// schema is one content type.
type schema map[string]property

func text(_ *Server, v any) (any, string) {
	if _, ok := v.(string); !ok {
		return nil, fmt.Sprintf("'%s' is not assignable to 'string'", typeName(v))
	}
	return v, ""
}

func boolean(_ *Server, v any) (any, string) {
	if _, ok := v.(bool); !ok {
		return nil, fmt.Sprintf("'%s' is not assignable to 'boolean'", typeName(v))
	}
	return v, ""
}

func number(_ *Server, v any) (any, string) {
	if _, ok := v.(json.Number); !ok {
		return nil, fmt.Sprintf("'%s' is not assignable to 'number'", typeName(v))
	}
	return v, ""
}

func anything(_ *Server, v any) (any, string) { return v, "" }

func oneOf(names ...string) check {
	return func(_ *Server, v any) (any, string) {
		if s, ok := v.(string); !ok || !slices.Contains(names, s) {
			return nil, fmt.Sprintf("value is not one of %s", strings.Join(names, ", "))
		}
		return v, ""
	}
}

func listOf(c check) check {
	return func(s *Server, v any) (any, string) {
		items, ok := v.([]any)
		if !ok {
			return nil, fmt.Sprintf("'%s' is not assignable to 'array'", typeName(v))
		}
		out := make([]any, 0, len(items))
		for _, it := range items {
			n, p := c(s, it)
			if p != "" {
				return nil, p
			}
			out = append(out, n)
		}
		return out, ""
	}
}

// link takes a link, or a whole entity in its place, and keeps the link. The
// entity must exist.
func link(types ...string) check {
	want := strings.Join(types, "|")
	return func(s *Server, v any) (any, string) {
		o, ok := v.(object)
		if !ok {
			return nil, fmt.Sprintf("'%s' is not assignable to '%s'", typeName(v), want)
		}
		ct, _ := o["contentType"].(string)
		if ct == "" {
			return nil, fmt.Sprintf("'stdClass' is not assignable to '%s'", want)
		}
		if !slices.Contains(types, ct) {
			return nil, fmt.Sprintf("'%s' is not assignable to '%s'", ct, want)
		}
		id := idOf(o["id"])
		if id == "" || s.get(ct, id) == nil {
			return nil, fmt.Sprintf("%s with id %q is not found", ct, id)
		}
		return object{"contentType": ct, "id": id}, ""
	}
}

// value checks a typed value: the content type must be given, and only the
// listed keys may be there.
func value(ct string, required []string, keys map[string]check) check {
	return func(s *Server, v any) (any, string) {
		o, ok := v.(object)
		if !ok {
			return nil, fmt.Sprintf("'%s' is not assignable to '%s'", typeName(v), ct)
		}
		switch got, _ := o["contentType"].(string); got {
		case ct:
		case "":
			return nil, fmt.Sprintf("'stdClass' is not assignable to '%s'", ct)
		default:
			return nil, fmt.Sprintf("'%s' is not assignable to '%s'", got, ct)
		}
		out := object{"contentType": ct}
		for k, raw := range o {
			if k == "contentType" {
				continue
			}
			c, ok := keys[k]
			if !ok {
				return nil, extraField(k, ct)
			}
			if raw == nil {
				continue
			}
			n, p := c(s, raw)
			if p != "" {
				return nil, k + ": " + p
			}
			out[k] = n
		}
		for _, k := range required {
			if _, ok := out[k]; !ok {
				return nil, fmt.Sprintf("field %q of %s is required", k, ct)
			}
		}
		return out, ""
	}
}

func either(want string, cs ...check) check {
	return func(s *Server, v any) (any, string) {
		o, _ := v.(object)
		ct, _ := o["contentType"].(string)
		if ct == "" {
			return nil, fmt.Sprintf("'stdClass' is not assignable to '%s'", want)
		}
		problem := ""
		for _, c := range cs {
			n, p := c(s, v)
			if p == "" {
				return n, ""
			}
			if problem == "" || !strings.Contains(p, "is not assignable to") {
				problem = p
			}
		}
		return nil, problem
	}
}

func moment(_ *Server, v any) (any, string) {
	t, err := time.Parse(time.RFC3339Nano, fmt.Sprint(v))
	if err != nil {
		return nil, "value is not an ISO 8601 time"
	}
	return stamp(t), ""
}

// month counts from 0 (quirk 2 of the reference).
func between(low, high int64) check {
	return func(_ *Server, v any) (any, string) {
		n, ok := v.(json.Number)
		i, err := n.Int64()
		if !ok || err != nil || i < low || i > high {
			return nil, fmt.Sprintf("value is not between %d and %d", low, high)
		}
		return v, ""
	}
}

// digits is how telephone numbers are kept: figures only.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

func contactInfo(s *Server, v any) (any, string) {
	out, p := contactInfoShape(s, v)
	if p != "" {
		return nil, p
	}
	o := out.(object)
	if o["type"] == "phone" {
		if o["value"] = digits(fmt.Sprint(o["value"])); o["value"] == "" {
			return nil, "value of a phone holds no figures"
		}
	}
	if _, ok := o["isMain"]; !ok {
		o["isMain"] = false
	}
	return o, ""
}

var (
	dateTime = value("DateTime", []string{"value"}, map[string]check{"value": moment})
	dateOnly = value("DateOnly", []string{"year", "month", "day"}, map[string]check{
		"year": between(1, 9999), "month": between(0, 11), "day": between(1, 31)})
	intervalTime  = value("IntervalTime", nil, map[string]check{"from": dateTime, "to": dateTime})
	intervalDates = value("IntervalDates", nil, map[string]check{"from": dateOnly, "to": dateOnly})
	whenValue     = either("IntervalDates|IntervalTime", intervalTime, intervalDates)
	money         = value("Money", []string{"value"}, map[string]check{"value": number, "currency": text, "valueInMain": number, "rate": number})

	contactInfoShape = value("ContactInfo", []string{"type", "value"}, map[string]check{
		"type":  oneOf("email", "jabber", "icq", "skype", "link", "phone", "telegram", "whatsapp", "viber", "instagram", "max_messenger"),
		"value": text, "comment": text, "isMain": boolean})
	participant = value("Participant", []string{"subject"}, map[string]check{
		"subject": link("Employee", "ContractorHuman", "ContractorCompany"),
		"status":  oneOf("accepted", "requested", "rejected")})
)

var clientTypes = []string{"ContractorHuman", "ContractorCompany"}

// people may stand wherever a person is named.
var people = link("Employee", "ContractorHuman", "ContractorCompany")

func contractor(own schema) schema {
	out := schema{
		"type":         {check: link("ContractorType")},
		"responsibles": {check: listOf(link("Employee", "Group", "ContractorHuman", "ContractorCompany"))},
		"contactInfo":  {check: listOf(contactInfo)},
		"description":  {check: text},
		"status":       {check: anything}, "advertisingWay": {check: anything}, "activityType": {check: anything},
		"tags": {check: anything}, "isPublic": {check: boolean},
		"name":        {check: text, readOnly: true, short: true, sortable: true},
		"timeCreated": {readOnly: true, sortable: true}, "timeUpdated": {readOnly: true, sortable: true},
		"isDropped": {readOnly: true}, "callsCount": {readOnly: true},
	}
	for k, p := range own {
		out[k] = p
	}
	return out
}

// schemas are all content types that the fake knows.
var schemas = map[string]schema{
	"Employee": {
		"uid": {readOnly: true}, "firstName": {check: text, short: true}, "lastName": {check: text, short: true}, "middleName": {check: text},
		"name": {readOnly: true, short: true}, "position": {check: text, short: true}, "contactInfo": {check: listOf(contactInfo)},
		"isWorking": {readOnly: true}, "canLogin": {readOnly: true}, "department": {check: anything},
		"status": {check: anything}, "login": {readOnly: true}, "timeCreated": {readOnly: true}, "possibleActions": {readOnly: true},
		"isOnline": {readOnly: true}, "gender": {check: anything},
	},
	"ContractorHuman": contractor(schema{
		"firstName": {check: text}, "middleName": {check: text}, "lastName": {check: text}, "company": {check: link("ContractorCompany")},
		"position": {check: text}, "gender": {check: oneOf("male", "female", "not-specified")}, "birthday": {check: dateOnly},
	}),
	"ContractorCompany": contractor(schema{
		"name": {check: text, required: true, short: true, sortable: true},
	}),
	"ContractorType": {"name": {readOnly: true, short: true}, "requiredFields": {readOnly: true, short: true}},
	"CallUserConfig": {"employee": {check: link("Employee"), required: true, short: true}, "internalNumber": {check: text, short: true}, "settings": {check: text, short: true}},
	"CallInfo": {
		"providerId": {check: anything, short: true}, "fromPhone": {check: text, short: true}, "toPhone": {check: text, short: true},
		"fromUser": {check: people, short: true}, "toUser": {check: people, short: true},
		"type":     {check: oneOf("unknown", "in", "out", "miss", "fail"), short: true},
		"state":    {check: oneOf("unknown", "calling", "talking", "finished", "hold"), short: true},
		"timeFrom": {check: dateTime, short: true, sortable: true}, "timeTo": {check: dateTime, short: true}, "recordLinks": {check: listOf(text), short: true},
	},
	"Todo": {
		"name": {check: text, required: true, short: true}, "category": {check: link("TodoCategory"), short: true}, "status": {check: link("TodoStatus"), short: true},
		"responsible": {check: people, short: true}, "when": {check: whenValue, short: true}, "description": {check: text},
		"participants": {check: listOf(participant)}, "contactInfo": {check: listOf(contactInfo)}, "place": {check: text},
		"relations":    {check: listOf(link("CallInfo", "ContractorCompany", "ContractorHuman", "Deal", "Project", "Task"))},
		"isNeedResult": {check: boolean}, "resultComment": {check: text}, "timeCreated": {readOnly: true, sortable: true}, "timeFinished": {readOnly: true},
		"isDropped": {readOnly: true}, "isOverdue": {readOnly: true}, "userCreated": {readOnly: true},
	},
	"Integration": {"uuid": {readOnly: true, short: true}, "identifier": {readOnly: true}, "name": {check: text, required: true, short: true}, "description": {check: text},
		"isEnabled": {readOnly: true, short: true}, "isWidget": {check: boolean, short: true}, "subscribedStreams": {readOnly: true, short: true}, "streamUri": {check: text, short: true},
		"preferencesUri": {check: text}, "pageUri": {check: text, short: true}, "category": {check: text, short: true}},
	"File":         {"name": {readOnly: true, short: true}, "extension": {readOnly: true, short: true}, "size": {readOnly: true, short: true}, "path": {readOnly: true, short: true}, "mimeType": {readOnly: true, short: true}},
	"TodoCategory": {"name": {readOnly: true, short: true}, "masterType": {readOnly: true, short: true}},
	"TodoStatus":   {"name": {readOnly: true, short: true}, "masterType": {readOnly: true, short: true}},
	"Program": {"name": {readOnly: true, short: true, sortable: true}, "states": {readOnly: true}, "transitions": {readOnly: true}, "triggers": {readOnly: true},
		"possibleActions": {readOnly: true, short: true}, "isBpm": {readOnly: true}},
	"ProgramState":      {"name": {readOnly: true, short: true}, "type": {readOnly: true, short: true}, "isEntry": {readOnly: true}, "program": {readOnly: true}},
	"ProgramTransition": {"name": {readOnly: true, short: true}, "from": {readOnly: true, short: true}, "to": {readOnly: true, short: true}, "enabled": {readOnly: true, short: true}},
	"Deal": {
		"program": {check: link("Program"), required: true, short: true}, "manager": {check: link("Employee", "ContractorHuman", "Group"), short: true},
		"contractor": {check: link(clientTypes...), short: true}, "contact": {check: link("ContractorHuman")}, "name": {check: text, short: true, sortable: true},
		"description": {check: text}, "price": {check: money}, "cost": {check: money}, "tags": {check: anything},
		"number": {readOnly: true, short: true}, "state": {readOnly: true, short: true}, "result": {readOnly: true}, "stateTimeUpdated": {readOnly: true, sortable: true},
		"timeCreated": {readOnly: true, sortable: true}, "timeUpdated": {readOnly: true, sortable: true}, "possibleTransitions": {readOnly: true}, "isDropped": {readOnly: true}, "auditors": {readOnly: true},
	},
	"Comment": {"content": {check: text, required: true, short: true}, "subject": {check: anything, short: true}, "isHidden": {check: boolean}, "owner": {readOnly: true, short: true}, "timeCreated": {readOnly: true, short: true}},
}

func extraField(name, ct string) string {
	return fmt.Sprintf("There is extra field %q, which is not defined for content type %q", name, ct)
}

func typeName(v any) string {
	switch v.(type) {
	case object:
		return "stdClass"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	}
	return "null"
}

// idOf reads an id: requests may hold it as text or as a number.
func idOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return v.String()
		}
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-07:00") }

func dateTimeOf(t time.Time) object { return object{"contentType": "DateTime", "value": stamp(t)} }
