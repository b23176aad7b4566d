package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	_ "modernc.org/sqlite" // another program that writes into our database
)

// slowSockets are a network on which websockets, and nothing else, take their
// time for each frame.
type slowSockets struct{ net.Listener }

func (l slowSockets) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &slowSocket{Conn: c}, nil
}

type slowSocket struct {
	net.Conn
	upgraded atomic.Bool
}

// slowness is above the limit of the alarm, 250 ms.
const slowness = 600 * time.Millisecond

func (c *slowSocket) Write(p []byte) (int, error) {
	if c.upgraded.Load() {
		<-time.After(slowness)
	}
	if bytes.HasPrefix(p, []byte("HTTP/1.1 101")) {
		c.upgraded.Store(true)
	}
	return c.Conn.Write(p)
}

// watchCards is an agent's browser that takes every card until the test ends.
func watchCards(t *testing.T, d *demoRun, login, password string) {
	t.Helper()
	body := strings.NewReader(`{"login":"` + login + `","password":"` + password + `"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+d.app.Addr()+"/api/v1/session", body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var in struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&in); err != nil || in.Token == "" {
		t.Fatalf("HTTP %d, %v", res.StatusCode, err)
	}
	ws, ans, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+d.app.Addr()+"/api/v1/cards", http.Header{"Authorization": {"Bearer " + in.Token}})
	if err != nil {
		t.Fatal(err)
	}
	_ = ans.Body.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = ws.Close(); <-done })
	eventually(t, "the agent is connected", func() bool {
		_, text := get(t, "http://"+d.app.Addr()+"/metrics", "")
		return strings.Contains(text, "callbridge_connected_agents 1")
	})
}

// lockDatabase keeps the demo from writing, as a backup gone wrong or a full
// disk would, until the test ends.
func lockDatabase(t *testing.T, d *demoRun) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(d.opts.Config.Database.Reveal(), "sqlite:")+"?_pragma=busy_timeout(30000)")
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(t.Context())
	if err == nil {
		_, err = c.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil { // rolls back
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}
