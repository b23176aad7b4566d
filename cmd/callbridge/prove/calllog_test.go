package prove

import (
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/track"
	"callbridge/pbx/ari"
	"callbridge/pbx/ari/arisim"
	"callbridge/pbx/ari/aristream"
	"callbridge/pbx/cdr"
)

// TestCallLogAlone: of calls nobody saw anything of, the simulated PBX's call
// log tells direction, client, outcome and who talked. What the harness
// expects of a repaired gap is thus what the log can give.
func TestCallLogAlone(t *testing.T) {
	golden := aristream.Expected()
	for _, exact := range []bool{true, false} {
		for _, name := range mixed() {
			t.Run(name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "Master.csv")
				var from, to bridge.Time
				synctest.Test(t, func(t *testing.T) {
					sim := arisim.New(arisim.Options{CallLog: file, CallLogExact: exact})
					sim.StartPipe()
					defer sim.Close()
					from = bridge.At(time.Now().Add(-time.Minute))
					if _, err := sim.Play(t.Context(), name, arisim.PlayOptions{Client: "79031112233"}); err != nil {
						t.Fatal(err)
					}
					if err := sim.CallLogTrouble(); err != nil {
						t.Fatal(err)
					}
					to = bridge.At(time.Now().Add(time.Minute))
				})
				records, bad, err := cdr.ReadCSV(file, arisim.CallLogColumns(), time.UTC, from)
				if err != nil || bad > 0 {
					t.Fatalf("%d bad lines, %v", bad, err)
				}
				channel := ari.NewDecoder(ari.DecodeOptions{PBX: "office", Trunks: []string{"trunk"}}).Channel
				r := cdr.Events(cdr.Input{PBX: "office", From: from, To: to, Records: records, Channel: channel})
				calls := track.Calls(r.Events, track.Options{})
				want := golden[name][0]
				want.Client = "+79031112233"
				if want.Direction == bridge.Internal {
					want.Client = ""
				}
				// Nothing but the linkedid says that a consultation became part of the call.
				calls = slices.DeleteFunc(calls, func(c bridge.Call) bool { return name == "xfer_attended" && c.Direction == bridge.Internal })
				if len(calls) != 1 {
					t.Fatalf("%d calls of %+v", len(calls), records)
				}
				if c := calls[0]; !alike(&c, &want) || c.Client != want.Client {
					t.Errorf("%s %s %s by %v, want %s %s %s by %v", c.Direction, c.Outcome, c.Client, c.AnsweredBy, want.Direction, want.Outcome, want.Client, want.AnsweredBy)
					for _, r := range records {
						t.Logf("%+v", r)
					}
				}
			})
		}
	}
}

func mixed() []string {
	list := slices.Clone(mix)
	slices.Sort(list)
	return slices.Compact(list)
}

// alike says whether two records agree in what a call log tells.
func alike(c, want *bridge.Call) bool {
	return c.Direction == want.Direction && c.Outcome == want.Outcome && slices.Equal(c.AnsweredBy, want.AnsweredBy)
}
