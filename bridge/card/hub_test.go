package card

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"callbridge/bridge"
)

func TestRingAnswerEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Name: func(ext string) string { return map[string]string{"102": "Мария"}[ext] }})
		defer h.Close()
		ivan, maria := connect(t, h, Who{"ivan", "101"}), connect(t, h, Who{"maria", "102"})
		synctest.Wait()

		c := call("c1", rings("101"), rings("102"))
		h.Apply(c, time.Now())
		synctest.Wait()
		if ivan.view()["c1"] != Ringing || maria.view()["c1"] != Ringing {
			t.Fatalf("D-11: %v, %v", ivan.view(), maria.view())
		}
		if a := ivan.card("c1").AlsoRings; len(a) != 1 || a[0] != (Person{"102", "Мария"}) {
			t.Errorf("who else rings: %v", a)
		}
		if ivan.card("c1").ArrivedAt == 0 {
			t.Error("the arrival of the event is not told, the browser cannot measure")
		}

		time.Sleep(3 * time.Second)
		answers(c, "102")
		h.Apply(c, time.Now())
		synctest.Wait() // no time passes: well within the second of F-10
		if len(ivan.view()) != 0 || ivan.why("c1") != Elsewhere {
			t.Errorf("D-10: %v, %q", ivan.view(), ivan.why("c1"))
		}
		if maria.view()["c1"] != Talking {
			t.Errorf("%v", maria.view())
		}

		time.Sleep(time.Minute)
		ends(c, bridge.Answered)
		h.Apply(c, time.Now())
		synctest.Wait()
		if len(maria.view()) != 0 || maria.why("c1") != Ended {
			t.Errorf("after the end: %v, %q", maria.view(), maria.why("c1"))
		}
		if len(h.calls)+len(h.cards)+len(h.byPhone) != 0 {
			t.Errorf("the hub keeps ended calls: %d %d %d", len(h.calls), len(h.cards), len(h.byPhone))
		}
	})
}

func TestMissedSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		defer h.Close()
		b := connect(t, h, Who{"ivan", "101"})
		c := call("c1", rings("101"))
		h.Apply(c, time.Time{})
		ends(c, bridge.Missed)
		h.Apply(c, time.Time{})
		synctest.Wait()
		if b.why("c1") != Missed {
			t.Errorf("why = %q", b.why("c1"))
		}
	})
}

func TestD25SnapshotAfterReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		defer h.Close()
		c := call("c1", rings("101"))
		h.Apply(c, time.Time{})
		h.Enrich("c1", Info{Clients: []Client{{Integration: "m", Found: true, Name: "Анна"}}})
		first := connect(t, h, Who{"ivan", "101"})
		synctest.Wait()
		_ = first.conn.Close()
		synctest.Wait()
		h.Apply(call("c2", rings("101")), time.Time{})
		again := connect(t, h, Who{"ivan", "101"})
		synctest.Wait()
		if got := again.view(); len(got) != 2 || got["c1"] != Ringing {
			t.Errorf("snapshot shows %v", got)
		}
		if i := again.card("c1").Info; i == nil || i.Clients[0].Name != "Анна" {
			t.Errorf("what was found out is not in the snapshot: %+v", i)
		}
		if again.seen[0] != "snapshot" || len(again.seen) != 1 {
			t.Errorf("messages: %v", again.seen)
		}
	})
}

func TestD32SlowBrowserDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dropped := 0
		h := New(Options{Queue: 8, Metrics: Metrics{Dropped: func() { dropped++ }}})
		defer h.Close()
		slow := open(t, h, Who{"maria", "102"}) // never reads
		quick := connect(t, h, Who{"ivan", "101"})
		synctest.Wait()
		start := time.Now()
		for n := range 40 {
			h.Apply(call(fmt.Sprint("c", n), rings("101"), rings("102")), time.Now())
			synctest.Wait()
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("others waited %s", took)
		}
		if got := len(quick.view()); got != 40 {
			t.Errorf("the quick browser shows %d of 40", got)
		}
		if dropped != 1 || h.Connected() != 1 {
			t.Errorf("dropped %d, connected %d", dropped, h.Connected())
		}
		go slow.read() // wakes up, and is told to come back
		synctest.Wait()
		if slow.closed() != CloseResync {
			t.Errorf("close code %d", slow.closed())
		}
		back := connect(t, h, Who{"maria", "102"})
		synctest.Wait()
		if got := len(back.view()); got != 40 {
			t.Errorf("after the resync it shows %d of 40", got)
		}
	})
}

func TestD10ExpiresWithoutAnyEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expired := 0
		h := New(Options{Metrics: Metrics{Expired: func() { expired++ }}})
		defer h.Close()
		b := connect(t, h, Who{"ivan", "101"})
		c := call("c1", rings("101"))
		h.Apply(c, time.Time{})
		for range 4 { // the phone really rings for four minutes: still there
			time.Sleep(time.Minute)
			if b.view()["c1"] != Ringing {
				t.Fatalf("hidden while it rings, after %s", time.Since(c.StartedAt.Time))
			}
		}
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if len(b.view()) != 0 || b.why("c1") != Expired || len(h.Cards("101")) != 0 || expired != 1 {
			t.Errorf("after five minutes: %v %q", b.view(), b.why("c1"))
		}
		// Late life: an answer shows it again, now as a talk of up to four hours.
		answers(c, "101")
		h.Apply(c, time.Time{})
		time.Sleep(3 * time.Hour)
		if b.view()["c1"] != Talking {
			t.Errorf("a long talk lost its card: %v", b.view())
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(b.view()) != 0 || len(h.calls) != 0 {
			t.Errorf("a talk of which nothing is heard: %v, %d calls kept", b.view(), len(h.calls))
		}
	})
}

func TestD25FrozenTabSilencesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		defer h.Close()
		b := connect(t, h, Who{"ivan", "101"})
		h.Apply(call("c1", rings("101")), time.Time{})
		synctest.Wait()
		left := time.Until(time.UnixMilli(b.card("c1").ExpiresAt))
		if left <= 0 || left > time.Minute {
			t.Errorf("a tab that hears nothing more would ring for %s", left)
		}
	})
}

func TestD26OnlyOwnExtension(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		defer h.Close()
		other, none := connect(t, h, Who{"maria", "102"}), connect(t, h, Who{"boss", ""})
		c := call("c1", rings("101"))
		h.Apply(c, time.Time{})
		answers(c, "101")
		h.Apply(c, time.Time{})
		h.Enrich("c1", Info{LineName: "Сайт"})
		ends(c, bridge.Answered)
		h.Apply(c, time.Time{})
		h.SetDND("101", true)
		synctest.Wait()
		for _, b := range []*tab{other, none} {
			if len(b.seen) != 1 || len(b.cards) != 0 {
				t.Errorf("saw %v", b.seen)
			}
		}
	})
}

func TestTwoTabsOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		defer h.Close()
		a, b := connect(t, h, Who{"ivan", "101"}), connect(t, h, Who{"ivan", "101"})
		h.Apply(call("c1", rings("101")), time.Time{})
		h.SetDND("101", true)
		synctest.Wait()
		if len(a.view()) != 1 || len(b.view()) != 1 || !a.dnd || !b.dnd {
			t.Errorf("%v %v", a.view(), b.view())
		}
		_ = a.conn.Close()
		synctest.Wait()
		h.Apply(call("c2", rings("101")), time.Time{})
		synctest.Wait()
		if len(b.view()) != 2 || h.Connected() != 1 {
			t.Errorf("%v, connected %d", b.view(), h.Connected())
		}
		if c := connect(t, h, Who{"ivan", "101"}); true {
			synctest.Wait()
			if !c.dnd {
				t.Error("a new tab does not know of do-not-disturb")
			}
		}
		h.KickUser("ivan")
		synctest.Wait()
		if b.closed() != websocket.ClosePolicyViolation || h.Connected() != 0 {
			t.Errorf("after sign-out: code %d, connected %d", b.closed(), h.Connected())
		}
	})
}

func TestF11Receipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Receipt
		var latency []float64
		h := New(Options{Receipt: func(r Receipt) { got = append(got, r) },
			Metrics: Metrics{Latency: func(s float64) { latency = append(latency, s) }}})
		defer h.Close()
		b := connect(t, h, Who{"ivan", "101"})
		h.Apply(call("c1", rings("101")), time.Now().Add(-4*time.Millisecond))
		synctest.Wait()
		for _, m := range []string{`{"type":"shown","id":"c1","ms":37,"visible":false}`, `{"type":"shown","id":"made-up","ms":1}`,
			`{"type":"shown","id":"c1","ms":-5}`, `nonsense`, `{"type":"later"}`} {
			if err := b.conn.WriteMessage(websocket.TextMessage, []byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(got) != 2 || got[0].CallID != "c1" || got[0].User != "ivan" || got[0].Extension != "101" || got[0].Took != 37*time.Millisecond || got[0].Visible || got[1].Took != 0 {
			t.Errorf("receipts %+v", got)
		}
		if len(latency) != 1 || latency[0] < .004 || latency[0] > .1 {
			t.Errorf("latency %v", latency)
		}
	})
}

func TestEnrichReachesOpenAndLaterCards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Format: func(s string) string { return "<" + s + ">" }})
		defer h.Close()
		b := connect(t, h, Who{"ivan", "101"})
		c := call("c1")
		h.Apply(c, time.Time{}) // in a queue
		h.Enrich("c1", Info{LineName: "Сайт"})
		c.Legs = append(c.Legs, rings("101"))
		h.Apply(c, time.Time{})
		synctest.Wait()
		since := b.card("c1").Since
		time.Sleep(time.Second)
		h.Enrich("c1", Info{Clients: []Client{{Integration: "m", Title: "Megaplan", Found: true, Name: "Анна", Several: 3}}})
		h.Enrich("c1", Info{Clients: []Client{{Integration: "r", Trouble: "timeout"}}})
		h.Enrich("unknown", Info{LineName: "x"})
		synctest.Wait()
		k := b.card("c1")
		if k.Info == nil || k.Info.LineName != "Сайт" || len(k.Info.Clients) != 2 || k.Info.Clients[0].Several != 3 || k.ClientText != "<+79161234567>" {
			t.Errorf("%+v", k)
		}
		if !k.Since.Equal(since.Time) {
			t.Error("the timer of the card jumped")
		}
	})
}

func TestNothingIsSentWhenNothingChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		defer h.Close()
		b := connect(t, h, Who{"ivan", "101"})
		c := call("c1", rings("101"))
		for range 5 {
			h.Apply(c, time.Time{})
		}
		synctest.Wait()
		if fmt.Sprint(b.seen) != "[snapshot card]" {
			t.Errorf("sent %v", b.seen)
		}
	})
}

func TestF25ClientIsOnThePhoneElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		defer h.Close()
		b := connect(t, h, Who{"ivan", "101"})
		h.Apply(call("c1", rings("101")), time.Time{})
		out := &bridge.Call{ID: "c2", Direction: bridge.Out, Agent: "102", Client: "+79161234567", StartedAt: bridge.At(time.Now())}
		h.Apply(out, time.Time{})
		synctest.Wait()
		if k := b.card("c1"); len(k.Busy) != 1 || k.Busy[0].Extension != "102" {
			t.Errorf("busy %v", k.Busy)
		}
		if p := h.OnPhone("+79161234567"); len(p) != 1 {
			t.Errorf("OnPhone %v", p)
		}
		ends(out, bridge.Failed)
		h.Apply(out, time.Time{})
		synctest.Wait()
		if k := b.card("c1"); len(k.Busy) != 0 {
			t.Errorf("still busy %v", k.Busy)
		}
	})
}

func TestConnectionIsPinged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		defer h.Close()
		b := connect(t, h, Who{"ivan", "101"})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if b.closed() != 0 || strings.Count(strings.Join(b.seen, " "), "tick") < 29 {
			t.Errorf("a quiet connection was not kept: code %d, %d messages", b.closed(), len(b.seen))
		}
		dead := open(t, h, Who{"maria", "102"}) // sends no pong
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if h.Connected() != 1 {
			t.Errorf("connected %d: a dead line was not noticed", h.Connected())
		}
		_ = dead
	})
}

func TestBadBrowsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		defer h.Close()
		big := connect(t, h, Who{"a", "101"})
		go func() { _ = big.conn.WriteMessage(websocket.TextMessage, make([]byte, readLimit+1)) }()
		synctest.Wait()
		if big.closed() == 0 {
			t.Error("a message over the limit is accepted")
		}
		noisy := connect(t, h, Who{"b", "102"})
		go func() {
			for range readBudget + 1 {
				if noisy.conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"x"}`)) != nil {
					return
				}
			}
		}()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if noisy.closed() == 0 || h.Connected() != 0 {
			t.Errorf("a noisy browser stays: %d, connected %d", noisy.closed(), h.Connected())
		}
	})
}

func TestOrigin(t *testing.T) {
	h := New(Options{Origins: []string{"https://calls.example.ru/"}})
	for origin, want := range map[string]bool{"": true, "http://10.0.0.5:8080": true, "https://calls.example.ru": true,
		"https://evil.example": false, "http://calls.example.ru": false, "://": false, "null": false} {
		r := &http.Request{Host: "10.0.0.5:8080", Header: http.Header{}}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if got := h.originOK(r); got != want {
			t.Errorf("origin %q: %v", origin, got)
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		b := connect(t, h, Who{"ivan", "101"})
		h.Apply(call("c1", rings("101")), time.Time{})
		synctest.Wait()
		h.Close()
		h.Apply(call("c2", rings("101")), time.Time{})
		late := connect(t, h, Who{"ivan", "101"})
		synctest.Wait()
		if b.closed() != websocket.CloseGoingAway || late.closed() != websocket.CloseGoingAway {
			t.Errorf("codes %d, %d", b.closed(), late.closed())
		}
	})
}

func TestNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		defer h.Close()
		b := connect(t, h, Who{"ivan", "101"})
		synctest.Wait()
		if err := h.Notify("101", "missed", map[string]int{"count": 2}); err != nil {
			t.Fatal(err)
		}
		if err := h.Notify("101", "empty", struct{}{}); err != nil {
			t.Fatal(err)
		}
		if h.Notify("101", "list", []int{1}) == nil {
			t.Error("a list was accepted")
		}
		synctest.Wait()
		if !maps.Equal(map[string]bool{b.seen[1]: true, b.seen[2]: true}, map[string]bool{"missed": true, "empty": true}) {
			t.Errorf("saw %v", b.seen)
		}
	})
}

// TestMergedConsultation is the attended transfer: the consultation is a call
// of its own until the parties are joined.
func TestMergedConsultation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Name: func(e string) string { return map[string]string{"101": "Иван"}[e] }})
		defer h.Close()
		oleg := connect(t, h, Who{"oleg", "103"})
		main := call("main", rings("101"))
		answers(main, "101")
		h.Apply(main, time.Time{})
		ask := &bridge.Call{ID: "ask", Direction: bridge.Internal, Agent: "101", StartedAt: bridge.At(time.Now()), Legs: []bridge.Leg{rings("103")}}
		h.Apply(ask, time.Time{})
		synctest.Wait()
		if k := oleg.card("ask"); k.State != Ringing || k.From == nil || k.From.Name != "Иван" {
			t.Errorf("%+v", k.Card)
		}
		answers(ask, "103")
		h.Apply(ask, time.Time{})
		main.Legs = append(main.Legs, ask.Legs[0])
		main.Transfers = []bridge.Transfer{{Type: "attended", From: "101", To: "103", Answered: true}}
		h.Apply(main, time.Time{})
		h.Drop("ask")
		h.Drop("ask")
		synctest.Wait()
		if got := oleg.view(); len(got) != 1 || got["main"] != Talking || oleg.why("ask") != Merged {
			t.Errorf("%v, %q", got, oleg.why("ask"))
		}
		if k := oleg.card("main"); k.From == nil || k.From.Extension != "101" {
			t.Errorf("who transferred it is not told: %+v", k.Card)
		}
		if got := h.Cards("101"); len(got) != 1 {
			t.Errorf("%+v", got)
		}
	})
}
