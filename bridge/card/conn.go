package card

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Close codes of our own; the agent page knows them.
const (
	CloseResync    = 4001 // too slow: come back at once, a snapshot waits
	closeGoingAway = websocket.CloseGoingAway
)

const (
	writeWait  = 10 * time.Second
	pingEvery  = 20 * time.Second
	pongWait   = 50 * time.Second
	readLimit  = 2048 // bytes of one message from a browser
	readBuffer = 512
	// readBudget is how many messages a browser may send a minute. A page
	// sends one a card; more is a fault or an attack.
	readBudget = 240
)

// buffers are shared by all connections: a writing one holds a buffer for the
// time of one message only, so idle connections cost none.
var buffers = &sync.Pool{}

type kind uint8

const (
	kindState kind = iota
	kindCard
	kindGone
)

// frame is one message, encoded once for all who get it. body lacks the
// opening brace and what differs by connection.
type frame struct {
	body     []byte
	nameless []byte // instead of body, for those who may not see names
	kind     kind
	arrived  time.Time
}

// of is the body that one may see.
func (f *frame) of(c *client) []byte {
	if c.nameless && f.nameless != nil {
		return f.nameless
	}
	return f.body
}

// client is one connected tab.
type client struct {
	hub  *Hub
	who  Who
	conn *websocket.Conn
	out  chan *frame
	// nameless: he may not see the names of clients.
	nameless bool

	stop chan struct{} // closed by kick
	once sync.Once
	code int
	text string
	sent atomic.Uint64
}

// kick ends the connection with a code. It never waits.
func (c *client) kick(code int, text string) {
	c.once.Do(func() {
		c.code, c.text = code, text
		close(c.stop)
		// The writer may hang in a write to a browser that reads nothing, so
		// the farewell is said from the side and the line cut after it.
		go func() {
			_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(time.Second))
			_ = c.conn.Close()
		}()
	})
}

// Serve upgrades the request and returns; two goroutines keep the connection
// from then on. The caller has checked who it is.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, who Who) {
	up := websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second,
		ReadBufferSize:   readBuffer,
		WriteBufferSize:  4096,
		WriteBufferPool:  buffers,
		CheckOrigin:      h.originOK,
	}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	h.Attach(conn, who)
}

// Attach takes over an open connection. Serve uses it; so may a test.
func (h *Hub) Attach(conn *websocket.Conn, who Who) {
	c := &client{hub: h, who: who, conn: conn, out: make(chan *frame, h.o.Queue), stop: make(chan struct{}), nameless: h.o.Nameless(who.User)}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		c.kick(closeGoingAway, "the server stops")
		return
	}
	// The snapshot and the place in the lists belong together: no change can
	// fall between them (D-25).
	c.out <- &frame{body: h.snapshot(who.Extension, c.nameless), kind: kindState}
	add := func(m map[string]map[*client]struct{}, key string) {
		if m[key] == nil {
			m[key] = map[*client]struct{}{}
		}
		m[key][c] = struct{}{}
	}
	if who.Extension != "" {
		add(h.byExt, who.Extension)
	}
	add(h.byUser, who.User)
	h.conns.Add(2)
	h.mu.Unlock()
	go c.write()
	go c.read()
}

// KickUser ends all connections of a user, after sign-out or when his rights
// or extension changed.
func (h *Hub) KickUser(login string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.byUser[login] {
		h.remove(c)
		c.kick(websocket.ClosePolicyViolation, "signed out")
	}
}

// originOK lets pages of our own address in, and those configured.
func (h *Hub) originOK(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true // not a browser: it carries a token, not somebody's cookie
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	return strings.EqualFold(u.Host, r.Host) || slices.ContainsFunc(h.o.Origins, func(o string) bool { return strings.EqualFold(o, origin) })
}

func (c *client) write() {
	defer c.hub.conns.Done()
	defer c.leave()
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	var seq uint64
	var head [64]byte
	for {
		var f *frame
		select {
		case <-c.stop:
			return
		case f = <-c.out:
		case <-tick.C:
			// The ping makes the browser answer; the text is for the page,
			// which cannot see pings and must notice a dead line too.
			deadline := time.Now().Add(writeWait)
			if err := c.conn.WriteControl(websocket.PingMessage, nil, deadline); err != nil {
				return
			}
			f = tickFrame
		}
		seq++
		b := append(head[:0], `{"seq":`...)
		b = strconv.AppendUint(b, seq, 10)
		b = append(b, `,"now":`...)
		b = strconv.AppendInt(b, time.Now().UnixMilli(), 10)
		b = append(b, ',')
		if err := c.conn.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
			return
		}
		w, err := c.conn.NextWriter(websocket.TextMessage)
		if err != nil {
			return
		}
		_, err = w.Write(b)
		if err == nil {
			_, err = w.Write(f.of(c))
		}
		if err2 := w.Close(); err != nil || err2 != nil {
			return
		}
		c.sent.Store(seq)
		if f.kind == kindCard {
			c.hub.metrics.Sent()
			if !f.arrived.IsZero() {
				c.hub.metrics.Latency(time.Since(f.arrived).Seconds())
			}
		}
	}
}

var tickFrame = &frame{body: []byte(`"type":"tick"}`)}

// word is what a browser may say.
type word struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	MS      int64  `json:"ms"`
	Visible *bool  `json:"visible"`
}

func (c *client) read() {
	defer c.hub.conns.Done()
	defer c.leave()
	c.conn.SetReadLimit(readLimit)
	extend := func(string) error { return c.conn.SetReadDeadline(time.Now().Add(pongWait)) }
	_ = extend("")
	c.conn.SetPongHandler(extend)
	var minute time.Time
	budget := 0
	for {
		_, b, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		if now := time.Now(); now.Sub(minute) > time.Minute {
			minute, budget = now, readBudget
		}
		if budget--; budget < 0 {
			c.kick(websocket.ClosePolicyViolation, "too many messages")
			return
		}
		var m word
		if json.NewDecoder(bytes.NewReader(b)).Decode(&m) != nil || m.Type != "shown" || m.ID == "" || len(m.ID) > 64 {
			continue // a newer page may know more words than we do
		}
		if !c.hub.mayConfirm(c.who.Extension, m.ID) {
			continue
		}
		took := time.Duration(min(max(m.MS, 0), int64(time.Hour/time.Millisecond))) * time.Millisecond
		c.hub.metrics.Confirmed()
		c.hub.o.Receipt(Receipt{CallID: m.ID, Extension: c.who.Extension, User: c.who.User, At: time.Now(),
			Took: took, Visible: m.Visible == nil || *m.Visible})
	}
}

// mayConfirm accepts receipts for calls that live; what ended within the
// network's delay loses its receipt, what is invented finds no row.
func (h *Hub) mayConfirm(ext, id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return ext != "" && h.calls[id] != nil
}

// leave is the end of either goroutine; it makes the other end too.
func (c *client) leave() {
	c.hub.mu.Lock()
	c.hub.remove(c)
	c.hub.mu.Unlock()
	c.kick(websocket.CloseNormalClosure, "")
}
