package arisim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// client is one websocket with its application.
type client struct {
	sim  *Sim
	app  string
	all  bool // subscribeAll
	conn *websocket.Conn

	disallowed map[string]bool // under sim.mu

	mu   sync.Mutex
	out  [][]byte
	wake chan struct{}
	gone chan struct{}
	once sync.Once
}

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// events is GET /events: the websocket.
func (s *Sim) events(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	app := q.Get("app")
	if app == "" {
		// Not JSON: so does the real one.
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte("<html><head><title>400 Bad Request</title></head><body><h1>Bad Request</h1><p>HTTP request is missing param: [app]</p></body></html>"))
		return
	}
	c := &client{sim: s, app: app, all: q.Get("subscribeAll") == "true",
		disallowed: map[string]bool{}, wake: make(chan struct{}, 1), gone: make(chan struct{})}
	// The application is there before the client has its answer, so that its
	// next request finds it.
	s.mu.Lock()
	select {
	case <-s.closed:
		s.mu.Unlock()
		abort(w)
		return
	default:
	}
	if old := s.apps[app]; old != nil {
		old.send(s.frame("ApplicationReplaced", nil)) // and then nothing more; its connection stays
	}
	s.apps[app] = c
	s.wg.Add(2)
	s.mu.Unlock()
	defer s.wg.Done()
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		s.wg.Done()
		c.leave()
		return
	}
	if !c.open(conn) {
		s.wg.Done()
		return
	}
	go func() {
		defer s.wg.Done()
		c.write()
	}()
	c.read()
}

// open gives the client its connection, unless it was cut meanwhile.
func (c *client) open(conn *websocket.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	select {
	case <-c.gone:
		_ = conn.Close()
		return false
	default:
		return true
	}
}

// read answers pings and notices the end. A client has nothing else to say.
func (c *client) read() {
	defer c.leave()
	c.conn.SetPingHandler(func(data string) error {
		if !c.sim.waitStall(c.gone) {
			return websocket.ErrCloseSent
		}
		return c.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	})
	for {
		if _, _, err := c.conn.ReadMessage(); err != nil {
			return
		}
	}
}

// write sends what is queued. A client that does not take it in time is cut,
// as the real one does it.
func (c *client) write() {
	defer c.leave()
	for {
		select {
		case <-c.wake:
		case <-c.gone:
			return
		}
		if !c.sim.waitStall(c.gone) {
			return
		}
		c.mu.Lock()
		out := c.out
		c.out = nil
		c.mu.Unlock()
		for _, f := range out {
			_ = c.conn.SetWriteDeadline(time.Now().Add(c.sim.opt.WriteTimeout))
			if err := c.conn.WriteMessage(websocket.TextMessage, f); err != nil {
				return
			}
		}
	}
}

// send queues a frame.
func (c *client) send(f []byte) {
	c.mu.Lock()
	c.out = append(c.out, f)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// cut ends the connection without a word.
func (c *client) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.once.Do(func() { close(c.gone) })
	if c.conn != nil {
		_ = c.conn.NetConn().Close()
	}
}

func (c *client) leave() {
	c.cut()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	if c.sim.apps[c.app] == c {
		delete(c.sim.apps, c.app) // with it goes its filter
	}
}

const recordedApp = `"application":"callbridge"`

// publish sends an event to those who want it. only names the one application
// that may see it, "" for all. The lock is held.
func (s *Sim) publish(kind string, frame []byte, only string) {
	for app, c := range s.apps {
		if c.disallowed[kind] || (only != "" && only != app) || (!c.all && only == "") {
			continue
		}
		f := frame
		if app != "callbridge" {
			name, _ := json.Marshal(app)
			f = bytes.Replace(frame, []byte(recordedApp), append([]byte(`"application":`), name...), 1)
		}
		c.send(f)
	}
}

// frame makes an event of our own.
func (s *Sim) frame(kind string, members map[string]any) []byte {
	if members == nil {
		members = map[string]any{}
	}
	members["type"] = kind
	members["timestamp"] = time.Now().UTC().Format(ariTime)
	members["asterisk_id"] = asteriskID
	members["application"] = "callbridge"
	b, err := json.Marshal(members)
	if err != nil {
		panic(err) // only maps of strings come here
	}
	return b
}

// tell publishes an event of our own. The lock is held.
func (s *Sim) tell(kind string, members map[string]any) { s.publish(kind, s.frame(kind, members), "") }

const asteriskID = "02:00:00:00:00:01"
