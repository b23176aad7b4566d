// Package e2e tries Callbridge against a real Asterisk: the adapter alone, and
// the whole program with simulated CRMs behind it.
package e2e

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/deploy/asterisk/bench"
	"callbridge/pbx"
	"callbridge/pbx/ari"
)

// patience is for things that happen at once on a machine that has time.
const patience = 10 * time.Second

// follow runs the adapter on b until the test ends; its events come on the channel.
func follow(t *testing.T, b *bench.Bench) (*ari.PBX, <-chan bridge.Event) {
	t.Helper()
	p, err := ari.New(ari.Config{ID: "office", URL: b.URL, Username: b.User, Password: b.Password, App: b.App,
		Trunks: []string{b.Trunk}, RingFor: 4 * time.Second}, ari.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan bridge.Event, 10000)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.Run(ctx, func(e bridge.Event) { events <- e }); !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	}()
	t.Cleanup(func() { stop(); <-ended })
	until(t, events, func(e bridge.Event) bool { return e.Kind == bridge.LinkUp })
	return p, events
}

// until reads events up to the first that is wanted.
func until(t *testing.T, events <-chan bridge.Event, wanted func(bridge.Event) bool) bridge.Event {
	t.Helper()
	limit := time.After(patience)
	var seen []bridge.EventKind
	for {
		select {
		case e := <-events:
			if wanted(e) {
				return e
			}
			seen = append(seen, e.Kind)
		case <-limit:
			t.Fatalf("the event did not come; others did: %v", seen)
		}
	}
}

func answeredBy(extension string) func(bridge.Event) bool {
	return func(e bridge.Event) bool {
		return e.Kind == bridge.DialAnswered && e.Peer != nil && e.Peer.Extension == extension
	}
}

var brisk = bench.Options{Ring: 300 * time.Millisecond, Talk: 400 * time.Millisecond}

func TestAdapter(t *testing.T) {
	b := bench.Start(t)
	p, events := follow(t, b)

	t.Run("a client calls and 101 answers", func(t *testing.T) {
		call := b.Begin(t, "in_answered", brisk)
		asked := until(t, events, func(e bridge.Event) bool { return e.Kind == bridge.RouteAsked })
		if err := p.AnswerRoute(t.Context(), asked.Leg.ID, ""); err != nil {
			t.Error(err)
		}
		e := until(t, events, answeredBy("101"))
		call.Wait(t)
		if e.Leg == nil || e.Leg.Dir != "in" || e.Leg.DID != bench.MainLine || e.Leg.Group == "" || e.Leg.Trunk != b.Trunk {
			t.Errorf("the client's channel is %+v", e.Leg)
		}
		var size int64
		again := time.NewTicker(100 * time.Millisecond)
		defer again.Stop()
		for try := 0; size <= 44 && try < 50; try++ { // Asterisk completes the file shortly after the call
			<-again.C
			body, _, _, err := p.OpenRecording(t.Context(), e.Leg.Group+".wav")
			if err != nil {
				continue
			}
			size, _ = io.Copy(io.Discard, body)
			body.Close()
		}
		if size <= 44 {
			t.Errorf("the recording has %d bytes", size)
		}
	})

	t.Run("the routing answer decides who rings", func(t *testing.T) {
		call := b.Begin(t, "in_routed", brisk)
		asked := until(t, events, func(e bridge.Event) bool { return e.Kind == bridge.RouteAsked })
		if err := p.AnswerRoute(t.Context(), asked.Leg.ID, "103"); err != nil {
			t.Error(err)
		}
		until(t, events, answeredBy("103"))
		call.Wait(t)
	})

	t.Run("click-to-call rings once for a repeated click", func(t *testing.T) {
		call := b.Begin(t, "c2c", brisk)
		order := pbx.Originate{RequestID: "click-1", Extension: "101", Client: "+" + bench.Client}
		id, err := p.Originate(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := p.Originate(t.Context(), order); err != nil || again != id {
			t.Errorf("the same click again: %q, %v; want %q", again, err, id)
		}
		e := until(t, events, func(e bridge.Event) bool {
			return e.Kind == bridge.DialAnswered && e.Peer != nil && e.Peer.Trunk == b.Trunk
		})
		if e.Leg == nil || e.Leg.ID != id || e.Leg.Extension != "101" {
			t.Errorf("who called the client: %+v, want channel %s", e.Leg, id)
		}
		call.Wait(t)
	})

	t.Run("a phone that is not there is refused with the reason", func(t *testing.T) {
		_, err := p.Originate(t.Context(), pbx.Originate{RequestID: "click-2", Extension: "105", Client: "+" + bench.Client})
		if r, ok := errors.AsType[*pbx.Refusal](err); !ok || r.Code != "no_phone" {
			t.Errorf("got %v", err)
		}
	})

	t.Run("the dialplan knows of do-not-disturb", func(t *testing.T) {
		if err := p.SetDoNotDisturb(t.Context(), "101", true); err != nil {
			t.Fatal(err)
		}
		call := b.Begin(t, "in_dnd_stasis", brisk)
		until(t, events, answeredBy("102"))
		call.Wait(t)
		if err := p.SetDoNotDisturb(t.Context(), "101", false); err != nil {
			t.Fatal(err)
		}
		call = b.Begin(t, "in_answered", bench.Options{Line: bench.DNDLine, Ring: brisk.Ring, Talk: brisk.Talk})
		until(t, events, answeredBy("101"))
		call.Wait(t)
	})

	t.Run("a crash of Asterisk is a gap, and calls are seen again after it", func(t *testing.T) {
		b.Kill(t)
		b.Launch(t)
		until(t, events, func(e bridge.Event) bool { return e.Kind == bridge.LinkLost })
		up := until(t, events, func(e bridge.Event) bool { return e.Kind == bridge.LinkUp })
		if up.Snapshot == nil || len(up.Snapshot.Channels) != 0 {
			t.Errorf("after the restart there is %+v", up.Snapshot)
		}
		call := b.Begin(t, "group_102_answers", brisk)
		until(t, events, answeredBy("102"))
		call.Wait(t)
	})
}
