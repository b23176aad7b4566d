package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
)

// windows is what Megaplan's call windows show now: employee's extension to state.
func (b *bureau) windows() map[string]string {
	out := map[string]string{}
	names := map[string]string{}
	for _, e := range b.targetOf("mp").staff.Load().Links(nil) {
		names[string(e.User)] = e.Extension
	}
	for _, w := range b.mega.Widget() {
		ext := names[w.Employee]
		if ext == "" {
			ext = w.Employee
		}
		out[ext] = w.Type + " " + w.State
	}
	return out
}

func (b *bureau) show(what string, want map[string]string) {
	b.t.Helper()
	b.eventually(what, func() string {
		if got := b.windows(); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprintf("windows %v, want %v", got, want)
		}
		return ""
	})
}

func windowed(t *testing.T) *bureau {
	return openBureau(t, bureauSeed(), func(s *bridge.Settings) {
		s.Employees = append(s.Employees, bridge.Employee{Extension: "103", Email: "petr@example.ru", Name: "Пётр"}, bridge.Employee{Extension: "104", Email: "anna@example.ru", Name: "Анна"})
	})
}

// M-0.1, D-10: the window in Megaplan opens when the phone rings, follows the
// call, is taken away from the others, shows the hold, and closes at the end.
func TestM01CallInfoLifeCycleWithHold(t *testing.T) {
	b := windowed(t)
	r := b.rings("79161234567", "101", "102", "103")
	b.show("three windows ring", map[string]string{"101": "in calling", "102": "in calling", "103": "in calling"})
	r.after(time.Second).answers("102")
	b.show("102 has it, the others' are gone", map[string]string{"101": "in finished", "102": "in talking", "103": "in finished"})
	phone := r.phones["102"]
	for range 2 { // a second hold is shown, too
		r.after(time.Second).tell(bridge.Event{Kind: bridge.HoldBegan, Leg: &phone})
		b.show("on hold", map[string]string{"101": "in finished", "102": "in hold", "103": "in finished"})
		r.after(time.Second).tell(bridge.Event{Kind: bridge.HoldEnded, Leg: &phone})
		b.show("talking again", map[string]string{"101": "in finished", "102": "in talking", "103": "in finished"})
	}
	r.after(time.Second).passes("102", "104")
	b.show("after the transfer 104 talks", map[string]string{"101": "in finished", "102": "in finished", "103": "in finished", "104": "in talking"})
	r.after(time.Second).ends()
	b.settled(1)
	b.show("all are closed", map[string]string{"101": "in finished", "102": "in finished", "103": "in finished", "104": "in finished"})
}

// D-02, D-10: a queue that rings one after the other leaves no window open.
func TestD10NoWindowStaysWhereThePhoneStoppedRinging(t *testing.T) {
	b := windowed(t)
	r := b.rings("79161234567", "101")
	b.show("101 rings", map[string]string{"101": "in calling"})
	r.after(4*time.Second).stops("101", bridge.DialNoAnswer).also("103")
	b.show("103 rings, 101 is left in peace", map[string]string{"101": "in finished", "103": "in calling"})
	r.after(4 * time.Second).ends()
	b.settled(1)
	b.eventually("all are closed", func() string {
		for ext, s := range b.windows() {
			if !strings.HasSuffix(s, "finished") {
				return ext + " " + s
			}
		}
		return ""
	})
	missed := 0
	for _, o := range b.made("call") {
		if o.Value("type") == "miss" {
			missed++
		}
	}
	if missed != 1 {
		t.Errorf("%d missed calls in Megaplan, want 1: %+v", missed, b.made("call"))
	}
}

// D-10: a phone that stops ringing while no other rings has its window closed
// at once, not when the queue tries the next one; if it rings again, the window
// opens again.
func TestD10WindowClosesWhenThePhoneStopsAndNobodyElseRings(t *testing.T) {
	b := windowed(t)
	r := b.rings("79161234567", "101", "103")
	b.show("two windows", map[string]string{"101": "in calling", "103": "in calling"})
	r.after(2*time.Second).stops("103", bridge.DialBusy)
	b.show("103 refused", map[string]string{"101": "in calling", "103": "in finished"})
	r.after(2*time.Second).stops("101", bridge.DialNoAnswer)
	b.show("nobody rings", map[string]string{"101": "in finished", "103": "in finished"})
	r.after(5 * time.Second).also("101")
	b.show("101 rings again", map[string]string{"101": "in calling", "103": "in finished"})
	r.after(time.Second).answers("101")
	b.show("101 talks", map[string]string{"101": "in talking", "103": "in finished"})
	r.after(time.Second).ends()
	for _, d := range b.settled(1) {
		if d.Action.Trigger == bridge.OnStop && d.State != bridge.Done {
			t.Errorf("%s: %s %s", d.Action.Key, d.State, d.Note)
		}
	}
	b.show("closed", map[string]string{"101": "in finished", "103": "in finished"})
}
