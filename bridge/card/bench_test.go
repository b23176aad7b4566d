package card

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callbridge/bridge"
)

// sink is a connection to a browser that takes everything at once.
type sink struct{ gone chan struct{} }

func (s *sink) Read([]byte) (int, error)         { <-s.gone; return 0, io.EOF }
func (s *sink) Write(b []byte) (int, error)      { return len(b), nil }
func (s *sink) Close() error                     { return nil }
func (s *sink) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *sink) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *sink) SetDeadline(time.Time) error      { return nil }
func (s *sink) SetReadDeadline(time.Time) error  { return nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

func attachSink(tb testing.TB, h *Hub, who Who) {
	tb.Helper()
	s := &sink{gone: make(chan struct{})}
	tb.Cleanup(func() { close(s.gone) })
	r := httptest.NewRequest("GET", "/api/v1/cards", nil)
	for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="} {
		r.Header.Set(k, v)
	}
	up := websocket.Upgrader{ReadBufferSize: readBuffer, WriteBufferPool: buffers, WriteBufferSize: 4096}
	conn, err := up.Upgrade(&hijacked{Conn: s, header: http.Header{}}, r, nil)
	if err != nil {
		tb.Fatal(err)
	}
	h.Attach(conn, who)
}

// BenchmarkApply is a ring, an answer and an end of a call while 2,000 agents
// are connected.
func BenchmarkApply(b *testing.B) {
	h := New(Options{Queue: 1 << 12})
	for n := range 2000 {
		attachSink(b, h, Who{fmt.Sprint("u", n), fmt.Sprint(1000 + n)})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; b.Loop(); n++ {
		ext := fmt.Sprint(1000 + n%2000)
		c := call(fmt.Sprint("c", n), rings(ext))
		h.Apply(c, time.Now())
		answers(c, ext)
		h.Apply(c, time.Now())
		ends(c, bridge.Answered)
		h.Apply(c, time.Now())
	}
	b.StopTimer()
}

// BenchmarkEncode is one card with everything known.
func BenchmarkEncode(b *testing.B) {
	h := New(Options{})
	s := &shown{card: Card{ID: "01JD4N5B7V9Y0M3C8K2T6R1XQZ", Extension: "101", State: Ringing, Direction: bridge.In,
		Client: "+79161234567", ClientText: "+7 916 123-45-67", Line: "+74951234567", StartedAt: bridge.At(time.Now()),
		AlsoRings: []Person{{"102", "Мария Смирнова"}}, Info: &Info{LineName: "Сайт", Source: map[string]string{"utm_source": "yandex"},
			Clients:   []Client{{Integration: "m", Title: "Megaplan", Found: true, Name: "Анна Петрова", URL: "https://mp.example.ru/crm/1", Deals: []Deal{{Name: "Заказ", Sum: 12500}}}},
			LastCalls: []LastCall{{ID: "x", At: bridge.At(time.Now()), Outcome: bridge.Answered}}}}}
	b.ReportAllocs()
	for b.Loop() {
		s.body = nil
		h.encode(s)
	}
}

// TestMemoryPerConnection holds the target of 30 KB a socket (design.md 7) with
// real sockets and idle browsers that have received a card.
func TestMemoryPerConnection(t *testing.T) {
	const n = 400
	h := New(Options{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, Who{r.Header.Get("X-User"), r.Header.Get("X-User")})
	}))
	defer srv.Close()
	defer h.Close()
	used := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := used()
	shared := bufio.NewReaderSize(nil, 4096)
	for k := range n {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nX-User: %d\r\n\r\n", k)
		if err != nil {
			t.Fatal(err)
		}
		shared.Reset(conn)
		for { // to the end of the answer's head, then the snapshot's first bytes
			line, err := shared.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == "\r\n" {
				break
			}
		}
		if _, err := shared.ReadByte(); err != nil {
			t.Fatal(err)
		}
	}
	for k := range n {
		h.Apply(call(fmt.Sprint("c", k), rings(fmt.Sprint(k))), time.Now())
	}
	if h.Connected() != n {
		t.Fatalf("connected %d", h.Connected())
	}
	each := (used() - before) / n
	t.Logf("%d bytes a connection, the test's own end and one card included", each)
	if each > 30<<10 {
		t.Errorf("%d bytes a connection, the target is 30 KB", each)
	}
}
