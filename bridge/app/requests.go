package app

import (
	"crypto/rand"
	"net/http"
	"time"

	"callbridge/crm"
)

// numbered gives every request to us an id: it stands in the answer's header
// X-Request-Id, in our log, and in the requests to CRMs made because of it. An
// id that came with the request is not taken over: anybody could choose it.
func (a *App) numbered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := "cb-" + rand.Text()[:16]
		r = r.WithContext(crm.WithRequestID(r.Context(), id))
		r.Header.Set("X-Request-Id", id)
		w.Header().Set("X-Request-Id", id)
		began := time.Now()
		next.ServeHTTP(w, r)
		// The path only: queries hold numbers.
		a.log.Debug("request", "request", id, "method", r.Method, "path", r.URL.Path, "ms", time.Since(began).Milliseconds())
	})
}
