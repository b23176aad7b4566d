package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/rules"
	"callbridge/bridge/web"
	"callbridge/pbx"
	"callbridge/store"
)

// cardDesk carries out what employees ask for on a card: notes, tasks and outcomes
// go through the ledger like everything the rules want, hang-up and transfer to
// the PBX.
type cardDesk struct{ a *App }

// Write makes deliveries of what was written, one per integration. The same
// request again adds nothing: its id is part of the keys.
func (x cardDesk) Write(ctx context.Context, w web.Work) ([]bridge.Delivery, error) {
	call, err := site(x).Call(ctx, w.CallID)
	if err != nil {
		return nil, err
	}
	x.a.writer.flush() // deliveries are planned for calls that are stored
	p := x.a.plan.Load()
	var b store.Batch
	now := bridge.At(time.Now())
	touched := map[string]bool{}
	for _, in := range p.integrations {
		id := in.settings.ID
		if w.Integration != "" && w.Integration != id || w.Integration == "" && !rules.OnLine(in.settings.Lines, call.Line) {
			continue
		}
		actions := x.actions(&call, w, p.version)
		keys := make([]string, 0, len(actions))
		for _, a := range actions {
			d := bridge.Delivery{Integration: id, CallID: call.ID, Client: call.ClientKey(), Action: a, RuleVersion: p.version,
				State: bridge.Waiting, CreatedAt: now, NextAt: now}
			if !in.active {
				d.State, d.Note = bridge.Held, "the integration is off"
			}
			b.Deliveries = append(b.Deliveries, d)
			keys = append(keys, a.Key)
		}
		b.Plans = append(b.Plans, store.Plan{CallID: call.ID, Integration: id, Trigger: bridge.OnCard, RuleVersion: p.version,
			Keys: keys, Day: call.StartedAt.In(in.zone).Format(time.DateOnly)})
		touched[id] = true
	}
	if len(touched) == 0 {
		return nil, web.ErrNoCRM
	}
	if err := x.a.db.Commit(ctx, b); err != nil {
		return nil, err
	}
	x.a.wakeTargets(touched)
	all, err := x.Written(ctx, call.ID)
	return slices.DeleteFunc(all, func(d bridge.Delivery) bool { return !strings.Contains(d.Action.Key, ":card-"+w.RequestID+"-") }), err
}

// actions is what one thing written on a card comes to. Who is not in the CRM
// yet gets a contact first, or there would be nothing to write into.
func (x cardDesk) actions(call *bridge.Call, w web.Work, version int64) []bridge.Action {
	why := rules.OnCard(w.Extension, x.a.employee(w.Extension))
	make := func(kind bridge.ActionKind) bridge.Action {
		return bridge.Action{Key: rules.Key(call.ID, "card-"+w.RequestID+"-"+string(kind)), Kind: kind, Trigger: bridge.OnCard, Rule: "card",
			Wanted: true, Reason: why, Version: version, Extension: w.Extension}
	}
	var out []bridge.Action
	if call.Client != "" {
		out = append(out, make(bridge.ActContact))
	}
	a := make(w.Kind)
	a.Text = w.Text
	if w.Kind == bridge.ActTask {
		a.Title, a.Text, _ = strings.Cut(w.Text, "\n")
		a.DueAt = w.DueAt
		a.Responsible = w.Responsible
	}
	return append(out, a)
}

// Written returns what was asked for on the cards of a call, without the
// contacts that were made on the way.
func (x cardDesk) Written(ctx context.Context, callID string) ([]bridge.Delivery, error) {
	rows, err := x.a.db.Deliveries(ctx, store.DeliveryFilter{CallID: callID, Limit: 1000})
	return slices.DeleteFunc(rows, func(d bridge.Delivery) bool {
		return d.Action.Trigger != bridge.OnCard || d.Action.Kind == bridge.ActContact
	}), err
}

// errNotYours is for a phone that has no part in the call now.
var errNotYours = &pbx.Refusal{Code: "not_in_call", Text: "This phone is not in the call."}

// living returns a call that goes on and the PBX it is on, if the phone has a
// part in it now.
func (x cardDesk) living(callID, extension string) (bridge.Call, *phoneSystem, error) {
	call, ok := x.a.core.liveCall(callID)
	if !ok {
		return call, nil, &pbx.Refusal{Code: "call_over", Text: "The call is over."}
	}
	part := call.Agent == extension && extension != ""
	for _, l := range call.Legs {
		part = part || extension != "" && l.Extension == extension && l.EndAt.IsZero() && l.Result != bridge.LegElsewhere
	}
	if !part {
		return call, nil, errNotYours
	}
	p := x.a.pbx(call.PBX)
	if p == nil {
		return call, nil, &pbx.Refusal{Code: "pbx_unreachable", Text: "The telephone system of this call is not configured any more."}
	}
	return call, p, nil
}

// ends are the channels of a call that live: those of a phone, and the other
// side's, the latest last.
func (x cardDesk) ends(ctx context.Context, call *bridge.Call, extension string) (own, other []string, err error) {
	x.a.writer.flush()
	events, err := x.a.db.Events(ctx, call.ID)
	if err != nil {
		return nil, nil, err
	}
	known := map[string]bridge.Channel{}
	var order []string
	note := func(c *bridge.Channel) {
		if c == nil || c.ID == "" || c.Helper {
			return
		}
		if _, ok := known[c.ID]; !ok {
			order = append(order, c.ID)
		}
		old := known[c.ID]
		old.Extension, old.Trunk = cmp.Or(c.Extension, old.Extension), cmp.Or(c.Trunk, old.Trunk)
		known[c.ID] = old
	}
	ended := map[string]bool{}
	for i := range events {
		e := &events[i]
		note(e.Leg)
		note(e.Peer)
		for n := range e.More {
			note(&e.More[n])
		}
		if e.Kind == bridge.ChannelEnded && e.Leg != nil {
			ended[e.Leg.ID] = true
		}
	}
	for _, id := range order {
		switch c := known[id]; {
		case ended[id]:
		case c.Extension == extension:
			own = append(own, id)
		case c.Trunk != "" || call.Direction == bridge.Internal && c.Extension != "":
			other = append(other, id)
		}
	}
	return own, other, nil
}

// Hangup ends a phone's part in a call: of a phone that rings it is a refusal.
func (x cardDesk) Hangup(ctx context.Context, callID, extension string) error {
	call, p, err := x.living(callID, extension)
	if err != nil {
		return err
	}
	h, ok := p.stream.(pbx.Hangupper)
	if !ok {
		return &pbx.Refusal{Code: "no_hangup", Text: "This telephone system cannot hang up."}
	}
	own, _, err := x.ends(ctx, &call, extension)
	if err != nil {
		return err
	}
	if len(own) == 0 {
		return errNotYours
	}
	return asRefusal(h.Hangup(ctx, own[len(own)-1]))
}

// Transfer sends the other side of a talk to a colleague (a blind transfer).
// The PBX does not tell of it by itself, so we tell: the record of the call has
// the hand-over like any other.
func (x cardDesk) Transfer(ctx context.Context, callID, extension, to string) error {
	call, p, err := x.living(callID, extension)
	if err != nil {
		return err
	}
	t, ok := p.stream.(pbx.Transferrer)
	if !ok {
		return &pbx.Refusal{Code: "no_transfer", Text: "This telephone system cannot transfer calls for us."}
	}
	if to == extension {
		return &pbx.Refusal{Code: "unknown_extension", Text: "This is your own phone."}
	}
	if x.a.hub.DND(to) {
		return &pbx.Refusal{Code: "colleague_dnd", Text: "Do not disturb is on for this colleague."}
	}
	talks := slices.ContainsFunc(call.Legs, func(l bridge.Leg) bool {
		return l.Extension == extension && !l.AnswerAt.IsZero() && l.EndAt.IsZero()
	})
	own, other, err := x.ends(ctx, &call, extension)
	if err != nil {
		return err
	}
	if !talks || call.AnsweredAt.IsZero() || len(own) == 0 || len(other) == 0 {
		return &pbx.Refusal{Code: "not_talking", Text: "Only a talk can be transferred."}
	}
	client := other[len(other)-1]
	at, err := t.Transfer(ctx, client, to)
	if err != nil {
		if r, ok := errors.AsType[*pbx.Refusal](err); ok && r.Code == "do_not_disturb" {
			return &pbx.Refusal{Code: "colleague_dnd", Text: r.Text}
		} else if ok && r.Code == "no_phone" {
			return &pbx.Refusal{Code: "colleague_away", Text: r.Text}
		}
		return asRefusal(err)
	}
	agent := own[len(own)-1]
	x.a.core.emit(bridge.Event{ID: fmt.Sprintf("transfer-%s-%d", agent, at.Milli()), PBX: call.PBX, Kind: bridge.BlindTransfer, At: at, Seen: bridge.At(time.Now()),
		Leg: &bridge.Channel{ID: agent, Extension: extension}, Peer: &bridge.Channel{ID: client}, Dialled: to, Result: bridge.TransferDone})
	return nil
}

// asRefusal makes a refusal of trouble with the PBX.
func asRefusal(err error) error {
	if _, ok := errors.AsType[*pbx.Refusal](err); ok || err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return errors.Join(&pbx.Refusal{Code: "pbx_unreachable", Text: "The telephone system does not answer."}, err)
}

// outcomes are what an employee can say came of a talk.
func (a *App) outcomes() []string { return slices.Clone(a.plan.Load().settings.Card.Outcomes) }

// nameless says that a user may not see the names of clients (F-22).
func (a *App) nameless(login string) bool {
	for _, u := range a.plan.Load().settings.Users {
		if strings.EqualFold(u.Login, login) {
			return u.HideClients && u.Role != bridge.Admin
		}
	}
	return false
}
