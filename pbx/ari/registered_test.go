package ari

import (
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/pbx/ari/arisim"
)

// D-18: an open link whose application Asterisk has forgotten brings no event
// for ever; it is found and opened anew, with the gap told.
func TestD18ForgottenApplication(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		pass(appFirst + appEvery/2)
		r.sim.Forget("callbridge")
		pass(appEvery + lastPause)
		if s := r.pbx.Status(); !s.Connected || s.Reconnects != 1 || r.sim.Connected() != 1 {
			t.Errorf("%+v", s)
		}
		if n := len(r.all(bridge.LinkLost)); n != 1 {
			t.Errorf("%d gaps told", n)
		}
		if !strings.Contains(r.log.String(), "forgotten the application") {
			t.Error("nothing in the log")
		}
		pass(time.Hour)
		if s := r.pbx.Status(); s.Reconnects != 1 {
			t.Errorf("a good link was opened anew: %+v", s)
		}
		r.end()
	})
}

// The end of the program is told to Asterisk with a close frame, and does not
// take long.
func TestStopSaysGoodbye(t *testing.T) {
	inBubble(t, arisim.Options{}, nil, func(t *testing.T, r *rig) {
		r.mustConnect()
		began := time.Now()
		r.end()
		if d := time.Since(began); d > time.Second {
			t.Errorf("it took %v", d)
		}
	})
}
