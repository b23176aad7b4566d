package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/deploy/asterisk/bench"
)

// TestE2EGapIsRepaired: the program is down while one call ends and two others
// come and go. Afterwards the PBX's own call log tells all three (F-2), they
// are delivered, and nobody's screen shows a card of them.
func TestE2EGapIsRepaired(t *testing.T) {
	b := bench.Start(t)
	p := company(t, b)
	file := filepath.Join(p.dir, "callbridge.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p.stop(syscall.SIGTERM)
	text = append(bytes.TrimRight(text, "\n"), []byte(fmt.Sprintf(`
    time_zone: UTC
    cdr: {csv: %q, columns: [%s]}
`, b.CDR, "start, src, dst, channel, dstchannel, disposition, duration, billsec, uniqueid, linkedid, answer, end, lastapp, lastdata, sequence"))...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p.serve()

	ivan := p.browser(t, "ivan")
	first := b.Begin(t, "in_answered", bench.Options{Ring: 1500 * time.Millisecond, Talk: 2500 * time.Millisecond})
	shown := ivan.card(t, "ringing")
	p.eventually("the call is stored", func() error { return p.get(p.admin, "/api/v1/calls/"+shown.ID, nil) })
	p.stop(syscall.SIGKILL)
	first.Wait(t)
	b.Play(t, "in_missed_caller_hangs_up", bench.Options{Client: "79031112233", Ring: time.Second, Talk: 2 * time.Second})
	b.Play(t, "out_answered", bench.Options{Client: "79055554433", Ring: time.Second, Talk: 1500 * time.Millisecond})
	p.serve()
	ivan = p.browser(t, "ivan")

	var list struct{ Calls []bridge.Call }
	p.eventually("all three calls are known and over", func() error {
		if err := p.get(p.admin, "/api/v1/calls", &list); err != nil {
			return err
		}
		if len(list.Calls) != 3 || slices.ContainsFunc(list.Calls, func(c bridge.Call) bool { return !c.Ended() }) {
			return fmt.Errorf("there are %d calls", len(list.Calls))
		}
		return nil
	})
	p.patience = 100 * time.Second // what was being sent is free again when its lease runs out
	for _, c := range list.Calls {
		r := p.settled(t, c.ID)
		if len(r.Gaps) != 1 || r.Gaps[0].Reason != "call_log" {
			t.Errorf("the record does not say where it comes from: %+v", r.Gaps)
		}
		want := bridge.Call{Direction: bridge.In, Outcome: bridge.Answered, Client: "+" + bench.Client, Line: "+" + bench.MainLine,
			Rang: []string{"101"}, AnsweredBy: []string{"101"}}
		switch c.Client {
		case "+79031112233":
			want.Outcome, want.Reason, want.Client, want.AnsweredBy = bridge.Missed, bridge.NoAnswer, c.Client, nil
		case "+79055554433":
			want.Direction, want.Client, want.Agent, want.Rang = bridge.Out, c.Client, "101", nil
		default:
			if r.ID != shown.ID || r.TalkMS == nil || *r.TalkMS < 1000 || *r.TalkMS > 4000 {
				t.Errorf("the call that was cut: id %s, want %s, talk %v", r.ID, shown.ID, r.TalkMS)
			}
		}
		same(t, &r.Call, &want)
	}
	for crm := range p.crms {
		if has := p.count(crm); has["contact"] != 3 || has["call"] != 3 || has["task"] != 1 {
			t.Errorf("%s has %v, want three contacts and calls, and one task", crm, has)
		}
	}
	for {
		select {
		case m := <-ivan.got:
			if m.Type == "card" && m.Card.ID != shown.ID {
				t.Errorf("a card of a call that was over: %+v", m.Card)
			}
			continue
		default:
		}
		break
	}
	balanced(t, p)
}
