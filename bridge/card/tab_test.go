package card

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"callbridge/bridge"
)

// message is any message to a browser.
type message struct {
	Seq       uint64     `json:"seq"`
	Now       int64      `json:"now"`
	Type      string     `json:"type"`
	Cards     []sentCard `json:"cards"`
	Card      *sentCard  `json:"card"`
	ID        string     `json:"id"`
	Why       Why        `json:"why"`
	ExpiresAt int64      `json:"expires_at"`
	DND       bool       `json:"dnd"`
}

type sentCard struct {
	Card
	ExpiresAt int64 `json:"expires_at"`
	ArrivedAt int64 `json:"arrived_at"`
}

// tab is a browser tab as the agent page behaves: it believes the snapshot,
// applies what follows, and hides what has run out.
type tab struct {
	t    *testing.T
	conn *websocket.Conn

	mu    sync.Mutex
	cards map[string]sentCard
	gone  map[string]Why
	seen  []string // types in order
	seq   uint64
	dnd   bool
	code  int // close code, once closed
	at    map[string]time.Time
}

// hijacked is the least a ResponseWriter must be to be upgraded.
type hijacked struct {
	net.Conn
	header http.Header
	status int
}

func (h *hijacked) Header() http.Header { return h.header }
func (h *hijacked) WriteHeader(s int)   { h.status = s }
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.Conn, bufio.NewReadWriter(bufio.NewReaderSize(h.Conn, 16), bufio.NewWriter(h.Conn)), nil
}

// open connects without reading anything.
func open(t *testing.T, h *Hub, who Who) *tab {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		r, err := http.ReadRequest(bufio.NewReader(ours))
		if err != nil {
			_ = ours.Close()
			return
		}
		h.Serve(&hijacked{Conn: ours, header: http.Header{}}, r, who)
	}()
	d := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return theirs, nil }}
	conn, _, err := d.DialContext(t.Context(), "ws://calls.example.ru/api/v1/cards", nil)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	b := &tab{t: t, conn: conn, cards: map[string]sentCard{}, gone: map[string]Why{}, at: map[string]time.Time{}}
	t.Cleanup(func() { _ = conn.Close() })
	return b
}

// connect opens a tab that reads.
func connect(t *testing.T, h *Hub, who Who) *tab {
	t.Helper()
	b := open(t, h, who)
	go b.read()
	synctest.Wait()
	return b
}

func (b *tab) read() {
	for {
		_, raw, err := b.conn.ReadMessage()
		if err != nil {
			b.mu.Lock()
			if ce, ok := errors.AsType[*websocket.CloseError](err); ok {
				b.code = ce.Code
			} else {
				b.code = -1
			}
			b.mu.Unlock()
			return
		}
		var m message
		if err := json.Unmarshal(raw, &m); err != nil {
			b.t.Errorf("not JSON: %v in %s", err, raw)
			return
		}
		b.take(m)
	}
}

func (b *tab) take(m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	if m.Seq != b.seq {
		b.t.Errorf("sequence number %d after %d", m.Seq, b.seq-1)
	}
	if m.Now == 0 {
		b.t.Errorf("message %d has no clock", m.Seq)
	}
	b.seen = append(b.seen, m.Type)
	switch m.Type {
	case "snapshot":
		b.cards, b.dnd = map[string]sentCard{}, m.DND
		for _, c := range m.Cards {
			b.cards[c.ID] = c
		}
	case "card":
		b.cards[m.Card.ID] = *m.Card
		delete(b.gone, m.Card.ID)
		b.at[m.Card.ID] = time.Now()
	case "gone":
		delete(b.cards, m.ID)
		b.gone[m.ID] = m.Why
	case "keep":
		if c, ok := b.cards[m.ID]; ok {
			c.ExpiresAt = m.ExpiresAt
			b.cards[m.ID] = c
		}
	case "state":
		b.dnd = m.DND
	}
}

// view is what the tab shows now.
func (b *tab) view() map[string]State {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]State{}
	for id, c := range b.cards {
		if time.Now().UnixMilli() < c.ExpiresAt {
			out[id] = c.State
		}
	}
	return out
}

func (b *tab) card(id string) sentCard {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cards[id]
}

func (b *tab) why(id string) Why {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.gone[id]
}

func (b *tab) closed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.code
}

// call makes an incoming call; each step of legs is made by the helpers below.
func call(id string, legs ...bridge.Leg) *bridge.Call {
	return &bridge.Call{ID: id, PBX: "office", Direction: bridge.In, Client: "+79161234567", ClientRaw: "79161234567",
		Line: "+74951234567", StartedAt: bridge.At(time.Now()), Legs: legs}
}

func rings(ext string) bridge.Leg {
	return bridge.Leg{Extension: ext, RingAt: bridge.At(time.Now())}
}

func answers(c *bridge.Call, ext string) {
	for i := range c.Legs {
		if c.Legs[i].Extension == ext && c.Legs[i].EndAt.IsZero() {
			c.Legs[i].AnswerAt = bridge.At(time.Now())
		}
	}
	c.AnsweredBy = append(c.AnsweredBy, ext)
	if c.AnsweredAt.IsZero() {
		c.AnsweredAt = bridge.At(time.Now())
	}
}

func ends(c *bridge.Call, o bridge.Outcome) {
	c.Outcome, c.EndedAt = o, bridge.At(time.Now())
	for i := range c.Legs {
		if c.Legs[i].EndAt.IsZero() {
			c.Legs[i].EndAt = c.EndedAt
		}
	}
}
