package ari

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callbridge/bridge"
	"callbridge/pbx/ari/aristream"
)

func testDecoder() *Decoder {
	return NewDecoder(DecodeOptions{PBX: "office", Trunks: []string{"trunk", "201"}, Extensions: map[string]string{"ivanov": "104"}})
}

// TestDecodeKnowsAllRecordedFrames: no frame of a real Asterisk is unknown,
// malformed or without its channel.
func TestDecodeKnowsAllRecordedFrames(t *testing.T) {
	d := testDecoder()
	for _, name := range aristream.Names() {
		lines, err := aristream.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if l.Event == nil {
				continue
			}
			e, useful, err := d.Decode(l.Event)
			if err != nil {
				t.Errorf("%s line %d: %v", name, l.N, err)
				continue
			}
			if e.Kind == bridge.UnknownEvent {
				t.Errorf("%s line %d: unknown event %s", name, l.N, e.Name)
			}
			if useful != e.Kind.Stored() {
				t.Errorf("%s line %d: useful is %v for %s", name, l.N, useful, e.Kind)
			}
			if c := e.Leg; useful && c != nil && c.Name != "" && !c.Helper && (c.Extension == "") == (c.Trunk == "") {
				t.Errorf("%s line %d: channel %s is extension %q and trunk %q", name, l.N, c.Name, c.Extension, c.Trunk)
			}
		}
	}
}

func TestDecode(t *testing.T) {
	const channel = `{"id":"b-1.1","name":"PJSIP/%s-0000001a","state":"Ring","caller":{"name":"Иван","number":"79161234567"},` +
		`"connected":{"name":"","number":"101"},"dialplan":{"context":"from-trunk","exten":"74951234567","priority":1,"app_name":"Dial","app_data":"x"},` +
		`"creationtime":"2026-11-22T08:01:23.433+0300","channelvars":{"CB_DIR":"in","CB_DID":"74951234567","CB_EXT":"101","CHANNEL(linkedid)":"b-1.0"}}`
	frame := func(typ, name, more string) string {
		return `{"type":"` + typ + `","timestamp":"2026-11-22T08:01:24.006+0300","channel":` + strings.Replace(channel, "%s", name, 1) + more + `}`
	}
	tests := []struct {
		name, in string
		want     bridge.Event
	}{
		{"trunk called us, in another zone", frame("ChannelCreated", "trunk", ""), bridge.Event{Kind: bridge.ChannelBegan, Leg: &bridge.Channel{
			ID: "b-1.1", Name: "PJSIP/trunk-0000001a", Group: "b-1.0", Trunk: "trunk", Incoming: true, State: "ring",
			Number: "79161234567", CallerNm: "Иван", Other: "101", Exten: "74951234567", Context: "from-trunk",
			App: "Dial", AppData: "x", Since: bridge.AtMilli(1795323683433), Dir: "in", DID: "74951234567", Ext: "101"}}},
		{"no cause", frame("ChannelHangupRequest", "101", ""), bridge.Event{Kind: bridge.Hangup}},
		{"soft", frame("ChannelHangupRequest", "101", `,"cause":16,"soft":true,"tech_cause":487`), bridge.Event{Kind: bridge.Hangup, Cause: 16, Soft: true, SIP: 487}},
		{"inherited variable", frame("ChannelVarset", "101", `,"variable":"__CB_DIR","value":"out"`), bridge.Event{Kind: bridge.VariableSet, Name: "dir", Value: "out"}},
		{"recording file", frame("ChannelVarset", "101", `,"variable":"MIXMONITOR_FILENAME","value":"/var/spool/asterisk/monitor/a b.wav"`),
			bridge.Event{Kind: bridge.VariableSet, Name: "recording", Value: "a b.wav"}},
		{"other variable", frame("ChannelVarset", "101", `,"variable":"DIALSTATUS","value":""`), bridge.Event{Kind: bridge.Unimportant, Name: "ChannelVarset"}},
		{"routing question", frame("StasisStart", "trunk", `,"args":["route","a"]`), bridge.Event{Kind: bridge.RouteAsked, Args: []string{"route", "a"}}},
		{"bridge", frame("ChannelEnteredBridge", "101", `,"bridge":{"id":"r","bridge_type":"mixing","channels":["b-1.1","b-1.2"]}`),
			bridge.Event{Kind: bridge.RoomEntered, Room: "r", Members: []string{"b-1.1", "b-1.2"}}},
		{"holding bridge: nobody talks", frame("ChannelEnteredBridge", "101", `,"bridge":{"id":"r","bridge_type":"holding","channels":["b-1.1","b-1.2"]}`),
			bridge.Event{Kind: bridge.RoomEntered, Room: "r"}},
		{"type of the future", frame("ChannelSang", "101", `,"song":{"a":[1,2,{"type":"x"}]}`), bridge.Event{Kind: bridge.UnknownEvent, Name: "ChannelSang"}},
		{"application taken over", `{"type":"ApplicationReplaced","timestamp":"2026-11-22T08:01:24.006+0300","application":"callbridge"}`,
			bridge.Event{Kind: bridge.Unimportant, Name: "ApplicationReplaced"}},
		{"answer over the websocket", `{"type":"RESTResponse","message_body":"[{\"type\":\"Dial\"}]"}`, bridge.Event{Kind: bridge.Unimportant, Name: "RESTResponse"}},
		{"phone with an odd name", `{"type":"DeviceStateChanged","timestamp":"2026-11-22T08:01:24.006+0300","device_state":{"name":"PJSIP/ivanov","state":"NOT_INUSE"}}`,
			bridge.Event{Kind: bridge.DeviceState, Name: "104", Value: "not_inuse"}},
		{"do-not-disturb", `{"type":"DeviceStateChanged","timestamp":"2026-11-22T08:01:24.006+0300","device_state":{"name":"Stasis:dnd-101","state":"BUSY"}}`,
			bridge.Event{Kind: bridge.DeviceState, Name: "Stasis:dnd-101", Value: "busy"}},
		{"registration", `{"type":"PeerStatusChange","timestamp":"2026-11-22T08:01:24.006+0300","endpoint":{"technology":"PJSIP","resource":"105","state":"online"},"peer":{"peer_status":"Reachable"}}`,
			bridge.Event{Kind: bridge.Registration, Name: "105", Value: "online"}},
		{"recording of a bridge", `{"type":"RecordingFinished","timestamp":"2026-11-22T08:01:24.006+0300","recording":{"name":"c2c-1","format":"wav","target_uri":"bridge:r"}}`,
			bridge.Event{Kind: bridge.RecordingDone, Name: "c2c-1.wav", Room: "r"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := testDecoder().Decode([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if got.PBX != "office" || len(got.ID) != 32 || string(got.Raw) != tt.in {
				t.Errorf("pbx %q, id %q, raw %d bytes", got.PBX, got.ID, len(got.Raw))
			}
			if tt.want.Leg == nil {
				got.Leg = nil
			}
			if got.Kind != bridge.Unimportant && got.At != bridge.AtMilli(1795323684006) {
				t.Errorf("at %v", got.At)
			}
			got.PBX, got.ID, got.Raw, got.At = "", "", nil, bridge.Time{}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(- want, + got)\n%s", diff)
			}
		})
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	for in, want := range map[string]string{
		``:                                "empty",
		`[1]`:                             "not a JSON object",
		`{"type":"Dial","peer":{"id":"1"`: "cut off after",
		`{"type":"Dial","peer":{"id":"1`:  "cut off inside a string",
		`{"timestamp":"x"}`:               `no "type"`,
		`{"type":7}`:                      `no "type"`,
		`{"type":"Dial"} {}`:              "text after the end",
		`{"type":"ChannelCreated"}`:       "ChannelCreated: no channel",
		`{"type":"Dial","timestamp":"gestern","peer":{"id":"1"}}`:                                         `"gestern" is not like`,
		`{"type":"Dial","peer":{"id":"1"}}`:                                                               "no timestamp",
		`{"type":"ChannelDestroyed","cause":"16","channel":{"id":"1"}}`:                                   "cause",
		`{"type":"ChannelEnteredBridge","timestamp":"2026-11-22T08:01:24.006+0300","channel":{"id":"1"}}`: "no bridge",
	} {
		_, _, err := testDecoder().Decode([]byte(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", in, err, want)
		}
	}
}

func TestChannelNames(t *testing.T) {
	for name, want := range map[string]bridge.Channel{
		"PJSIP/101-0000001a":              {Extension: "101"},
		"SIP/101-0000001a":                {Extension: "101"},
		"PJSIP/201-0000001a":              {Trunk: "201"}, // named as a trunk, though it looks like a phone
		"PJSIP/ivanov-0000001a":           {Extension: "104"},
		"PJSIP/my-provider-ru-0000001a":   {Trunk: "my-provider-ru"},
		"IAX2/trunk-12":                   {Trunk: "trunk"},
		"DAHDI/i1/74951234567-1f":         {Trunk: "i1"},
		"Local/102@from-queue-00000001;2": {Helper: true, Pair: "Local/102@from-queue-00000001"},
		"Recorder/ARI-00000000;2":         {Helper: true, Pair: "Recorder/ARI-00000000"},
		"":                                {},
	} {
		got := testDecoder().channel(&wireChannel{ID: "1", Name: name})
		want.ID, want.Name = "1", name
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	for in, want := range map[string]string{"79161234567@trunk": "79161234567", "PJSIP/101": "101", "101": "101",
		"Local/101@from-queue/n": "101", "trunk/79161234567": "79161234567", "trunk/sip:79161234567@host": "79161234567", "": ""} {
		if got := dialled(in); got != want {
			t.Errorf("dialled(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestSnapshotOfRecordedAnswers reads the answers that a real reconnect got.
func TestSnapshotOfRecordedAnswers(t *testing.T) {
	lines, err := aristream.Load("ws_lost_answer_unseen")
	if err != nil {
		t.Fatal(err)
	}
	info := []byte(`{"build":{},"status":{"startup_time":"2026-11-22T08:01:00.000+0300"}}`)
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
	s, err := testDecoder().Snapshot(info, channels, bridges)
	if err != nil {
		t.Fatal(err)
	}
	if s.StartedAt != bridge.AtMilli(1795323660000) || len(s.Channels) != 2 || len(s.Rooms) != 1 || len(s.Rooms[0].Members) != 2 {
		t.Fatalf("%+v", s)
	}
	exts := []string{s.Channels[0].Extension, s.Channels[1].Extension}
	if !slices.Contains(exts, "101") || s.Channels[0].Group == "" {
		t.Errorf("%+v", s.Channels)
	}
	if _, err := testDecoder().Snapshot(nil, nil, nil); err != nil {
		t.Errorf("nothing: %v", err)
	}
	for i, bad := range [][3]string{{`<html>`, `[]`, `[]`}, {`{}`, `{}`, `[]`}, {`{}`, `[]`, `"x"`}} {
		if _, err := testDecoder().Snapshot([]byte(bad[0]), []byte(bad[1]), []byte(bad[2])); err == nil || !strings.Contains(err.Error(), "GET /") {
			t.Errorf("%d: error %v does not name the request", i, err)
		}
	}
}

// FuzzDecode: nothing that comes over the wire makes the decoder fail badly,
// and the same bytes give the same event.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"in_answered", "xfer_attended", "c2c_bridge", "registered_answered", "rest_over_websocket", "plain/group_local"} {
		lines, err := aristream.Load(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, l := range lines {
			if l.Event != nil {
				f.Add([]byte(l.Event))
				f.Add([]byte(l.Event[:len(l.Event)/2]))
			}
		}
	}
	d := testDecoder()
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, useful, err := d.Decode(raw)
		again, _, err2 := d.Decode(raw)
		if (err == nil) != (err2 == nil) || e.ID != again.ID || e.Kind != again.Kind {
			t.Fatal("not the same twice")
		}
		if err != nil {
			return
		}
		if useful && e.At.IsZero() && e.Kind != bridge.UnknownEvent {
			t.Fatalf("useful event without a time: %+v", e)
		}
		var v struct{ Type string }
		if useful && (json.Unmarshal(raw, &v) != nil || v.Type == "") {
			t.Fatalf("useful event of something that is no frame")
		}
	})
}

// BenchmarkDecode measures an unfiltered connection, BenchmarkDecodeFiltered
// one with the event filter on. Target: 50,000 frames/s a core.
func BenchmarkDecode(b *testing.B)         { benchmarkDecode(b, false) }
func BenchmarkDecodeFiltered(b *testing.B) { benchmarkDecode(b, true) }

func benchmarkDecode(b *testing.B, filtered bool) {
	var frames [][]byte
	d := testDecoder()
	for _, name := range []string{"in_answered", "out_answered", "queue_answered", "in_missed_caller_hangs_up"} {
		lines, err := aristream.Load(name)
		if err != nil {
			b.Fatal(err)
		}
		for _, l := range lines {
			if l.Event == nil {
				continue
			}
			typ, _, _ := peek(l.Event)
			if filtered && (typ == "ChannelVarset" || typ == "ChannelDialplan") {
				continue
			}
			frames = append(frames, l.Event)
		}
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for _, f := range frames {
			if _, _, err := d.Decode(f); err != nil {
				b.Fatal(err)
			}
		}
		n += len(frames)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "frames/s")
}

// A digit in a menu is a choice; what is typed elsewhere is not read.
func TestDecodeDigits(t *testing.T) {
	for app, kept := range map[string]bool{"WaitExten": true, "BackGround": true, "Read": false, "Dial": false, "AppDial": false, "Queue": false} {
		e, useful, err := testDecoder().Decode([]byte(`{"type":"ChannelDtmfReceived","timestamp":"2026-11-22T08:01:24.006+0300","digit":"5","duration_ms":90,` +
			`"channel":{"id":"1.1","name":"PJSIP/trunk-00000001","state":"Up","dialplan":{"context":"menu","exten":"s","app_name":"` + app + `"}}}`))
		if err != nil || useful != kept || kept && (e.Kind != bridge.DigitPressed || e.Value != "5" || e.Leg == nil) || !kept && (e.Raw != nil || e.Value != "") {
			t.Errorf("in %s: %+v, %t, %v", app, e, useful, err)
		}
	}
}
