package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callbridge/bridge"
	"callbridge/bridge/config"
	"callbridge/bridge/web"
	"callbridge/store"
)

// besieged is the real server on a real address.
type besieged struct {
	*App
	t    *testing.T
	base string // host:port
}

func besiege(t *testing.T) *besieged {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Database = config.Secret("sqlite:" + filepath.Join(t.TempDir(), "callbridge.db"))
	a, err := New(t.Context(), Options{Config: cfg, Key: bytes.Repeat([]byte{7}, 32), Log: slog.New(slog.DiscardHandler), Listener: l})
	if err != nil {
		t.Fatal(err)
	}
	s := bridge.Settings{Users: []bridge.User{{Login: "admin", Role: bridge.Admin}, {Login: "ivan", Role: bridge.Agent, Extension: "101"}, {Login: "olga", Role: bridge.Agent, Extension: "102"}},
		Employees: []bridge.Employee{{Extension: "101", Name: "Иван"}, {Extension: "102", Name: "Ольга"}},
		Integrations: []bridge.Integration{{ID: "shop", Kind: "retailcrm", DefaultResponsible: "ivan@example.ru",
			Credentials: map[string]string{"url": "http://127.0.0.1:1", "api_key": "0123456789abcdef0123456789abcdef"}}}}
	if _, err := a.Apply(t.Context(), "test", "", s); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, u := range s.Users {
		if err := a.db.CreateSession(t.Context(), store.Session{TokenHash: web.TokenHash("token-of-" + u.Login), Login: u.Login, Label: "test",
			CreatedAt: bridge.At(now), SeenAt: bridge.At(now), ExpiresAt: bridge.At(now.Add(time.Hour))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return &besieged{App: a, t: t, base: l.Addr().String()}
}

// do makes a request as somebody ("" is nobody) and returns the status.
func (b *besieged) do(login, method, path string, body io.Reader, header ...string) int {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if login != "" {
		r.Header.Set("Authorization", "Bearer token-of-"+login)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return 0 // cut off, which is an answer too
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func (b *besieged) cards(login string, header http.Header) (*websocket.Conn, int, error) {
	if header == nil {
		header = http.Header{}
	}
	header.Set("Authorization", "Bearer token-of-"+login)
	c, res, err := websocket.DefaultDialer.DialContext(b.t.Context(), "ws://"+b.base+"/api/v1/cards", header)
	status := 0
	if res != nil {
		status = res.StatusCode
	}
	if err == nil {
		b.t.Cleanup(func() { _ = c.Close() })
	}
	return c, status, err
}

// shows waits until the card of a call comes, whatever comes before it.
func (b *besieged) shows(c *websocket.Conn, call string) {
	b.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		b.t.Fatal(err)
	}
	for {
		_, raw, err := c.ReadMessage()
		if err != nil {
			b.t.Fatalf("the card of %s does not come: %v", call, err)
		}
		if bytes.Contains(raw, []byte(`"`+call+`"`)) {
			return
		}
	}
}

func ringingCall(id string, phones ...string) *bridge.Call {
	now := bridge.At(time.Now())
	c := &bridge.Call{ID: id, PBX: "office", Direction: bridge.In, Client: "+79161234567", Line: "+74951234567", StartedAt: now, Rang: phones}
	for _, p := range phones {
		c.Legs = append(c.Legs, bridge.Leg{Extension: p, RingAt: now, DialledAt: now})
	}
	return c
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestSiege does to the real server what hostile and broken clients do, all at
// once, and all the while one agent gets his cards and pages answer.
func TestSiege(t *testing.T) {
	b := besiege(t)
	good, _, err := b.cards("ivan", nil)
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	served := func(what string, n int) {
		t.Helper()
		id := fmt.Sprintf("call-%d", n)
		b.hub.Apply(ringingCall(id, "101", "102"), time.Now())
		b.shows(good, id)
		if st := b.do("", "GET", "/healthz", nil); st != http.StatusOK {
			t.Errorf("%s: /healthz answers %d", what, st)
		}
	}

	// Slowloris: a header, or a body, that never ends.
	for i := range 300 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.base)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		text := "GET / HTTP/1.1\r\nHost: x\r\nX-A: "
		if i%2 == 1 {
			text = "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	served("slowloris", 1)

	// Agents who never read.
	for range 200 {
		if _, _, err := b.cards("olga", nil); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 300 {
		b.hub.Apply(ringingCall(fmt.Sprintf("noise-%d", n), "102"), time.Now())
	}
	served("agents who never read", 2)

	// Frames that are too large, and floods of small ones.
	for _, flood := range []bool{false, true} {
		c, _, err := b.cards("olga", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 1000 && err == nil; i++ {
			said := []byte(`{"type":"shown","id":"invented"}`)
			if !flood {
				said = bytes.Repeat([]byte("x"), 1<<20)
			}
			err = c.WriteMessage(websocket.TextMessage, said)
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		for err = nil; err == nil; {
			_, _, err = c.ReadMessage()
		}
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("flood %v: the connection lives on", flood)
		}
	}
	served("frames", 3)

	// Bodies and headers that are too large.
	huge := func() io.Reader { return io.LimitReader(endless{}, 64<<20) }
	for _, c := range []struct{ login, method, path, kind string }{
		{"", "POST", "/api/v1/session", "application/json"}, {"", "POST", "/login", "application/x-www-form-urlencoded"},
		{"admin", "PUT", "/api/v1/settings", "application/json"}, {"ivan", "POST", "/api/v1/calls", "application/json"},
		{"", "POST", "/hooks/shop/make-call", "application/x-www-form-urlencoded"}, {"", "POST", "/hooks/shop/make-call", "multipart/form-data; boundary=x"},
	} {
		if st := b.do(c.login, c.method, c.path, huge(), "Content-Type", c.kind); st != 0 && (st < 400 || st >= 500) {
			t.Errorf("%s %s with 64 MiB: %d", c.method, c.path, st)
		}
	}
	if st := b.do("", "GET", "/", nil, "X-A", strings.Repeat("a", 1<<20)); st != 0 && st != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 1 MiB: %d", st)
	}
	served("bodies", 4)

	// Pages of others.
	if _, st, err := b.cards("ivan", http.Header{"Origin": {"https://evil.example"}}); err == nil || st != http.StatusForbidden {
		t.Errorf("a websocket for a page of others: %d %v", st, err)
	}
	if st := b.do("", "POST", "/language", strings.NewReader("language=en"), "Content-Type", "application/x-www-form-urlencoded", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); st != http.StatusForbidden {
		t.Errorf("a form of others: %d", st)
	}
	// Signatures and secrets that are made up.
	for _, path := range []string{"/recordings/call-1/0?until=99999999999&sig=" + strings.Repeat("a", 64), "/recordings/call-1/0", "/hooks/office/route?number=1"} {
		if st := b.do("", "GET", path, nil); st != http.StatusForbidden && st != http.StatusUnauthorized && st != http.StatusNotFound {
			t.Errorf("%s: %d", path, st)
		}
	}
	for range 50 { // and told again and again
		if st := b.do("", "POST", "/hooks/shop/make-call", strings.NewReader("clientId=forged&phone=79161234567&userId=1"), "Content-Type", "application/x-www-form-urlencoded"); st != http.StatusUnauthorized {
			t.Errorf("a forged order to call: %d", st)
		}
	}
	if st := b.do("somebody", "GET", "/api/v1/calls", nil); st != http.StatusUnauthorized {
		t.Errorf("a forged token: %d", st)
	}
	served("forgeries", 5)
	if grown := int64(heap()) - int64(before); grown > 64<<20 {
		t.Errorf("the siege costs %d MiB", grown>>20)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// TestAllReconnectAtOnce: after a break of the network all tabs come back in
// one moment; each gets a snapshot with the call that rings.
func TestAllReconnectAtOnce(t *testing.T) {
	b := besiege(t)
	b.hub.Apply(ringingCall("now", "101", "102"), time.Now())
	const tabs = 1000
	failed := make(chan error, tabs)
	for range tabs {
		go func() {
			c, _, err := b.cards("olga", nil)
			if err == nil {
				_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
				var raw []byte
				if _, raw, err = c.ReadMessage(); err == nil {
					var first struct{ Type string }
					if err = json.Unmarshal(raw, &first); err == nil && (first.Type != "snapshot" || !bytes.Contains(raw, []byte(`"now"`))) {
						err = fmt.Errorf("the first message is %.80s", raw)
					}
				}
			}
			failed <- err
		}()
	}
	for range tabs {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	if n := b.hub.Connected(); n != tabs {
		t.Errorf("%d of %d are connected", n, tabs)
	}
}
