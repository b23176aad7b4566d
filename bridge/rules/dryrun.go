package rules

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"callbridge/bridge"
)

// Effect says how a change of the settings touches one action of one call.
type Effect string

const (
	WouldCreate Effect = "created"     // wanted with the new rules, not with the present ones
	WouldNot    Effect = "not_created" // wanted with the present rules, not with the new ones
	WouldChange Effect = "changed"     // wanted with both, but otherwise
)

// Difference is one action that the new rules treat otherwise (F-4).
type Difference struct {
	Effect      Effect            `json:"effect"`
	CallID      string            `json:"call_id"`
	Integration string            `json:"integration"`
	Kind        bridge.ActionKind `json:"kind"`
	Key         string            `json:"key"`
	Rule        string            `json:"rule"`
	Was         string            `json:"was"`               // reason with the present rules
	Now         string            `json:"now"`               // reason with the new rules
	Changed     []string          `json:"changed,omitempty"` // what of the action
}

// DryCount is how many actions of one kind would be touched.
type DryCount struct {
	Integration string            `json:"integration"`
	Kind        bridge.ActionKind `json:"kind"`
	Present     int               `json:"present"` // wanted with the present rules
	Next        int               `json:"next"`    // wanted with the new ones
	Created     int               `json:"created"`
	NotCreated  int               `json:"not_created"`
	Changed     int               `json:"changed"`
}

// DryRun is what would have been on stored calls.
type DryRun struct {
	Calls  int        `json:"calls"`
	Counts []DryCount `json:"counts"`
	// Differences are at most as many as asked for; the counts are whole.
	Differences []Difference `json:"differences"`
	Left        int          `json:"left_out,omitempty"`
}

// Touched says how many actions would be otherwise.
func (d DryRun) Touched() int {
	n := 0
	for _, c := range d.Counts {
		n += c.Created + c.NotCreated + c.Changed
	}
	return n
}

// Decisions returns what the rules of one integration want and do not want of
// a whole call: the moments are gone through as they came, and of one key the
// first decision counts, as in the store. Pop-ups are left out: they are of no
// use later. An integration whose rules have no moment gives nothing.
func Decisions(call bridge.Call, in bridge.Integration, version int64) []bridge.Action {
	var out []bridge.Action
	at := map[string]int{}
	add := func(list []bridge.Action) {
		for _, a := range list {
			if a.Kind == bridge.ActPopup {
				continue
			}
			if _, there := at[a.Key]; !there {
				at[a.Key] = len(out)
				out = append(out, a)
			}
		}
	}
	for _, ext := range call.Rang {
		add(Plan(call, bridge.OnRing, ext, in, version))
	}
	if len(call.AnsweredBy) > 0 && call.Outcome == bridge.Answered {
		// While they talked nobody knew who would be the last.
		live := call
		live.Outcome, live.AnsweredBy = "", call.AnsweredBy[:1]
		add(Plan(live, bridge.OnAnswer, call.AnsweredBy[0], in, version))
	}
	add(Plan(call, bridge.OnEnd, "", in, version))
	return out
}

// Compare says what the new settings would have done otherwise with calls that
// have ended (F-4). It is pure and asks nobody: whether a client is known to
// the CRM stays a condition of the action. most bounds the list of differences.
func Compare(calls []bridge.Call, present, next []bridge.Integration, most int) DryRun {
	d := DryRun{Counts: []DryCount{}, Differences: []Difference{}}
	type kindOf struct {
		integration string
		kind        bridge.ActionKind
	}
	counts := map[kindOf]*DryCount{}
	for i := range calls {
		if !calls[i].Ended() {
			continue
		}
		d.Calls++
		for _, id := range ids(present, next) {
			was, now := byKey(&calls[i], present, id), byKey(&calls[i], next, id)
			for _, key := range keysOf(was, now) {
				a, b := was[key], now[key]
				kind := cmp.Or(a.Kind, b.Kind)
				n := counts[kindOf{id, kind}]
				if n == nil {
					n = &DryCount{Integration: id, Kind: kind}
					counts[kindOf{id, kind}] = n
				}
				x := Difference{CallID: calls[i].ID, Integration: id, Kind: kind, Key: key, Rule: cmp.Or(b.Rule, a.Rule), Was: a.Reason, Now: b.Reason}
				if a.Wanted {
					n.Present++
				}
				if b.Wanted {
					n.Next++
				}
				switch {
				case b.Wanted && !a.Wanted:
					x.Effect, n.Created = WouldCreate, n.Created+1
				case a.Wanted && !b.Wanted:
					x.Effect, n.NotCreated = WouldNot, n.NotCreated+1
				case a.Wanted:
					if x.Changed = changes(a, b); len(x.Changed) == 0 {
						continue
					}
					x.Effect, n.Changed = WouldChange, n.Changed+1
				default:
					continue
				}
				if len(d.Differences) < most {
					d.Differences = append(d.Differences, x)
				} else {
					d.Left++
				}
			}
		}
	}
	for _, n := range counts {
		d.Counts = append(d.Counts, *n)
	}
	order := bridge.ActionKinds()
	slices.SortFunc(d.Counts, func(a, b DryCount) int {
		return cmp.Or(strings.Compare(a.Integration, b.Integration), slices.Index(order, a.Kind)-slices.Index(order, b.Kind))
	})
	return d
}

func ids(lists ...[]bridge.Integration) []string {
	var out []string
	for _, list := range lists {
		for _, in := range list {
			if !slices.Contains(out, in.ID) {
				out = append(out, in.ID)
			}
		}
	}
	return out
}

// byKey are the decisions for a call, nothing for an integration that is not there.
func byKey(call *bridge.Call, list []bridge.Integration, id string) map[string]bridge.Action {
	i := slices.IndexFunc(list, func(in bridge.Integration) bool { return in.ID == id })
	if i < 0 {
		return nil
	}
	out := map[string]bridge.Action{}
	for _, a := range Decisions(*call, list[i], 0) {
		out[a.Key] = a
	}
	return out
}

func keysOf(a, b map[string]bridge.Action) []string {
	var out []string
	for k := range a {
		out = append(out, k)
	}
	for k := range b {
		if _, there := a[k]; !there {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// changes names what of an action is not the same. Where it came from and why
// does not count: the CRM would get the same.
func changes(a, b bridge.Action) []string {
	var out []string
	for _, x := range []struct {
		name     string
		was, now any
	}{{"responsible", a.Responsible, b.Responsible}, {"title", a.Title, b.Title}, {"text", a.Text, b.Text}, {"due", a.Due, b.Due}, {"minutes", a.Minutes, b.Minutes},
		{"scheme", a.Scheme, b.Scheme}, {"attach_open", a.AttachOpen, b.AttachOpen}, {"known", known(a.Known), known(b.Known)}} {
		if x.was != x.now {
			out = append(out, fmt.Sprintf("%s: %v → %v", x.name, shown(x.was), shown(x.now)))
		}
	}
	if !(len(a.Fields) == 0 && len(b.Fields) == 0) && !reflect.DeepEqual(a.Fields, b.Fields) {
		out = append(out, "fields")
	}
	return out
}

func known(k *bool) string {
	switch {
	case k == nil:
		return ""
	case *k:
		return "true"
	}
	return "false"
}

func shown(v any) any {
	switch x := v.(type) {
	case string:
		if x == "" {
			return "–"
		}
	case bridge.Duration:
		b, err := x.MarshalText()
		if err == nil {
			return string(b)
		}
	}
	return v
}
