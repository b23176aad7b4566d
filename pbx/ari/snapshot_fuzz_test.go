package ari

import (
	"testing"

	"callbridge/pbx/ari/aristream"
)

// FuzzSnapshot: whatever GET /channels, /bridges and /asterisk/info answer
// gives a snapshot whose channels have ids, or an error.
func FuzzSnapshot(f *testing.F) {
	lines, err := aristream.Load("ws_lost_start_unseen")
	if err != nil {
		f.Fatal(err)
	}
	var channels, bridges []byte
	for _, l := range lines {
		if l.REST == nil {
			continue
		}
		switch l.REST.Path {
		case "/channels":
			channels = l.REST.Body
		case "/bridges":
			bridges = l.REST.Body
		}
	}
	info := []byte(`{"system":{"version":"22.10.1"},"status":{"startup_time":"2026-11-22T05:23:17.000+0000"}}`)
	f.Add(info, channels, bridges)
	f.Add([]byte(`{}`), []byte(`[{"id":"1","name":"PJSIP/trunk-00000001","creationtime":"never"}]`), []byte(`[{"id":"b","channels":["1","1"]}]`))
	f.Add([]byte(nil), []byte(`[null]`), []byte(`[{}]`))
	d := testDecoder()
	f.Fuzz(func(t *testing.T, info, channels, bridges []byte) {
		s, err := d.Snapshot(info, channels, bridges)
		if err != nil {
			return
		}
		for _, c := range s.Channels {
			if c.ID == "" {
				t.Error("a channel without an id")
			}
			if c.Helper && (c.Extension != "" || c.Trunk != "") {
				t.Errorf("a helper that is a phone: %+v", c)
			}
		}
	})
}
