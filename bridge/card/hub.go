package card

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"callbridge/bridge"
)

// Options configure a Hub. The zero value works.
type Options struct {
	Log     *slog.Logger
	Metrics Metrics
	// Origins are further addresses ("https://calls.example.ru") whose pages
	// may connect, besides the address the request itself came to. Only
	// scheme and host count.
	Origins []string
	// Format writes a number for reading; nil shows it as it is. Name gives
	// a colleague's name by extension. Both are called under a lock and must
	// only look into memory.
	Format func(number string) string
	Name   func(extension string) string
	// Moment says when a phone's owner wants cards; nil: as soon as it rings.
	// It is called under a lock like Format.
	Moment func(extension string) bridge.CardMoment
	// Nameless says that a user may not see the names of clients (F-22); asked
	// when his browser connects. nil: everybody may.
	Nameless func(user string) bool
	// Receipt is told that a browser showed a card (F-11). It is called from
	// the connection's reader and may take its time.
	Receipt func(Receipt)
	// Step is how long a browser keeps a ringing card without news, RingMax
	// and TalkMax how long the server keeps one of a call of which nothing is
	// heard any more (D-10). 0: 60 s, 5 min, 4 h.
	Step, RingMax, TalkMax time.Duration
	// Queue is how many messages may wait for one browser. 0: 64.
	Queue int
}

// Receipt is a browser's word that a card was on the screen.
type Receipt struct {
	CallID    string
	Extension string
	User      string
	At        time.Time
	// Took is from the event's arrival (or, if that is not known, from the
	// encoding) to the painted card, by the browser's clock put right by ours.
	Took time.Duration
	// Visible is false if the tab was in the background.
	Visible bool
}

// Who is the signed-in owner of a connection.
type Who struct {
	User      string // login
	Extension string // whose cards he sees; "" sees none
}

// Hub holds the calls that live now and the browsers that are connected, and
// sends each change to those it concerns. All methods may be called from any
// goroutine; none waits for a browser.
type Hub struct {
	o       Options
	metrics Metrics

	mu      sync.Mutex
	closed  bool
	calls   map[string]*live
	byPhone map[bridge.Number]map[string]*live // clients on the phone now (F-25)
	cards   map[string]map[string]*shown       // extension, call
	byExt   map[string]map[*client]struct{}    // recipients
	byUser  map[string]map[*client]struct{}    // for do-not-disturb
	dnd     map[string]bool                    // by extension
	conns   sync.WaitGroup
}

// live is a call that has not ended.
type live struct {
	id       string
	client   bridge.Number
	info     *Info
	infoSeen int // grows with each Enrich
	call     bridge.Call
	cards    map[string]*shown // by extension
	timer    *time.Timer
	arrived  time.Time
}

// oneClient is how many calls at once one client may have. More is a gateway
// that shows one number for everybody: to say "a colleague has him on the
// phone" would be wrong, and would cost the square of the calls.
const oneClient = 8

// shown is one card of one extension.
type shown struct {
	card     Card
	infoSeen int
	body     []byte    // encoded fields, without the braces of the message
	expires  time.Time // what browsers were told
	until    time.Time // never extended beyond
	dead     bool      // ran out: not shown again in this state
	arrived  time.Time
}

// New makes a Hub.
func New(o Options) *Hub {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Format == nil {
		o.Format = func(s string) string { return s }
	}
	if o.Name == nil {
		o.Name = func(string) string { return "" }
	}
	if o.Moment == nil {
		o.Moment = func(string) bridge.CardMoment { return bridge.CardAtRing }
	}
	if o.Nameless == nil {
		o.Nameless = func(string) bool { return false }
	}
	if o.Receipt == nil {
		o.Receipt = func(Receipt) {}
	}
	if o.Step <= 0 {
		o.Step = time.Minute
	}
	if o.RingMax <= 0 {
		o.RingMax = 5 * time.Minute
	}
	if o.TalkMax <= 0 {
		o.TalkMax = 4 * time.Hour
	}
	if o.Queue <= 0 {
		o.Queue = 64
	}
	o.Origins = slices.Clone(o.Origins)
	for i, text := range o.Origins {
		if u, err := url.Parse(text); err == nil {
			o.Origins[i] = u.Scheme + "://" + u.Host
		}
	}
	h := &Hub{o: o, calls: map[string]*live{}, byPhone: map[bridge.Number]map[string]*live{},
		cards: map[string]map[string]*shown{}, byExt: map[string]map[*client]struct{}{},
		byUser: map[string]map[*client]struct{}{}, dnd: map[string]bool{}}
	h.metrics = o.Metrics.filled()
	return h
}

// Apply takes the newest state of a call. arrived is when the event that
// changed it reached us, for the latency metric; zero means not known. It
// keeps nothing of c that the caller may change and never waits.
func (h *Hub) Apply(c *bridge.Call, arrived time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	l := h.calls[c.ID]
	if c.Ended() && l == nil {
		return
	}
	if l == nil {
		l = &live{id: c.ID, cards: map[string]*shown{}}
		h.calls[c.ID] = l
		l.timer = time.AfterFunc(h.o.TalkMax, func() { h.due(c.ID) })
	}
	l.arrived = arrived
	l.call = *c
	l.call.Legs = slices.Clone(c.Legs)
	l.call.AnsweredBy = slices.Clone(c.AnsweredBy)
	l.call.Transfers = slices.Clone(c.Transfers)
	l.call.Rang, l.call.Recordings, l.call.Gaps = nil, nil, nil
	if l.client != c.Client {
		h.unlinkPhone(l)
		l.client = c.Client
		if c.Client != "" {
			if h.byPhone[c.Client] == nil {
				h.byPhone[c.Client] = map[string]*live{}
			}
			h.byPhone[c.Client][c.ID] = l
		}
	}
	h.refresh(l)
	if c.Ended() {
		h.forget(l)
	}
	if same := h.byPhone[c.Client]; len(same) <= oneClient {
		for id, other := range same {
			if id != c.ID {
				h.refresh(other)
			}
		}
	}
}

// Enrich adds what was found out about a call to its cards, also to those that
// are opened later. A call that is over is ignored.
func (h *Hub) Enrich(callID string, i Info) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.calls[callID]
	if l == nil || h.closed {
		return
	}
	l.info = l.info.merge(i)
	l.infoSeen++
	l.arrived = time.Time{}
	h.refresh(l)
}

// Drop forgets a call without an ending, for one that was merged into another.
func (h *Hub) Drop(callID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.calls[callID]
	if l == nil || h.closed {
		return
	}
	for ext := range l.cards {
		h.drop(l, ext, Merged)
	}
	h.forget(l)
}

// Cards returns what the owner of extension should see now.
func (h *Hub) Cards(extension string) []Card {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []Card{}
	for _, s := range h.cards[extension] {
		if !s.dead {
			out = append(out, s.card)
		}
	}
	slices.SortFunc(out, func(a, b Card) int { return a.StartedAt.Compare(b.StartedAt.Time) })
	return out
}

// OnPhone returns who has this client on the phone now, or calls him (F-25).
func (h *Hub) OnPhone(n bridge.Number) []Person {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.busy(n, "", "")
}

// SetDND tells all tabs of an extension whether do-not-disturb is on. It only
// shows it; refusing calls is the PBX's part.
func (h *Hub) SetDND(extension string, on bool) {
	if extension == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.dnd[extension] == on {
		return
	}
	if on {
		h.dnd[extension] = true
	} else {
		delete(h.dnd, extension)
	}
	body := []byte(`"type":"state","dnd":false}`)
	if on {
		body = []byte(`"type":"state","dnd":true}`)
	}
	h.send(extension, &frame{body: body, kind: kindState})
}

// DND says what SetDND said last.
func (h *Hub) DND(extension string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dnd[extension]
}

// Notify sends a message of the given type to all tabs of an extension, such
// as ("missed", …) after a call was stored. data must encode to a JSON object.
func (h *Hub) Notify(extension, kind string, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	k, _ := json.Marshal(kind)
	if len(b) < 2 || b[0] != '{' {
		return errors.New("card: what is sent to a browser must be an object")
	}
	body := append([]byte(`"type":`), k...)
	if len(b) > 2 {
		body = append(body, ',')
	}
	body = append(body, b[1:]...)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.send(extension, &frame{body: body, kind: kindState})
	}
	return nil
}

// Close disconnects every browser (they come back elsewhere or later) and
// waits for their goroutines.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	for _, l := range h.calls {
		l.timer.Stop()
	}
	for _, set := range h.byUser {
		for c := range set {
			c.kick(closeGoingAway, "the server stops")
		}
	}
	h.mu.Unlock()
	h.conns.Wait()
}
