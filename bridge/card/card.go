// Package card shows calls to phone agents while they happen. A pure function
// says which phone's owner is to see which card, and a hub keeps the websockets
// of all open browser tabs up to date.
//
// What a browser can rely on (F-10):
//   - the first message is a snapshot of everything it should show, so a
//     refreshed or reconnected tab never misses a card (D-25);
//   - each message has the next sequence number and the server's clock, and
//     each card the moment at which it must vanish even if nothing more is
//     heard, so a frozen tab silences itself;
//   - it gets the cards of its own extension and nobody else's (D-26);
//   - if it reads too slowly it is closed with code 4001 and comes back for a
//     new snapshot; no other browser waits for it (D-32).
package card

import (
	"cmp"
	"maps"
	"slices"

	"callbridge/bridge"
)

// State is what one phone does in a call, as its owner's card shows it.
type State string

const (
	Ringing  State = "ringing"
	Dialling State = "dialling" // the owner called out and nobody answered yet
	Talking  State = "talking"
	OnHold   State = "held"
)

// rank orders states for a phone with several legs in one call: the one its
// owner is busy with wins.
func (s State) rank() int {
	switch s {
	case Talking:
		return 4
	case OnHold:
		return 3
	case Ringing:
		return 2
	case Dialling:
		return 1
	}
	return 0
}

// Why says why a card vanished. The list is closed; pages translate it.
type Why string

const (
	Elsewhere Why = "answered_elsewhere" // a colleague took the call
	Missed    Why = "missed"             // the call ended and nobody talked
	NoAnswer  Why = "no_answer"          // this phone stopped ringing, the call goes on
	Ended     Why = "ended"              // this phone's talk is over
	Merged    Why = "merged"             // it turned out to be part of another call, which has its own card
	Expired   Why = "expired"            // nothing was heard for too long (D-10)
)

// Person is a colleague's phone on a card.
type Person struct {
	Extension string `json:"extension"`
	Name      string `json:"name,omitempty"`
}

// Card is one call as the owner of one phone sees it.
type Card struct {
	ID         string           `json:"id"` // the call's id
	Extension  string           `json:"extension"`
	State      State            `json:"state"`
	Direction  bridge.Direction `json:"direction"`
	Client     bridge.Number    `json:"client,omitempty"`      // E.164
	ClientText string           `json:"client_text,omitempty"` // for reading
	ClientName string           `json:"client_name,omitempty"` // as the PBX gave it
	Line       string           `json:"line,omitempty"`
	LineText   string           `json:"line_text,omitempty"`
	Queue      string           `json:"queue,omitempty"`
	StartedAt  bridge.Time      `json:"started_at,omitzero"`  // of the call
	Since      bridge.Time      `json:"since,omitzero"`       // of the state
	AlsoRings  []Person         `json:"also_rings,omitempty"` // other phones that ring now
	AlsoTalks  []Person         `json:"also_talks,omitempty"` // other phones in the call now
	From       *Person          `json:"from,omitempty"`       // who transferred it, or the colleague who calls
	To         string           `json:"to,omitempty"`         // internal: the colleague called
	// Busy lists colleagues who have this client on the phone in another call (F-25).
	Busy []Person `json:"busy,omitempty"`
	Info *Info    `json:"info,omitempty"` // what was found out since; grows while the card is open
}

// Info is what we learn about the client while the phone already rings. Each
// source adds its part with Hub.Enrich when it has it; no card waits for it.
type Info struct {
	LineName string            `json:"line_name,omitempty"`
	Source   map[string]string `json:"source,omitempty"` // utm_source, utm_medium, …
	// Clients holds one entry per integration.
	Clients []Client `json:"clients,omitempty"`
	// LastCalls are the latest calls with this number, newest first.
	LastCalls []LastCall `json:"last_calls,omitempty"`
}

// Client is who one CRM says is calling.
type Client struct {
	Integration string `json:"integration"`
	// Order is the integration's place among the others, so that a card looks
	// the same whichever CRM answers first.
	Order   int    `json:"-"`
	Title   string `json:"title,omitempty"` // name of the CRM for people
	Found   bool   `json:"found"`           // false: the CRM answered and does not know the number
	Name    string `json:"name,omitempty"`
	Company string `json:"company,omitempty"`
	// Responsible owns the client in the CRM (the personal manager).
	Responsible string `json:"responsible,omitempty"`
	// ResponsibleExtension is his phone, "" if unknown.
	ResponsibleExtension string `json:"responsible_extension,omitempty"`
	// Several is how many clients of the CRM have this number; the one shown
	// was chosen by rule (D-24).
	Several int `json:"several,omitempty"`
	// Others are the clients that were not chosen, a bounded number of them.
	Others []Candidate `json:"others,omitempty"`
	URL    string      `json:"url,omitempty"`
	Deals  []Deal      `json:"deals,omitempty"` // open ones
	// Trouble says that the CRM could not be asked: slow, down, held.
	Trouble string `json:"trouble,omitempty"`
}

// Candidate is another client with the same number (D-24).
type Candidate struct {
	Name        string `json:"name,omitempty"`
	Company     string `json:"company,omitempty"`
	Responsible string `json:"responsible,omitempty"`
	URL         string `json:"url,omitempty"`
}

// Deal is an open process or order.
type Deal struct {
	Name     string  `json:"name"`
	Stage    string  `json:"stage,omitempty"`
	Sum      float64 `json:"sum,omitempty"`
	Currency string  `json:"currency,omitempty"`
	URL      string  `json:"url,omitempty"`
}

// LastCall is an earlier call with the same client.
type LastCall struct {
	ID        string           `json:"id"`
	At        bridge.Time      `json:"at"`
	Direction bridge.Direction `json:"direction"`
	Outcome   bridge.Outcome   `json:"outcome"`
	Person    string           `json:"person,omitempty"` // who talked
	TalkMS    int64            `json:"talk_ms,omitempty"`
}

// merge returns a new Info with what other knows added: a client replaces the
// one of the same integration, empty values change nothing.
func (i *Info) merge(other Info) *Info {
	out := Info{}
	if i != nil {
		out = *i
	}
	if other.LineName != "" {
		out.LineName = other.LineName
	}
	if other.Source != nil {
		out.Source = maps.Clone(other.Source)
	}
	if other.LastCalls != nil {
		out.LastCalls = slices.Clone(other.LastCalls)
	}
	out.Clients = slices.Clone(out.Clients)
	for _, c := range other.Clients {
		n := slices.IndexFunc(out.Clients, func(o Client) bool { return o.Integration == c.Integration })
		if n < 0 {
			out.Clients = append(out.Clients, c)
		} else {
			out.Clients[n] = c
		}
	}
	slices.SortStableFunc(out.Clients, func(a, b Client) int { return cmp.Compare(a.Order, b.Order) })
	return &out
}

// Wanted says who is to see the call now, by extension, and in which state.
// It is pure. The card follows the ringing phone (D-11): every phone that
// rings has one; a phone that rang before a colleague answered has none from
// that answer on, even if its hang-up is never told (D-10). Whoever talks
// keeps it until his part is over. Who calls out sees his own call.
func Wanted(c *bridge.Call) map[string]State {
	if c.Ended() {
		return nil
	}
	var out map[string]State
	put := func(ext string, s State) {
		if out == nil {
			out = map[string]State{}
		}
		if s.rank() > out[ext].rank() {
			out[ext] = s
		}
	}
	began := c.Agent != "" && c.Direction != bridge.In
	agentSeen := false
	for i := range c.Legs {
		l := &c.Legs[i]
		if l.Extension == "" {
			continue
		}
		if began && l.Extension == c.Agent {
			agentSeen = true
		}
		if !l.EndAt.IsZero() || l.Result != "" && l.Result != bridge.LegAnswered {
			continue
		}
		switch {
		case began && l.Extension == c.Agent && c.AnsweredAt.IsZero():
			if l.AnswerAt.IsZero() && !l.RingAt.IsZero() {
				put(l.Extension, Ringing) // a click: his own phone rings first
			} else if c.Direction == bridge.Out {
				put(l.Extension, Dialling)
			}
		case !l.AnswerAt.IsZero() || began && l.Extension == c.Agent:
			if l.Held {
				put(l.Extension, OnHold)
			} else {
				put(l.Extension, Talking)
			}
		case !l.RingAt.IsZero() && !answeredElsewhere(c, l):
			put(l.Extension, Ringing)
		}
	}
	if began && !agentSeen && c.Direction == bridge.Out {
		if c.AnsweredAt.IsZero() {
			put(c.Agent, Dialling)
		} else {
			put(c.Agent, Talking)
		}
	}
	return out
}

// answeredElsewhere says that another phone answered after l began to ring.
// The phone that began the call does not count: it is no competitor.
func answeredElsewhere(c *bridge.Call, l *bridge.Leg) bool {
	for i := range c.Legs {
		o := &c.Legs[i]
		if o.Extension == l.Extension || o.AnswerAt.IsZero() || o.Extension == c.Agent && c.Direction != bridge.In {
			continue
		}
		if !o.AnswerAt.Before(l.RingAt.Time) {
			return true
		}
	}
	return false
}

// leftBecause says why the card of ext is no longer wanted.
func leftBecause(c *bridge.Call, ext string, was State) Why {
	if was == Talking || was == OnHold {
		return Ended
	}
	talked := len(c.AnsweredBy) > 0
	for i := range c.Legs {
		talked = talked || !c.Legs[i].AnswerAt.IsZero() && !(c.Legs[i].Extension == c.Agent && c.Direction != bridge.In)
	}
	switch {
	case was == Dialling:
		return Ended
	case talked:
		return Elsewhere
	case c.Ended():
		return Missed
	}
	return NoAnswer
}
