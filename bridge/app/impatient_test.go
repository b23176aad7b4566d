package app

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inMemory gives connections that need no network and whose deadlines run in
// virtual time.
type inMemory struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *inMemory) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *inMemory) Close() error   { close(l.done); return nil }
func (l *inMemory) Addr() net.Addr { return &net.TCPAddr{} }

func (l *inMemory) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

// Slowloris in all its forms: headers, bodies and answers that take for ever
// are cut off in their time, and work that takes long is not.
func TestSlowClientsAreCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		send  string
		read  bool
		after time.Duration // when the connection ends
	}{
		"header":       {"GET / HTTP/1.1\r\nHost: x\r\n", true, 10 * time.Second},
		"body":         {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\na", true, bodyTime},
		"answer":       {"GET /long HTTP/1.1\r\nHost: x\r\n\r\n", false, pageTime},
		"long work":    {"POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\na", true, 90 * time.Second},
		"nothing more": {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mux := http.NewServeMux()
				mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						w.WriteHeader(http.StatusRequestTimeout)
					}
				})
				mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
					for {
						if _, err := w.Write(make([]byte, 1<<16)); err != nil {
							return
						}
					}
				})
				mux.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body) // one byte
					select {
					case <-time.After(90 * time.Second):
						_, _ = io.WriteString(w, "done")
					case <-r.Context().Done():
						t.Error("the work was stopped")
					}
				})
				l := &inMemory{conns: make(chan net.Conn), done: make(chan struct{})}
				srv := webServer(impatient(mux), nil)
				over := make(chan struct{})
				go func() { defer close(over); _ = srv.Serve(l) }()
				defer func() { _ = srv.Close(); <-over }()
				conn := l.dial()
				began := time.Now()
				go func() { _, _ = io.WriteString(conn, c.send) }() // the server may close before
				if c.read {
					b, err := io.ReadAll(bufio.NewReader(conn))
					if err != nil && !errors.Is(err, io.EOF) {
						t.Error(err)
					}
					if name == "long work" && !strings.HasSuffix(string(b), "done") {
						t.Errorf("answer %q", b)
					}
				} else {
					// It is cut while it waits: the next read after the time sees the end.
					time.Sleep(c.after + time.Second)
					if n, err := io.Copy(io.Discard, conn); err != nil || n > 1<<20 {
						t.Errorf("%d bytes, %v", n, err)
					}
					return
				}
				if took := time.Since(began); took < c.after-time.Second || took > c.after+time.Second {
					t.Errorf("ended after %v, want %v", took, c.after)
				}
			})
		})
	}
}
