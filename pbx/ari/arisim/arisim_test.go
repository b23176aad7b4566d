package arisim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callbridge/pbx/ari/aristream"
)

// Every recorded stream that one websocket saw can be cut, and rendering it
// with its own values gives the recorded frames back.
func TestScriptGivesRecordedFramesBack(t *testing.T) {
	t.Parallel()
	played := 0
	for _, name := range aristream.Names() {
		lines, err := aristream.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := compile(name, lines)
		if err != nil {
			if strings.Contains(err.Error(), "several websockets") || strings.Contains(err.Error(), "no events") {
				continue
			}
			t.Fatal(err)
		}
		played++
		own := &cast{sc: sc, ids: sc.ids, uuids: map[int]string{}, numbers: map[string]string{}, speed: 1, acts: []act{{base: sc.zero}}}
		i := 0
		for _, l := range lines {
			if l.Event == nil {
				continue
			}
			st := sc.steps[i]
			i++
			for _, s := range st.text {
				switch s.kind {
				case slotUUID:
					own.uuids[s.n] = s.s
				case slotName:
					own.numbers[s.s2] = s.s2
				}
			}
			got, want := own.render(nil, st.text), []byte(l.Event)
			if strings.HasPrefix(name, "moscow/") {
				continue // times come out in UTC
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%s line %d:\n got %s\nwant %s", name, l.N, got, want)
			}
		}
	}
	if played < 50 {
		t.Fatalf("only %d streams can be played", played)
	}
}

// A play changes the people and keeps nothing of the recorded ones.
func TestRenderChangesEverybody(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"in_answered", "out_answered", "c2c_answered", "xfer_blind", "queue_answered", "group_local"} {
		lines, err := aristream.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		sc, err := compile(name, lines)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		c := &cast{sc: sc, uuids: map[int]string{}, numbers: map[string]string{}, speed: 1, acts: []act{{base: time.Unix(2e9, 0)}},
			phones: map[string]string{"101": "201", "102": "202", "103": "203"}, client: "79031112233", line: "74990001122", click: `r"1`,
			newUUID: newUUID, newNumber: func() string { n++; return fmt.Sprintf("%08x", n) }}
		for i := range sc.ids {
			c.ids = append(c.ids, fmt.Sprintf("new-%d", i))
		}
		var all bytes.Buffer
		for _, st := range sc.steps {
			f := c.render(nil, st.text)
			if !json.Valid(f) {
				t.Fatalf("%s: no JSON: %s", name, f)
			}
			all.Write(f)
		}
		text := all.String()
		gone := slices.Concat(sc.ids, []string{"79161234567", "2026-11-22T", "PJSIP/101", "PJSIP/102", `"101"`, `"102"`, "task-17"})
		if sc.inbound {
			gone = append(gone, `"exten":"`+sc.line)
		}
		for _, s := range gone {
			if i := strings.Index(text, s); i >= 0 {
				t.Errorf("%s: %q is still there: …%s…", name, s, text[max(0, i-80):min(len(text), i+80)])
			}
		}
		if !strings.Contains(text, "79031112233") || !strings.Contains(text, "PJSIP/201-") || !strings.Contains(text, "74990001122") {
			t.Errorf("%s: the new people are missing", name)
		}
	}
}

// A whole call leaves nothing behind, and its times are those of the play.
func TestPlayLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		defer s.Close()
		began := time.Now()
		id, err := s.Play(t.Context(), "xfer_attended", PlayOptions{Speed: 2})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 3*time.Second || took > 20*time.Second {
			t.Errorf("took %v", took)
		}
		if live := s.Live(); len(live) != 0 || len(s.rooms) != 0 {
			t.Errorf("left: %v, %d rooms", live, len(s.rooms))
		}
		if !slices.Contains(s.recordings, id) {
			t.Error("no recording of the answered call")
		}
	})
}

// The demo's loop keeps each phone and each client in one call at a time.
func TestLoopOnePhoneOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		defer s.Close()
		done := make(chan error, 1)
		go func() {
			done <- s.Loop(t.Context(), LoopOptions{Seed: 7, Every: 2 * time.Second,
				Clients: []Caller{{Number: "79000000001"}, {Number: "79000000002"}, {Number: "79000000003"}}})
		}()
		seen := map[string]bool{}
		for range 600 {
			time.Sleep(time.Second) // the bubble's clock
			s.mu.Lock()
			taken := map[string]bool{}
			for p := range s.plays {
				seen[p.Name] = true
				for _, e := range p.cast.sc.phones {
					if ext := p.cast.phone(e); taken[ext] {
						t.Errorf("phone %s is in two calls", ext)
					} else {
						taken[ext] = true
					}
				}
			}
			s.mu.Unlock()
		}
		if len(seen) < 8 {
			t.Errorf("only %d kinds of call in ten minutes", len(seen))
		}
		s.Close()
		_ = done
	})
}
