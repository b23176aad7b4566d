package track_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callbridge/bridge"
)

// TestReplacedAtEveryEvent: another program takes our place at every event of a
// call and leaves when it is over. The call ends, with the gap in it, and is
// never taken for another (F-2).
func TestReplacedAtEveryEvent(t *testing.T) {
	inOffice(t, func(o *office) {
		want, _ := o.played("in_answered", -1, nothing, nothing)
		req := http.Request{Header: http.Header{}}
		req.SetBasicAuth(o.sim.Username(), o.sim.Password())
		for step := range 40 {
			var other *websocket.Conn
			d := websocket.Dialer{NetDialContext: o.sim.DialContext}
			got, gaps := o.played("in_answered", step, func() {
				conn, _, err := d.DialContext(o.t.Context(), "ws://asterisk.invalid/ari/events?app=callbridge&subscribeAll=true", req.Header)
				if err != nil {
					o.t.Error(err)
					return
				}
				other = conn
			}, func() {
				if other == nil {
					o.t.Error("the other program never came")
					return
				}
				_ = other.Close()            // it is gone, however
				time.Sleep(40 * time.Second) // after somebody took our place we wait half a minute
			})
			if problem := repaired(got, want, gaps); problem != "" {
				o.t.Errorf("replaced after step %d: %s", step, problem)
			}
			for _, c := range got {
				if c.Direction != bridge.In {
					o.t.Errorf("replaced after step %d: direction %s", step, c.Direction)
				}
			}
		}
	})
}
