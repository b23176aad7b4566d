package casefile_test

import (
	"testing"

	"callbridge/bridge"
	"callbridge/bridge/casefile"
	"callbridge/bridge/track"
)

// FuzzDecode: a file somebody sends us gives a case or an error, and what it
// holds can be played.
func FuzzDecode(f *testing.F) {
	whole, err := casefile.Encode(casefile.File{Format: casefile.Format, Country: "RU", Call: bridge.Call{ID: "c", Client: "+79161234567"},
		Events: []casefile.Event{{Event: bridge.Event{ID: "1", PBX: "office", Kind: bridge.ChannelBegan,
			Leg: &bridge.Channel{ID: "a", Trunk: "trunk", Incoming: true, Number: "79161234567"}}, Raw: []byte(`{"type":"ChannelCreated"}`)}}}, []string{"Иван"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"callbridge_case":1,"events":[{"kind":"link_up","snapshot":{"channels":[{}]}},null]}`))
	f.Add([]byte(`{"callbridge_case":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		casefile.Is(data)
		c, err := casefile.Decode(data)
		if err != nil {
			return
		}
		events := c.Facts()
		ours := casefile.Channels(events)
		for i := range events {
			events[i] = casefile.Prune(events[i], ours)
		}
		track.Calls(events, track.Options{})
		if _, err := casefile.Encode(c, []string{"Иван"}); err != nil {
			t.Fatalf("it cannot be written again: %v", err)
		}
	})
}
