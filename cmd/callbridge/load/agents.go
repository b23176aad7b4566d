package load

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// agents are browsers that read their cards.
type agents struct {
	url string

	mu    sync.Mutex
	conns []*websocket.Conn
	sent  map[string]time.Time // client's number → when the frame that makes his card went out
	took  []time.Duration
	cards int
	ended int // connections that the server ended
	wg    sync.WaitGroup
	quiet bool
	snaps int // snapshots received
}

func newAgents(url string) *agents {
	return &agents{url: "ws" + strings.TrimPrefix(url, "http") + "/api/v1/cards", sent: map[string]time.Time{}}
}

// open connects one agent and waits for his snapshot.
func (a *agents) open(ctx context.Context, token string) error {
	d := websocket.Dialer{HandshakeTimeout: 20 * time.Second, ReadBufferSize: 1024, WriteBufferSize: 256}
	c, res, err := d.DialContext(ctx, a.url, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if _, _, err := c.ReadMessage(); err != nil { // the snapshot comes first
		_ = c.Close()
		return err
	}
	a.mu.Lock()
	a.conns = append(a.conns, c)
	a.snaps++
	a.mu.Unlock()
	a.wg.Go(func() { a.read(c) })
	return nil
}

var (
	cardMark   = []byte(`"type":"card"`)
	clientMark = []byte(`"client":"+`)
)

func (a *agents) read(c *websocket.Conn) {
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			a.mu.Lock()
			if !a.quiet {
				a.ended++
			}
			a.mu.Unlock()
			return
		}
		now := time.Now()
		if !bytes.Contains(b, cardMark) {
			continue
		}
		i := bytes.Index(b, clientMark)
		if i < 0 {
			continue
		}
		rest := b[i+len(clientMark):]
		j := bytes.IndexByte(rest, '"')
		if j < 0 {
			continue
		}
		a.mu.Lock()
		a.cards++
		if at, ok := a.sent[string(rest[:j])]; ok && !at.IsZero() {
			a.took = append(a.took, now.Sub(at))
			a.sent[string(rest[:j])] = time.Time{} // the first card counts
		}
		a.mu.Unlock()
	}
}

// marked notes that the frame which makes this client's card was sent. The
// card may be there already.
func (a *agents) marked(client string, at time.Time) {
	a.mu.Lock()
	a.sent[client] = at
	a.mu.Unlock()
}

func (a *agents) drop() {
	a.mu.Lock()
	a.quiet = true
	conns := a.conns
	a.conns = nil
	a.mu.Unlock()
	for _, c := range conns {
		_ = c.NetConn().Close()
	}
	a.wg.Wait()
	a.mu.Lock()
	a.quiet = false
	a.mu.Unlock()
}

func (a *agents) close() { a.drop() }

// times returns how long cards took, in the order they came.
func (a *agents) times() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.took)
}

// latency returns the sorted times, how many cards never came, and all cards.
func (a *agents) latency() (took []time.Duration, missing, cards, ended int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	took = slices.Clone(a.took)
	slices.Sort(took)
	for _, at := range a.sent {
		if !at.IsZero() {
			missing++
		}
	}
	return took, missing, a.cards, a.ended
}
