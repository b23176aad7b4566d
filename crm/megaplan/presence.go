package megaplan

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strings"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

// No field and no address for do-not-disturb is known in Megaplan's API. The one
// place where its web phone may keep it is the JSON in the settings of a user
// of telephony (7.4), whose content nobody documents: fieldDND says where in it
// the switch stands. Without that, do-not-disturb stays between us and the PBX.

// withPresence is a client of an account whose switch we were told the place of.
type withPresence struct{ *client }

var (
	_ crm.StatusSetter = withPresence{}
	_ crm.StatusReader = withPresence{}
	_ crm.StatusLister = withPresence{}
)

// Status knows no busy: Megaplan sees calls by itself.
func (c withPresence) Status(context.Context, crm.UserID) (crm.UserStatus, error) { return "", nil }

// SetStatus turns the switch; what else stands in the settings stays.
func (c withPresence) SetStatus(ctx context.Context, user crm.UserID, s crm.UserStatus) error {
	if s != crm.StatusAway && s != crm.StatusFree {
		return nil
	}
	var u userConfig
	_, err := c.do(ctx, request{op: "read telephony settings", path: "/callUserConfig/Employee/" + pathID(string(user))}, &u)
	if err != nil {
		return err
	}
	all, ok := settingsOf(u)
	if !ok {
		return fault.New(fault.Invalid, "megaplan: set do-not-disturb", "the telephony settings of the user are no JSON object")
	}
	put(all, strings.Split(c.v.Get(fieldDND), "."), s == crm.StatusAway)
	text, err := json.Marshal(all)
	if err != nil {
		return fault.New(fault.Invalid, "megaplan: set do-not-disturb", "%v", err)
	}
	_, err = c.do(ctx, request{op: "set do-not-disturb", method: http.MethodPost, path: "/callUserConfig/" + pathID(string(u.ID)),
		body: object{"contentType": "CallUserConfig", "id": string(u.ID), "settings": string(text)}}, nil)
	return err
}

// Statuses reads the switches of all users of telephony.
func (c withPresence) Statuses(ctx context.Context) (map[crm.UserID]crm.UserStatus, error) {
	all, err := list(ctx, c.client, "read telephony settings", "/callUserConfig", nil, 100, func(u userConfig) thing { return u.thing })
	if err != nil {
		return nil, err
	}
	out := map[crm.UserID]crm.UserStatus{}
	for _, u := range all {
		id := u.Employee.get().ID
		o, ok := settingsOf(u)
		if id == "" || !ok {
			continue
		}
		out[crm.UserID(id)] = crm.StatusFree
		if on(valueAt(o, strings.Split(c.v.Get(fieldDND), "."))) {
			out[crm.UserID(id)] = crm.StatusAway
		}
	}
	return out, nil
}

// settingsOf reads the JSON; numbers stay as they are written.
func settingsOf(u userConfig) (object, bool) {
	if strings.TrimSpace(string(u.Settings)) == "" {
		return object{}, true
	}
	d := json.NewDecoder(bytes.NewReader([]byte(u.Settings)))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	if l, ok := v.([]any); ok && len(l) == 0 {
		return object{}, true // an empty object, as PHP writes it
	}
	o, ok := v.(object)
	return o, ok
}

func valueAt(v any, path []string) any {
	for _, name := range path {
		o, _ := v.(object)
		v = o[name]
	}
	return v
}

func on(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case json.Number:
		return v != "0"
	case string:
		return v == "1" || v == "true" || v == "on"
	}
	return false
}

// put writes the switch in the form it has there.
func put(o object, path []string, is bool) {
	name := path[0]
	if len(path) > 1 {
		inner, _ := o[name].(object)
		inner = maps.Clone(inner)
		if inner == nil {
			inner = object{}
		}
		put(inner, path[1:], is)
		o[name] = inner
		return
	}
	switch o[name].(type) {
	case json.Number:
		o[name] = json.Number(map[bool]string{false: "0", true: "1"}[is])
	case string:
		o[name] = map[bool]string{false: "0", true: "1"}[is]
	default:
		o[name] = is
	}
}
