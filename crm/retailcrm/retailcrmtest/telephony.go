package retailcrmtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

type call struct {
	data object
	at   time.Time
}

type event struct {
	data object
	at   time.Time
}

func withDigit(v any) string {
	if s, ok := v.(string); !ok || digits(s) == "" {
		return notValid
	}
	return ""
}

func filled(v any) string {
	if str(v) == "" {
		return "This value should not be blank."
	}
	return ""
}

var eventShape = shape{
	"phone": withDigit, "type": one("in", "out", "hangup"), "codes": listOf(text), "userIds": listOf(whole), "site": text,
	"hangupStatus":  one("answered", "busy", "cancel", "failed", "no answered"),
	"externalPhone": text, "callExternalId": short,
	"webAnalyticsData": objectOf(shape{"campaign": anyObject, "queryString": text}),
}

func callEvent(r *request) reply {
	doc, bad := r.document("event")
	if bad != nil {
		return *bad
	}
	errs := eventShape.errors(doc)
	for _, k := range []string{"phone", "type"} {
		if _, has := doc[k]; !has {
			errs[k] = "This value should not be blank."
		}
	}
	codes, _ := doc["codes"].([]any)
	ids, _ := doc["userIds"].([]any)
	kind := str(doc["type"])
	if kind != "hangup" && len(codes) == 0 && len(ids) == 0 {
		errs["codes"] = "Set one of the following fields: codes, userIds"
	}
	if _, has := doc["hangupStatus"]; has && kind != "hangup" {
		errs["hangupStatus"] = notValid
	}
	if s, has := doc["site"]; has && !r.f.hasSite(str(s)) {
		errs["site"] = notValid
	}
	if len(errs) > 0 {
		return fail(http.StatusBadRequest, entityFormat, oneOrMany(errs))
	}
	body := object{}
	var noCodes []string
	var noUsers []int
	for _, c := range codes {
		if r.f.userByCode(str(c)) == nil {
			noCodes = append(noCodes, str(c))
		}
	}
	for _, id := range ids {
		if r.f.userByID(toInt(id)) == nil {
			noUsers = append(noUsers, toInt(id))
		}
	}
	if noCodes != nil {
		body["notExistCodes"] = noCodes
	}
	if noUsers != nil {
		body["notExistUsers"] = noUsers
	}
	r.f.events = append(r.f.events, &event{doc, r.f.opts.Now()})
	return ok(body)
}

var callShape = shape{
	"date": stamped("2006-01-02 15:04:05"), "type": one("in", "out"), "phone": filled, "code": text, "userId": whole,
	"result":   one("answered", "busy", "failed", "no answer", "not allowed", "unknown"),
	"duration": natural, "durationWaiting": natural, "externalId": short, "recordUrl": absoluteURL, "externalPhone": text,
	"source": sourceShape, "site": text, "clientId": text,
}

func callsUpload(r *request) reply {
	raw := r.form.Get("calls")
	if raw == "" {
		return fail(http.StatusBadRequest, "Parameter 'calls' is missing", nil)
	}
	var list []object
	if json.Unmarshal([]byte(raw), &list) != nil || len(list) == 0 || len(list) > 50 {
		return fail(http.StatusBadRequest, entityFormat, []string{"calls: from 1 to 50 calls are expected."})
	}
	// All or nothing, so every call is looked at before one is kept.
	for i, c := range list {
		errs := callShape.errors(c)
		for _, k := range []string{"date", "type", "phone", "result", "externalId"} {
			if str(c[k]) == "" {
				errs[k] = "This value should not be blank."
			}
		}
		if id, has := c["userId"]; has && r.f.userByID(toInt(id)) == nil {
			errs["userId"] = "The user does not exist."
		}
		if s, has := c["site"]; has && !r.f.hasSite(str(s)) {
			errs["site"] = notValid
		}
		if code := str(c["code"]); code != "" && r.f.userByCode(code) == nil {
			errs["code"] = "The code does not exist."
		}
		if len(errs) > 0 {
			return fail(http.StatusBadRequest, entityFormat, object{fmt.Sprintf("calls[%d]", i): oneOrMany(errs)})
		}
	}
	processed, double := 0, []string{}
	for _, c := range list {
		id := str(c["externalId"])
		if r.f.callIDs[id] != nil {
			double = append(double, id)
			continue
		}
		k := &call{c, r.f.opts.Now()}
		r.f.calls = append(r.f.calls, k)
		r.f.callIDs[id] = k
		processed++
	}
	return ok(object{"processedCallsCount": processed, "duplicateCalls": double})
}

func manager(r *request) reply {
	number := r.q.Get("phone")
	if number == "" {
		return fail(http.StatusBadRequest, "Parameter 'phone' is missing", nil)
	}
	for _, k := range []string{"details", "ignoreStatus"} {
		if v := r.q.Get(k); v != "" && queryBool(v) != "" {
			return fail(http.StatusBadRequest, inputParams, object{k: notValid})
		}
	}
	body := object{}
	var found *entity
	// A blank (a plus sign that was not escaped) makes the number one that nobody has.
	if !strings.HasPrefix(number, " ") {
		for _, c := range r.f.customers {
			if hasNumber(c.data, normal(number)) {
				found = c // the newest wins
			}
		}
	}
	links := object{"newOrderLink": r.f.opts.URL + "/orders/add?phone=" + normal(number)}
	if found != nil {
		id := found.id()
		if u := r.f.userByID(toInt(found.data["managerId"])); u != nil && !u.Dismissed &&
			(r.q.Get("ignoreStatus") == "1" || (u.online && u.status == "free")) {
			m := object{"id": u.ID, "firstName": u.First, "lastName": u.Last, "email": u.Email, "code": u.Extension}
			for k, v := range m {
				if v == "" {
					delete(m, k)
				}
			}
			body["manager"] = m
		}
		links["customerLink"] = fmt.Sprintf("%s/customers/%d", r.f.opts.URL, id)
		if r.q.Get("details") == "1" {
			c := object{"id": id, "phones": found.data["phones"]}
			for _, k := range []string{"externalId", "firstName", "lastName", "patronymic", "email"} {
				if v, has := found.data[k]; has {
					c[k] = v
				}
			}
			body["customer"] = c
		}
	} else {
		links["newCustomerLink"] = r.f.opts.URL + "/customers/add?phone=" + normal(number)
	}
	if r.q.Get("details") == "1" {
		body["links"] = links
	}
	return ok(body)
}

func hasNumber(c object, want string) bool {
	list, _ := c["phones"].([]any)
	return want != "" && slices.ContainsFunc(list, func(p any) bool {
		o, _ := p.(object)
		return normal(str(o["number"])) == want
	})
}

// Event is one telephony/call/event as it came.
type Event struct {
	Type           string
	Phone          string
	Codes          []string
	UserIDs        []int
	HangupStatus   string
	CallExternalID string
	At             time.Time
}

// Events returns the call events in the order they came.
func (f *Fake) Events() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Event
	for _, e := range f.events {
		codes, _ := e.data["codes"].([]any)
		ids, _ := e.data["userIds"].([]any)
		ev := Event{Type: str(e.data["type"]), Phone: str(e.data["phone"]), Codes: strs(codes),
			HangupStatus: str(e.data["hangupStatus"]), CallExternalID: str(e.data["callExternalId"]), At: e.at}
		for _, id := range ids {
			ev.UserIDs = append(ev.UserIDs, toInt(id))
		}
		out = append(out, ev)
	}
	return out
}
