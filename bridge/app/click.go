package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/phone"
	"callbridge/bridge/web"
	"callbridge/pbx"
)

// Dial places a click-to-call order, once per request id (D-19): whoever sends
// the same id again gets the first result and rings nobody.
func (a *App) Dial(ctx context.Context, c web.Click) (web.Dialled, error) {
	number, kind := phone.Parse(c.Number, a.clickCountry())
	raw := ""
	switch kind {
	case phone.Public:
	case phone.Short:
		raw = phone.Extension(c.Number)
	default:
		return web.Dialled{}, &pbx.Refusal{Code: "unknown_number", Text: "This is no telephone number that can be called."}
	}
	if raw != "" && (raw == c.Extension || a.employee(raw) != "") {
		return web.Dialled{}, &pbx.Refusal{Code: "unknown_number", Text: "This is the extension of a colleague: dial it on your phone."}
	}
	if a.hub.DND(c.Extension) {
		return web.Dialled{}, &pbx.Refusal{Code: "do_not_disturb", Text: "Do not disturb is on for your phone: switch it off to make calls."}
	}
	o, err := a.originator()
	if err != nil {
		return web.Dialled{}, err
	}
	shown := string(number)
	if shown == "" {
		shown = raw
	}
	click, created, err := a.db.ClaimClick(ctx, c.RequestID, c.User, c.Extension, shown)
	if err != nil {
		return web.Dialled{}, fmt.Errorf("click %s: %w", c.RequestID, err)
	}
	if created {
		if r := a.occupied(c.Extension); r != nil {
			return web.Dialled{}, errors.Join(r, a.db.FinishClick(ctx, c.RequestID, "", r.Code, r.Text))
		}
	} else {
		return a.repeated(ctx, click.PBXCallID, click.Code, click.Text)
	}
	order := pbx.Originate{RequestID: c.RequestID, Extension: c.Extension, Client: number, ClientRaw: raw, CallerID: a.callerID(c.Extension, c.Integration)}
	octx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	id, err := o.Originate(octx, order)
	code, text := "", ""
	if err != nil {
		if r, ok := errors.AsType[*pbx.Refusal](err); ok {
			code, text = r.Code, r.Text
		} else {
			code, text = "pbx_unreachable", "The telephone system did not take the order."
			a.log.Warn("click-to-call failed", "err", err)
			err = &pbx.Refusal{Code: code, Text: text}
		}
	}
	// The order may have used up its time; what became of it is stored all the
	// same, else a repeat would be answered as if the phone rang.
	fctx, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	if ferr := a.db.FinishClick(fctx, c.RequestID, id, code, text); ferr != nil {
		a.log.Error("the result of a click could not be stored", "err", ferr)
	}
	if err != nil {
		return web.Dialled{}, err
	}
	return web.Dialled{PBXCallID: id}, nil
}

// clickPause is how long a phone that was just ordered to ring takes no second
// order: until then its first call may not be seen yet.
const clickPause = 3 * time.Second

// occupied refuses an order for a phone that is in a call or was ordered to
// ring a moment ago; nil if it is free, and then it is taken.
func (a *App) occupied(ext string) *pbx.Refusal {
	busy := &pbx.Refusal{Code: "busy", Text: "Your phone is in a call already."}
	for _, c := range a.core.liveCalls() {
		if c.Agent == ext {
			return busy
		}
		for _, l := range c.Legs {
			if l.Extension == ext && l.EndAt.IsZero() {
				return busy
			}
		}
	}
	a.clickMu.Lock()
	defer a.clickMu.Unlock()
	if time.Since(a.clicked[ext]) < clickPause {
		return busy
	}
	a.clicked[ext] = time.Now()
	return nil
}

// repeated answers an order that was there before with its first result.
func (a *App) repeated(_ context.Context, pbxCallID, code, text string) (web.Dialled, error) {
	if code != "" {
		return web.Dialled{}, &pbx.Refusal{Code: code, Text: text}
	}
	return web.Dialled{PBXCallID: pbxCallID, Repeated: true}, nil
}

// clickCountry is the country of numbers typed without one: that of the PBX
// which will place the call.
func (a *App) clickCountry() string {
	for _, p := range a.pbxs {
		if _, ok := p.stream.(pbx.Originator); ok {
			return a.cfg.CountryOf(p.id)
		}
	}
	return a.cfg.Country
}

// originator is the PBX that places calls: the first one that can.
func (a *App) originator() (pbx.Originator, error) {
	for _, p := range a.pbxs {
		if o, ok := p.stream.(pbx.Originator); ok {
			return o, nil
		}
	}
	return nil, &pbx.Refusal{Code: "pbx_unreachable", Text: "No telephone system that can place calls is connected."}
}

// callerID is the number the client is to see. An integration that overrides it
// decides first (M-5.2); then the employee's own line, if he has one; then the
// number of M-5.1. The integration from which the call was ordered goes before
// the others; "" leaves the choice to the PBX.
func (a *App) callerID(ext, integration string) string {
	p := a.plan.Load()
	mine := func(in bridge.Integration) int {
		if in.ID == integration {
			return -1
		}
		return 1
	}
	all := slices.Clone(p.settings.Integrations)
	slices.SortStableFunc(all, func(x, y bridge.Integration) int { return mine(x) - mine(y) })
	all = slices.DeleteFunc(all, func(in bridge.Integration) bool { return in.ClickToCall.Number == "" })
	for _, in := range all {
		if in.ClickToCall.OverrideCallerID {
			return bridge.Number(in.ClickToCall.Number).Digits()
		}
	}
	for _, e := range p.employees {
		if e.Extension == ext && e.Line != "" {
			return bridge.Number(e.Line).Digits()
		}
	}
	for _, in := range all {
		return bridge.Number(in.ClickToCall.Number).Digits()
	}
	return ""
}

// DoNotDisturb and SetDoNotDisturb are the switch of one extension: kept here,
// shown in all the agent's tabs, and told to the PBX so that its dialplan can
// ask.
func (a *App) DoNotDisturb(_ context.Context, ext string) (bool, error) { return a.hub.DND(ext), nil }

// SetDoNotDisturb keeps the switch even when the PBX cannot be told at once.
func (a *App) SetDoNotDisturb(ctx context.Context, ext string, on bool) error {
	return a.switchDND(ctx, ext, on, "")
}

// switchDND tells everybody but the CRM that told us.
func (a *App) switchDND(ctx context.Context, ext string, on bool, from string) error {
	if err := a.saveDND(ctx, ext, on); err != nil {
		return err
	}
	a.hub.SetDND(ext, on)
	a.tellDND(ctx, ext, on)
	a.tellStatus(ext, on, from)
	return nil
}

// tellDND tells every PBX that knows do-not-disturb.
func (a *App) tellDND(ctx context.Context, ext string, on bool) {
	for _, p := range a.pbxs {
		pr, ok := p.stream.(pbx.Presence)
		if !ok {
			continue
		}
		pctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		if err := pr.SetDoNotDisturb(pctx, ext, on); err != nil {
			a.log.Warn("the PBX could not be told of do-not-disturb; it is told again after the next connect", "pbx", p.id, "err", err)
		}
		cancel()
	}
}

// dndTold takes over a switch that was turned in the PBX: from the phone, by
// the dialplan, or by us a moment ago. It never blocks the core.
func (a *App) dndTold(ext string, on bool) {
	if a.hub.DND(ext) == on {
		return
	}
	a.hub.SetDND(ext, on)
	a.lookupWork.Go(func() {
		a.dndMu.Lock() // the last writer keeps what holds by then
		defer a.dndMu.Unlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(a.work), 10*time.Second)
		defer cancel()
		if err := a.saveDND(ctx, ext, a.hub.DND(ext)); err != nil {
			a.log.Warn("do-not-disturb could not be stored", "err", err)
		}
	})
}
