package retailcrm

import (
	"context"
	"net/url"
	"slices"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

// callKey is our id of a call in the CRM: the same in the pop-ups and in the
// history, so that the CRM sees one call.
func callKey(c *bridge.Call) string { return "callbridge:" + c.ID + ":call" }

// direction is the CRM's word; false for calls the CRM has no place for.
func direction(c *bridge.Call) (string, bool) {
	switch c.Direction {
	case bridge.In:
		return "in", true
	case bridge.Out:
		return "out", true
	}
	return "", false
}

// callEvent is the document of telephony/call/event.
type callEvent struct {
	Phone          string   `json:"phone"`
	Type           string   `json:"type"`
	Codes          []string `json:"codes,omitempty"`
	UserIDs        []int64  `json:"userIds,omitempty"`
	Site           string   `json:"site,omitempty"`
	HangupStatus   string   `json:"hangupStatus,omitempty"`
	ExternalPhone  string   `json:"externalPhone,omitempty"`
	CallExternalID string   `json:"callExternalId"`
}

// Popup shows or closes the CRM's own call window: on ring and on answer for
// the phone it is about, so that nobody gets a second window because a
// colleague's phone began to ring; at the end once for everybody.
func (c *client) Popup(ctx context.Context, _ crm.Key, phase bridge.Trigger, r crm.CallRecord) (crm.Made, error) {
	const op = "call event"
	typ, known := direction(&r.Call)
	if !known || r.Call.Client == "" {
		return crm.Made{}, invalid(op, "the CRM shows only calls with a client's number")
	}
	ev := callEvent{Phone: c.number(r.Call.Client), Type: typ, Site: c.site(), CallExternalID: callKey(&r.Call), ExternalPhone: c.line(r.Call.Line)}
	people := []crm.Person{r.Agent}
	if phase == bridge.OnEnd {
		ev.Type, ev.HangupStatus = "hangup", hangupStatus(&r.Call)
		people = append(people, r.People...)
	} else if r.Agent == (crm.Person{}) {
		people = r.People
	}
	notify := c.vals.Get(fieldNotify)
	for _, p := range people {
		id := userID(p.User)
		if p.Extension != "" && (notify != "users" || id == 0) && !slices.Contains(ev.Codes, p.Extension) {
			ev.Codes = append(ev.Codes, p.Extension)
		}
		if id != 0 && (notify != "codes" || p.Extension == "") && !slices.Contains(ev.UserIDs, id) {
			ev.UserIDs = append(ev.UserIDs, id)
		}
	}
	if phase != bridge.OnEnd && len(ev.Codes) == 0 && len(ev.UserIDs) == 0 {
		return crm.Made{}, invalid(op, "nobody to show the call to")
	}
	var ans struct {
		NoCodes []crm.Text `json:"notExistCodes"`
		NoUsers []crm.Text `json:"notExistUsers"`
	}
	if err := c.post(ctx, op, "/api/v5/telephony/call/event", "event", ev, nil, &ans); err != nil {
		return crm.Made{}, err
	}
	if len(ans.NoCodes)+len(ans.NoUsers) > 0 && c.env.Log != nil {
		c.env.Log.InfoContext(ctx, "the CRM does not know some of those who ring", "integration", c.env.Integration, "call", r.Call.ID,
			"codes", ans.NoCodes, "users", ans.NoUsers)
	}
	return crm.Made{ID: crm.ObjectID(ev.CallExternalID)}, nil
}

// line is our number as the CRM is to keep it; a line that is no public
// number stays as it is.
func (c *client) line(l string) string {
	if len(l) > 1 && l[0] == '+' {
		return c.number(bridge.Number(l))
	}
	return l
}

// uploadedCall is one call of telephony/calls/upload.
type uploadedCall struct {
	Date            string            `json:"date"`
	Type            string            `json:"type"`
	Phone           string            `json:"phone"`
	Code            string            `json:"code,omitempty"`
	UserID          int64             `json:"userId,omitempty"`
	Result          string            `json:"result"`
	Duration        int64             `json:"duration"`
	DurationWaiting int64             `json:"durationWaiting"`
	ExternalID      string            `json:"externalId"`
	RecordURL       string            `json:"recordUrl,omitempty"`
	ExternalPhone   string            `json:"externalPhone,omitempty"`
	Source          map[string]string `json:"source,omitempty"`
	Site            string            `json:"site,omitempty"`
}

// LogCall writes the call into the CRM's history. The CRM itself keeps the
// key unique and names a repeat as duplicate, so a repeat needs no look.
func (c *client) LogCall(ctx context.Context, key crm.Key, r crm.CallRecord) (crm.Made, error) {
	call, err := c.uploaded(key, r)
	if err != nil {
		return crm.Made{}, err
	}
	made, err := c.upload(ctx, []uploadedCall{call})
	if err != nil && fault.KindOf(err) == fault.Invalid && call.Code != "" {
		call.Code = "" // better a call without its phone than no call
		made, err = c.upload(ctx, []uploadedCall{call})
	}
	if err != nil {
		return crm.Made{}, err
	}
	return made[0], nil
}

// batchSize is how many calls the CRM takes at once.
const batchSize = 50

// BatchSize and LogCalls are for resends: many calls in one request. The CRM
// names those it had already.
func (c *client) BatchSize() int { return batchSize }

func (c *client) LogCalls(ctx context.Context, calls []crm.KeyedCall) ([]crm.Made, error) {
	if len(calls) == 1 {
		made, err := c.LogCall(ctx, calls[0].Key, calls[0].Record)
		return []crm.Made{made}, err
	}
	list := make([]uploadedCall, len(calls))
	for i, k := range calls {
		var err error
		if list[i], err = c.uploaded(k.Key, k.Record); err != nil {
			return nil, fault.New(fault.Invalid, "retailcrm: upload calls", "%v", err)
		}
	}
	return c.upload(ctx, list)
}

// uploaded writes a call as the CRM is to keep it.
func (c *client) uploaded(key crm.Key, r crm.CallRecord) (uploadedCall, error) {
	typ, known := direction(&r.Call)
	if !known || r.Call.Client == "" {
		return uploadedCall{}, &crm.NotKept{Why: "retailCRM keeps only calls with a client's number"}
	}
	call := uploadedCall{
		Date: c.callDate(r.Call.StartedAt.Time), Type: typ, Phone: c.number(r.Call.Client), Result: result(&r.Call),
		Duration: seconds(r.Call.TalkMS), DurationWaiting: seconds(r.Call.WaitMS), ExternalID: key.ID, RecordURL: r.RecordURL,
		ExternalPhone: c.line(r.Call.Line), Source: source(r.Source), Site: c.site(),
		Code: r.Agent.Extension, UserID: userID(r.Agent.User),
	}
	if call.UserID != 0 && c.vals.Get(fieldModule) == "" {
		call.Code = "" // the user says it already, and an extension the CRM does not know may be refused
	}
	return call, nil
}

func (c *client) upload(ctx context.Context, calls []uploadedCall) ([]crm.Made, error) {
	const op = "upload calls"
	var ans struct {
		Success    *bool      `json:"success"`
		Duplicates []crm.Text `json:"duplicateCalls"`
	}
	if err := c.post(ctx, op, "/api/v5/telephony/calls/upload", "calls", calls, nil, &ans); err != nil {
		return nil, err
	}
	if ans.Success == nil {
		return nil, lost(op, true, "result")
	}
	out := make([]crm.Made, len(calls))
	for i, k := range calls {
		out[i] = crm.Made{ID: crm.ObjectID(k.ExternalID), Found: slices.Contains(ans.Duplicates, crm.Text(k.ExternalID))}
	}
	return out, nil
}

func seconds(ms *int64) int64 {
	if ms == nil || *ms < 0 {
		return 0
	}
	return (*ms + 500) / 1000
}

// PersonalManager asks who is responsible for a number. If the telephony
// method names nobody, or the key may not use it, the newest client's manager
// is taken from its card.
func (c *client) PersonalManager(ctx context.Context, n bridge.Number) (crm.Manager, error) {
	if n == "" {
		return crm.Manager{}, nil
	}
	q := url.Values{"phone": {c.number(n)}, "details": {"1"}}
	anyStatus := c.vals.Get(fieldStatus) != "free"
	if anyStatus {
		q.Set("ignoreStatus", "1")
	}
	var ans struct {
		Manager *struct {
			ID        crm.Text `json:"id"`
			FirstName crm.Text `json:"firstName"`
			LastName  crm.Text `json:"lastName"`
			Code      crm.Text `json:"code"`
		} `json:"manager"`
		Customer *customer `json:"customer"`
	}
	err := c.api.Do(ctx, crm.Request{Op: "find manager", Path: "/api/v5/telephony/manager", Query: q}, &ans)
	if err != nil && fault.KindOf(err) != fault.Forbidden {
		return crm.Manager{}, err
	}
	var out crm.Manager
	if ans.Customer != nil && ans.Customer.ID != "" {
		contact := c.contact(*ans.Customer)
		out.Contact = &contact
	}
	if m := ans.Manager; m != nil && (m.ID != "" || m.Code != "") {
		out.User, out.Name, out.Extension = crm.UserID(m.ID), joinName(m.FirstName, m.LastName), string(m.Code)
		if out.Contact != nil {
			out.Contact.Responsible, out.Contact.Manager = out.User, out.Name
		}
		return out, nil
	}
	if !anyStatus && err == nil {
		return out, nil // he is busy or away, and that was to be respected
	}
	all, err := c.FindContacts(ctx, n)
	if err != nil {
		return out, err
	}
	for _, contact := range slices.Backward(all) {
		if out.Contact == nil {
			out.Contact = &contact
		}
		if contact.Responsible != "" {
			out.User, out.Contact = contact.Responsible, &contact
			break
		}
	}
	return out, nil
}
