// Package rules turns a call and the settings of one integration into actions,
// each with its reason (F-3). It is pure: no clock, no I/O, no memory, so that
// a dry run is the same code (F-4).
//
// An action's key is "callbridge:<call id>:<name>", and the name is the same
// whenever the same thing is asked for: the contact is "contact" at the answer
// and at the end. The store ignores a key it has, so the later one only counts
// if the earlier moment was missed. For the same reason nothing unwanted is
// said about the contact before the call is over.
package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"callbridge/bridge"
)

// DefaultMinutes is how long a communication lasts in the calendar when the
// settings do not say (M-4.3.2).
const DefaultMinutes = 120

// Key makes the key of an action.
func Key(callID, name string) string { return "callbridge:" + callID + ":" + name }

// Plan evaluates every rule of an integration at one moment of a call and
// returns an action for each, wanted or not, in the order in which they are to
// be carried out. ext is the phone that rings or answered; it is empty at the
// end. version is the version of the settings, kept with each action.
func Plan(call bridge.Call, trigger bridge.Trigger, ext string, in bridge.Integration, version int64) []bridge.Action {
	p := &planner{call: &call, trigger: trigger, in: &in, version: version}
	if len(in.Lines) > 0 && !onLine(in.Lines, call.Line) {
		// M-3.2: one row says it all.
		line := call.Line
		if line == "" {
			line = unknownLine
		}
		p.no(bridge.ActCall, "lines", "lines", because(notOurLine, line))
		return p.out
	}
	switch trigger {
	case bridge.OnHold, bridge.OnStop:
		if call.Direction != bridge.Internal {
			p.popup(ext)
		}
	case bridge.OnRing, bridge.OnAnswer:
		if call.Direction == bridge.Internal {
			return nil // explained at the end
		}
		p.popup(ext)
		if trigger == bridge.OnAnswer {
			p.contact()
		}
	case bridge.OnEnd:
		if call.Direction == bridge.Internal && !p.namesInternal() {
			p.no(bridge.ActCall, "call", "calls", because(internalUnnamed))
			return p.out
		}
		p.popup("")
		p.contact()
		p.fields()
		p.history()
		p.communication()
		p.tasks()
		p.processes()
	}
	return p.out
}

type planner struct {
	call    *bridge.Call
	trigger bridge.Trigger
	in      *bridge.Integration
	version int64
	out     []bridge.Action
}

func (p *planner) add(kind bridge.ActionKind, name, rule string, wanted bool, reason string) *bridge.Action {
	p.out = append(p.out, bridge.Action{Key: Key(p.call.ID, name), Kind: kind, Trigger: p.trigger, Rule: rule,
		Wanted: wanted, Reason: reason, Version: p.version})
	return &p.out[len(p.out)-1]
}

func (p *planner) no(kind bridge.ActionKind, name, rule, reason string) {
	p.add(kind, name, rule, false, reason)
}

func (p *planner) yes(kind bridge.ActionKind, name, rule, reason string) *bridge.Action {
	return p.add(kind, name, rule, true, reason)
}

// popup tells the CRM's own window. A phone that rings a second time in one
// call gets a second card, so the name counts its rings.
func (p *planner) popup(ext string) {
	const rule = "calls.popup"
	name := "popup-" + string(p.trigger)
	if ext != "" {
		name += "-" + ext
		n := p.times(ext)
		if p.trigger == bridge.OnHold {
			name += "-" + strconv.Itoa(n) // begin and end of a hold are two actions
		} else if n > 1 {
			name += "-" + strconv.Itoa(n)
		}
	} else if p.trigger != bridge.OnEnd {
		return
	}
	reason, ok := "", false
	switch {
	case p.in.Calls.Popup != nil && !*p.in.Calls.Popup:
		reason = because(popupOff)
	case p.call.Direction == bridge.Internal:
		reason = because(popupInternal)
	case p.call.Client == "":
		reason = because(popupWithheld)
	case p.trigger == bridge.OnEnd && len(p.call.Rang) == 0 && len(p.call.AnsweredBy) == 0 && p.call.Agent == "":
		reason = because(popupNobody)
	case p.trigger == bridge.OnRing:
		reason, ok = because(popupRing, ext), true
	case p.trigger == bridge.OnAnswer:
		reason, ok = because(popupAnswer, ext), true
	case p.trigger == bridge.OnHold:
		reason, ok = because(popupHold, ext), true
	case p.trigger == bridge.OnStop:
		reason, ok = because(popupStop, ext), true
	default:
		reason, ok = because(popupEnd), true
	}
	p.add(bridge.ActPopup, name, rule, ok, reason).Extension = ext
}

// times counts how often ext has rung or answered in this call.
func (p *planner) times(ext string) int {
	n := 0
	for _, l := range p.call.Legs {
		if l.Extension == ext && p.trigger == bridge.OnHold {
			if n += 2 * l.Holds; l.Held {
				n-- // odd: began, even: ended
			}
		}
		if l.Extension == ext && ((p.trigger == bridge.OnRing || p.trigger == bridge.OnStop) && !l.RingAt.IsZero() || p.trigger == bridge.OnAnswer && !l.AnswerAt.IsZero()) {
			n++
		}
	}
	return n
}

// contact makes the client at the answer, or at the end if nobody talked (M-4.1,
// decision 1).
func (p *planner) contact() {
	const rule, name = "calls.contact", "contact"
	c, r := p.call, p.in.Calls.Contact
	ended := p.trigger == bridge.OnEnd
	if r == nil || c.Client == "" || c.Direction == bridge.Internal {
		if !ended {
			return
		}
		switch {
		case r == nil:
			p.no(bridge.ActContact, name, rule, because(contactOff))
		case c.Direction == bridge.Internal:
			p.no(bridge.ActContact, name, rule, because(contactInternal))
		default:
			p.no(bridge.ActContact, name, rule, because(contactWithheld))
		}
		return
	}
	moment, who := string(bridge.Answered), r.Responsible
	if ended {
		moment = string(c.Outcome)
	}
	word := map[string]string{"answered": WhenAnswer, "missed": WhenMissed, "failed": WhenFailed}[moment]
	if len(r.When) > 0 && !slices.Contains(r.When, word) {
		if ended {
			p.no(bridge.ActContact, name, rule, because(contactWhen, strings.Join(r.When, ", "), moment))
		}
		return
	}
	switch {
	case moment != string(bridge.Answered):
		who = ByDefault // nobody talked: decision 1
	case who == "":
		who = ByLastTalked
	}
	a := p.yes(bridge.ActContact, name, rule, because(contactMade, moment))
	a.Responsible, a.Title, a.Fields = who, r.Name, p.allFields()
	if a.Title == "" {
		a.Title = DefaultContactName
	}
	if owner := talker(who, c); ended && owner != "" && owner != c.FirstTalked() {
		// M-4.1 makes the contact at the start of the talk, when only who talks
		// first is known; afterwards it goes to whom the rule means (M-4.1.1,
		// D-03). Delivery does it only if this very call made the contact.
		p.yes(bridge.ActOwner, name+"-owner", rule+".responsible", because(ownerMoves, who, owner, c.FirstTalked())).Responsible = who
	}
}

// fields writes what is to be updated on every call (M-4.2.2).
func (p *planner) fields() {
	rules := p.in.Calls.Fields
	if len(rules) == 0 {
		return
	}
	const rule, name = "calls.fields", "fields"
	if p.call.Client == "" {
		p.no(bridge.ActFields, name, rule, because(fieldsWithheld))
		return
	}
	always := map[string]string{}
	for _, f := range rules {
		if f.Update == UpdateAlways {
			always[f.CRM] = fieldTemplate(f.From)
		}
	}
	if len(always) == 0 {
		p.no(bridge.ActFields, name, rule, because(fieldsOnce))
		return
	}
	p.yes(bridge.ActFields, name, rule, because(fieldsAlways, strconv.Itoa(len(always)))).Fields = always
}

func (p *planner) allFields() map[string]string {
	return templatesOf(p.in.Calls.Fields)
}

// templatesOf is what goes into which field of the CRM; nil for no rules.
func templatesOf(rules []bridge.FieldRule) map[string]string {
	if len(rules) == 0 {
		return nil
	}
	all := map[string]string{}
	for _, f := range rules {
		all[f.CRM] = fieldTemplate(f.From)
	}
	return all
}

// history writes the call itself: every call with the outside (M-0.3).
func (p *planner) history() {
	if p.call.Direction == bridge.Internal {
		p.no(bridge.ActCall, "call", "calls", because(historyInternal))
		return
	}
	p.yes(bridge.ActCall, "call", "calls", because(historyWanted))
}

// communication makes at most one: the first rule that fits counts. Where
// rules ask whether the client is known, only one of the actions made for them
// can come true.
func (p *planner) communication() {
	const base, name = "calls.communications", "communication"
	rules := p.in.Calls.Communications
	if len(rules) == 0 {
		p.no(bridge.ActCommunication, name, base, because(communicationsOff))
		return
	}
	minutes := DefaultMinutes
	if m := p.in.Calls.CommunicationMinutes; m != nil {
		minutes = *m
	}
	var why []string
	var have [2]bool // already asked for: unknown, known clients
	made := 0
	for i, r := range rules {
		miss := p.mismatch(r)
		if miss != "" {
			why = append(why, because(ruleNo, strconv.Itoa(i+1), miss))
			continue
		}
		known, n := r.Known, name
		if known == nil && have != [2]bool{} {
			rest := have[0] // what no rule before has taken
			known = &rest
		}
		if known != nil {
			i := map[bool]int{false: 0, true: 1}[*known]
			if have[i] {
				continue
			}
			have[i] = true
			n += map[bool]string{false: "-unknown", true: "-known"}[*known]
		}
		a := p.yes(bridge.ActCommunication, n, fmt.Sprintf("%s[%d]", base, i), p.match(known))
		a.Known, a.Minutes, a.Responsible = known, minutes, ByTalked
		a.Title, a.Text = defaultTitle(bridge.ActCommunication, p.call), DefaultText
		made++
		if known == nil || have == [2]bool{true, true} {
			break
		}
	}
	if made == 0 {
		p.no(bridge.ActCommunication, name, base, strings.Join(why, "; "))
	}
}

func (p *planner) tasks() {
	const base = "calls.tasks"
	if len(p.in.Calls.Tasks) == 0 {
		p.no(bridge.ActTask, "task", base, because(tasksOff))
	}
	for i, r := range p.in.Calls.Tasks {
		a := p.one(bridge.ActTask, "task", base, i, r.CallRule)
		if !a.Wanted {
			continue
		}
		a.Responsible, a.Title, a.Text, a.Due = r.Responsible, r.Title, r.Text, r.Due
		p.fill(a)
	}
}

func (p *planner) processes() {
	const base = "calls.processes"
	if len(p.in.Calls.Processes) == 0 {
		p.no(bridge.ActProcess, "process", base, because(processesOff))
	}
	for i, r := range p.in.Calls.Processes {
		a := p.one(bridge.ActProcess, "process", base, i, r.CallRule)
		if !a.Wanted {
			continue
		}
		a.Responsible, a.Title, a.Text, a.Scheme, a.AttachOpen = r.Responsible, r.Title, r.Text, r.Scheme, r.AttachOpen
		a.Fields = templatesOf(r.Fields)
		p.fill(a)
	}
}

// one makes the action of the i-th rule of a list.
func (p *planner) one(kind bridge.ActionKind, name, base string, i int, r bridge.CallRule) *bridge.Action {
	name, rule := fmt.Sprintf("%s-%d", name, i), fmt.Sprintf("%s[%d]", base, i)
	if miss := p.mismatch(r); miss != "" {
		return p.add(kind, name, rule, false, miss)
	}
	a := p.yes(kind, name, rule, p.match(r.Known))
	a.Known = r.Known
	return a
}

func (p *planner) fill(a *bridge.Action) {
	if a.Responsible == "" {
		a.Responsible = ByDefault
	}
	if a.Title == "" {
		a.Title = defaultTitle(a.Kind, p.call)
	}
	if a.Text == "" {
		a.Text = DefaultText
	}
}
