package app

import (
	"io"
	"log"
	"net/http"
	"strings"
	"time"
)

// How long a client may take. Headers have a limit of their own in the server.
const (
	bodyTime  = 30 * time.Second // to send a body
	pageTime  = 2 * time.Minute  // to take an answer
	soundTime = time.Hour        // to take a recording, which players read as they play
)

// webServer has the limits that every connection is under.
func webServer(h http.Handler, errors *log.Logger) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: errors}
}

// impatient cuts off who sends or reads slowly, so that nobody keeps a
// connection and its memory for as long as he likes. Websockets have limits of
// their own; their upgrade takes these away.
func impatient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		limit := pageTime
		if strings.Contains(r.URL.Path, "/recordings/") {
			limit = soundTime
		}
		// A writer that knows no deadlines is no network connection.
		_ = c.SetWriteDeadline(time.Now().Add(limit))
		if r.Body != nil && r.Body != http.NoBody {
			_ = c.SetReadDeadline(time.Now().Add(bodyTime))
			r.Body = &timedBody{r.Body, func() { _ = c.SetReadDeadline(time.Time{}) }}
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody lifts the limit when the body is there: work may take longer.
type timedBody struct {
	io.ReadCloser
	there func()
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF { // not after a failure: the server reads on to keep the connection
		b.there()
	}
	return n, err
}
