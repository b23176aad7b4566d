package megaplan

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/crm"
)

// callInfo is a call in Megaplan (7.1).
type callInfo struct {
	thing
	ProviderID crm.Text `json:"providerId"`
}

// callIDs remembers the ids of the calls made lately, to change them with one
// request. Without it everything still works by providerId.
type callIDs struct {
	mu    sync.Mutex
	ids   map[string]string
	done  map[string]bool   // windows that were closed
	first map[string]string // whose window became the record of the call
	order []string
}

func (k *callIDs) isClosed(provider string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.done[provider]
}

func (k *callIDs) closed(provider string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done == nil || len(k.done) > keptCalls {
		k.done = map[string]bool{}
	}
	k.done[provider] = true
}

func (k *callIDs) openAgain(provider string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.done, provider)
}

// firstOf returns whose window is the record of a call, "" if that is not known
// any more. take makes it ext's if it is nobody's yet: phones that ring at the
// same moment may stand in another order by the time the next one is told.
func (k *callIDs) firstOf(provider, ext string, take bool) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.first[provider] == "" && take {
		if k.first == nil || len(k.first) > keptCalls {
			k.first = map[string]string{}
		}
		k.first[provider] = ext
	}
	return k.first[provider]
}

const keptCalls = 4096

func (k *callIDs) get(provider string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ids[provider]
}

// set remembers an id, or forgets it if it is "".
func (k *callIDs) set(provider, id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if id == "" {
		delete(k.ids, provider)
		return
	}
	if k.ids == nil {
		k.ids = map[string]string{}
	}
	if _, ok := k.ids[provider]; !ok {
		if k.order = append(k.order, provider); len(k.order) > keptCalls {
			delete(k.ids, k.order[0])
			k.order = k.order[1:]
		}
	}
	k.ids[provider] = id
}

// providerID is the name of the call in Megaplan: the call part of our key,
// so that the windows and the final record are one object.
func providerID(key crm.Key) string {
	rest, ok := strings.CutPrefix(key.ID, "callbridge:")
	call, _, named := strings.Cut(rest, ":")
	if !ok || !named || call == "" {
		return key.ID
	}
	return "callbridge:" + call
}

// legSuffix tells the windows of several ringing employees apart. The first
// has none: his is the one that becomes the record of the call.
func (c *client) legSuffix(key crm.Key, r *crm.CallRecord) string {
	firstExt := c.calls.firstOf(providerID(key), "", false)
	switch {
	case firstExt != "":
	case r.Call.Direction == bridge.Out:
		firstExt = r.Call.Agent
	case len(r.Call.Rang) > 0:
		firstExt = r.Call.Rang[0]
	}
	ext := r.Agent.Extension
	if c.v.Get(fieldCards) == "one" || ext == "" || firstExt == "" || ext == firstExt {
		return ""
	}
	return ":" + ext
}

// callBody writes the whole call; whether a part would do is not known (7.2).
func (c *client) callBody(ctx context.Context, r *crm.CallRecord, provider, kind, state string) (object, error) {
	body := object{"contentType": "CallInfo", "providerId": provider, "type": kind, "state": state}
	clientPhone := cmp.Or(r.Call.Client.Digits(), r.Call.ClientRaw)
	clientSide, agentSide := "from", "to"
	if r.Call.Direction == bridge.Out {
		clientSide, agentSide = "to", "from"
	}
	if r.Call.Direction == bridge.Internal {
		clientPhone = r.Call.Agent
		for _, p := range r.People {
			if p.Extension == r.Call.Agent && p.User != "" {
				body["fromUser"] = link("Employee", string(p.User))
			}
		}
	}
	if clientPhone != "" {
		body[clientSide+"Phone"] = clientPhone
	}
	if ext := cmp.Or(r.Agent.Extension, strings.TrimPrefix(r.Call.Line, "+")); ext != "" {
		body[agentSide+"Phone"] = ext
	}
	person, err := c.contactLink(ctx, r.Contact, r.Kind)
	if err != nil {
		return nil, err
	}
	if person != nil {
		body[clientSide+"User"] = person
	}
	if r.Agent.User != "" {
		body[agentSide+"User"] = link("Employee", string(r.Agent.User))
	}
	if !r.Call.StartedAt.IsZero() {
		body["timeFrom"] = dateTime(r.Call.StartedAt.Time)
	}
	if !r.Call.EndedAt.IsZero() {
		body["timeTo"] = dateTime(r.Call.EndedAt.Time)
	}
	if r.RecordURL != "" {
		body["recordLinks"] = []string{r.RecordURL}
	}
	return body, nil
}

// callType is the type of the record: missed and failed calls have their own.
func callType(call *bridge.Call) string {
	switch {
	case call.Direction == bridge.Out && call.Outcome == bridge.Failed:
		return "fail"
	case call.Direction == bridge.Out:
		return "out"
	case call.Outcome == bridge.Missed:
		return "miss"
	}
	return "in"
}

// Popup opens, changes or closes the window of the employee of r. Who has no
// user in Megaplan has no window there (M-2.1.6).
func (c *client) Popup(ctx context.Context, key crm.Key, phase bridge.Trigger, r crm.CallRecord) (crm.Made, error) {
	if r.Agent.User == "" {
		return crm.Made{}, nil
	}
	// A program that died in the call may have taken another phone for the first
	// one, so that the other's window has this name.
	sure := len(r.Call.Gaps) == 0 || c.calls.firstOf(providerID(key), "", false) != ""
	c.calls.firstOf(providerID(key), r.Agent.Extension, phase == bridge.OnRing && !key.Look && r.Call.Direction != bridge.Out)
	suffix := c.legSuffix(key, &r)
	provider := providerID(key) + suffix
	if phase == bridge.OnStop && (c.calls.isClosed(provider) || !c.mayClose(&r)) {
		return crm.Made{}, nil
	}
	kind, state := callType(&r.Call), "calling"
	switch phase {
	case bridge.OnHold:
		state = "talking"
		if i := legOf(&r.Call, r.Agent.Extension); i >= 0 && r.Call.Legs[i].Held {
			state = "hold"
		}
	case bridge.OnAnswer:
		state = "talking"
	case bridge.OnEnd, bridge.OnStop:
		state = "finished"
	}
	if suffix != "" && kind == "miss" {
		kind = "in" // three phones rang, one call was missed (D-02)
	}
	body, err := c.callBody(ctx, &r, provider, kind, state)
	if err != nil {
		return crm.Made{}, err
	}
	if state == "finished" && r.Call.EndedAt.IsZero() {
		body["timeTo"] = dateTime(c.env.Now().UTC())
	}
	made, found, err := c.changeCall(ctx, provider, body, key.Look || !sure || phase != bridge.OnRing)
	switch {
	case err != nil:
		return crm.Made{}, c.gone(ctx, err, r.Contact)
	case !found && (state == "finished" || phase == bridge.OnHold):
		// there never was a window
	case !found:
		if made, err = c.post(ctx, "open call window", "/callInfo", body); err != nil {
			return crm.Made{}, c.gone(ctx, err, r.Contact)
		}
		c.calls.set(provider, string(made.ID))
	}
	if state == "finished" {
		c.calls.closed(provider)
	} else {
		c.calls.openAgain(provider)
	}
	if phase == bridge.OnStop {
		return crm.Made{ID: crm.ObjectID(made.ID), URL: c.clientURL(r.Contact), Found: found}, nil
	}
	if err := c.closeOthers(ctx, key, phase, r); err != nil {
		return crm.Made{}, err
	}
	if made.ID == "" {
		return crm.Made{}, nil
	}
	return crm.Made{ID: crm.ObjectID(made.ID), URL: c.clientURL(r.Contact), Found: found}, nil
}

// mayClose says whether the window of the phone that stopped is to be closed:
// not if it rings or talks again by now, and a window that moves from phone to
// phone only when it is at none.
func (c *client) mayClose(r *crm.CallRecord) bool {
	for i := range r.Call.Legs {
		l := &r.Call.Legs[i]
		if l.EndAt.IsZero() && (l.Extension == r.Agent.Extension || c.v.Get(fieldCards) == "one") {
			return false
		}
	}
	return true
}

// ShowsStop makes client a crm.StopShower: Megaplan does not close a window by itself.
func (c *client) ShowsStop() {}

// legOf is the newest leg of an extension, -1 if there is none.
func legOf(call *bridge.Call, ext string) int {
	for i := len(call.Legs) - 1; i >= 0; i-- {
		if call.Legs[i].Extension == ext {
			return i
		}
	}
	return -1
}

// closeOthers takes the call away from those whose phones do not ring any
// more: somebody else answered, they did not pick up, or the call is over.
func (c *client) closeOthers(ctx context.Context, key crm.Key, phase bridge.Trigger, r crm.CallRecord) error {
	if c.v.Get(fieldCards) == "one" {
		return nil // there is one window, and it is elsewhere already
	}
	for _, p := range r.People {
		if p.User == "" || p.Extension == r.Agent.Extension {
			continue
		}
		if i := legOf(&r.Call, p.Extension); phase != bridge.OnEnd {
			if i < 0 && phase == bridge.OnRing {
				continue
			}
			if i >= 0 {
				l := &r.Call.Legs[i]
				talks := !l.AnswerAt.IsZero() && l.EndAt.IsZero()
				rings := l.AnswerAt.IsZero() && l.EndAt.IsZero() && l.Result == ""
				if talks || rings && phase == bridge.OnRing {
					continue
				}
			}
		}
		other := r
		other.Agent = p
		provider := providerID(key) + c.legSuffix(key, &other)
		if c.calls.isClosed(provider) {
			continue
		}
		kind := callType(&r.Call)
		if kind == "miss" && c.legSuffix(key, &other) != "" {
			kind = "in"
		}
		body, err := c.callBody(ctx, &other, provider, kind, "finished")
		if err != nil {
			return err
		}
		if r.Call.EndedAt.IsZero() {
			body["timeTo"] = dateTime(c.env.Now().UTC())
		}
		if _, _, err := c.changeCall(ctx, provider, body, true); err != nil {
			return c.gone(ctx, err, r.Contact)
		}
		c.calls.closed(provider)
	}
	return nil
}

// ShowsHold makes client a crm.HoldShower: CallInfo has the state hold.
func (c *client) ShowsHold() {}

// changeCall changes the call if it is known or, when look is set, if Megaplan
// has it under the provider's id.
func (c *client) changeCall(ctx context.Context, provider string, body object, look bool) (made thing, found bool, err error) {
	if id := c.calls.get(provider); id != "" {
		made, err = c.post(ctx, "change call window", "/callInfo/"+pathID(id), merged(body, object{"id": id}))
		if err == nil {
			return made, true, nil
		}
		if fault.KindOf(err) != fault.Gone {
			return made, false, err
		}
		c.calls.set(provider, "")
	}
	if !look {
		return made, false, nil
	}
	made, err = c.post(ctx, "change call window", "/callInfo/provider", body)
	if err != nil {
		if fault.KindOf(err) == fault.Gone {
			err = nil
		}
		return made, false, err
	}
	c.calls.set(provider, string(made.ID))
	return made, true, nil
}

// LogCall writes the call into the history, without telling any window; it
// makes the call or changes the one that the windows made.
func (c *client) LogCall(ctx context.Context, key crm.Key, r crm.CallRecord) (crm.Made, error) {
	provider := providerID(key)
	body, err := c.callBody(ctx, &r, provider, callType(&r.Call), "finished")
	if err != nil {
		return crm.Made{}, err
	}
	id := c.calls.get(provider)
	if id == "" && key.Look {
		// Only probable that history knows providerId again; the id is sure.
		if id, err = c.callByProvider(ctx, provider); err != nil {
			return crm.Made{}, err
		}
	}
	if id != "" {
		body["id"] = id
	}
	var made many[callInfo]
	_, err = c.do(ctx, request{op: "write call", method: http.MethodPost, path: "/callInfo/history", body: []any{body}}, &made)
	if err != nil {
		if fault.KindOf(err) == fault.Invalid {
			c.calls.set(provider, "") // perhaps it was deleted in Megaplan
		}
		return crm.Made{}, c.gone(ctx, err, r.Contact)
	}
	if len(made) == 0 || made[0].ID == "" {
		return crm.Made{}, fault.New(fault.Uncertain, "megaplan: write call", "the answer does not name what was made")
	}
	c.calls.set(provider, string(made[0].ID))
	return crm.Made{ID: crm.ObjectID(made[0].ID), URL: c.clientURL(r.Contact), Found: id != ""}, nil
}

// callByProvider returns Megaplan's id of a call, "" if it has none.
func (c *client) callByProvider(ctx context.Context, provider string) (string, error) {
	var found callInfo
	_, err := c.do(ctx, request{op: "find call", path: "/callInfo/provider", query: object{"providerId": provider}}, &found)
	if err != nil && fault.KindOf(err) == fault.Gone {
		return "", nil
	}
	return string(found.ID), err
}
