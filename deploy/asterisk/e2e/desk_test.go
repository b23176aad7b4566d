package e2e

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"callbridge/bridge/card"
	"callbridge/deploy/asterisk/bench"
)

// TestDeskOnAsterisk hangs up and transfers from the card, on a real Asterisk,
// and lets nobody do it who has no part in the call.
func TestDeskOnAsterisk(t *testing.T) {
	b := bench.Start(t)
	p := company(t, b)
	ivan, olga := p.browser(t, "ivan"), p.browser(t, "olga")

	t.Run("hang up", func(t *testing.T) {
		playing := b.Begin(t, "in_ended_by_us", bench.Options{Ring: 200 * time.Millisecond})
		shown := ivan.card(t, card.Talking)
		path := "/api/v1/calls/" + shown.ID
		if err := p.do(olga.token, http.MethodPost, path+"/hangup", map[string]any{}, nil); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("a colleague hung up: %v", err)
		}
		if err := p.do(olga.token, http.MethodPost, path+"/hangup", map[string]any{"extension": "101"}, nil); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("a colleague hung up: %v", err)
		}
		if err := p.do(ivan.token, http.MethodPost, path+"/hangup", map[string]any{}, nil); err != nil {
			t.Fatal(err)
		}
		playing.Wait(t)
		r := p.settled(t, shown.ID)
		if len(r.AnsweredBy) != 1 || r.AnsweredBy[0] != "101" {
			t.Errorf("answered by %v", r.AnsweredBy)
		}
		if err := p.do(ivan.token, http.MethodPost, path+"/hangup", map[string]any{}, nil); err == nil || !strings.Contains(err.Error(), "call_over") {
			t.Errorf("a call that is over was hung up: %v", err)
		}
	})

	t.Run("transfer", func(t *testing.T) {
		playing := b.Begin(t, "in_sent_on", bench.Options{Client: "79165550122", Ring: 200 * time.Millisecond, Talk: 500 * time.Millisecond})
		shown := ivan.card(t, card.Talking)
		path := "/api/v1/calls/" + shown.ID + "/transfer"
		if err := p.do(ivan.token, http.MethodPost, path, map[string]any{"to": "105"}, nil); err == nil || !strings.Contains(err.Error(), "colleague_away") {
			t.Errorf("sent to a phone that is not there: %v", err)
		}
		if err := p.do(olga.token, http.MethodPost, path, map[string]any{"to": "103"}, nil); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("a colleague sent it on: %v", err)
		}
		if err := p.do(ivan.token, http.MethodPost, path, map[string]any{"to": "103"}, nil); err != nil {
			t.Fatal(err)
		}
		ivan.gone(t, shown.ID)
		playing.Wait(t)
		r := p.settled(t, shown.ID)
		if strings.Join(r.AnsweredBy, " ") != "101 103" {
			t.Errorf("answered by %v, want 101 103", r.AnsweredBy)
		}
		if len(r.Transfers) != 1 || r.Transfers[0].From != "101" || r.Transfers[0].To != "103" || !r.Transfers[0].Answered {
			t.Errorf("transfers %+v", r.Transfers)
		}
		p.eventually("the helper channel made no call of its own", func() error {
			var all struct{ Calls []record }
			if err := p.get(p.admin, "/api/v1/calls", &all); err != nil {
				return err
			}
			if len(all.Calls) != 2 {
				return errors.New("there are others")
			}
			return nil
		})
	})
}
