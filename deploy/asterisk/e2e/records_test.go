package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callbridge/bridge"
	"callbridge/deploy/asterisk/bench"
)

var update = flag.Bool("update", false, "write the records of the calls down anew; look at each before you keep it")

// kind is a kind of call and how it is played.
type kind struct {
	scenario string
	options  bench.Options
	click    string // the number that phone 101's owner clicks, %s: the client's
}

const ms = time.Millisecond

// quick is a call whose phones answer soon, and long enough to be told from
// one that is cut.
var quick = bench.Options{Ring: 700 * ms, Talk: 900 * ms}

// kinds are the calls whose records are written down in testdata/records.
var kinds = []kind{
	{scenario: "in_answered"}, {scenario: "in_answered_agent_hangs_up"}, {scenario: "in_missed_caller_hangs_up"}, {scenario: "in_noanswer"},
	{scenario: "in_busy"}, {scenario: "in_rejected"}, {scenario: "in_dnd_phone"}, {scenario: "in_phone_dead"}, {scenario: "in_phone_unregistered"},
	{scenario: "in_blacklisted"}, {scenario: "in_anonymous"}, {scenario: "in_no_number"}, {scenario: "in_odd_number"}, {scenario: "in_word_number"},
	{scenario: "in_second_rings"}, {scenario: "in_forward_302"}, {scenario: "in_hold"}, {scenario: "in_pickup"}, {scenario: "in_parked"},
	{scenario: "in_second_call", options: bench.Options{Ring: 700 * ms, Talk: 1500 * ms}}, {scenario: "in_same_client_at_once", options: bench.Options{Ring: 700 * ms, Talk: 2500 * ms}},
	{scenario: "in_voicemail", options: bench.Options{Ring: 500 * ms, Talk: 2 * time.Second}},
	{scenario: "group_102_answers"}, {scenario: "group_101_busy_102_answers"}, {scenario: "group_missed", options: bench.Options{Ring: 700 * ms, Talk: 1500 * ms}},
	{scenario: "group_local"},
	{scenario: "queue_answered"}, {scenario: "queue_second_attempt"}, {scenario: "queue_abandoned", options: bench.Options{Ring: 700 * ms, Talk: 1500 * ms}},
	{scenario: "ivr_answered"}, {scenario: "ivr_abandoned"},
	{scenario: "xfer_blind"}, {scenario: "xfer_blind_noanswer"}, {scenario: "xfer_attended"},
	{scenario: "internal_answered"}, {scenario: "internal_missed"},
	{scenario: "out_answered"}, {scenario: "out_answered_client_hangs_up"}, {scenario: "out_busy"}, {scenario: "out_noanswer"}, {scenario: "out_rejected"},
	{scenario: "out_bad_number"}, {scenario: "out_provider_503"}, {scenario: "out_cancelled"},
	{scenario: "c2c", click: "%s"}, {scenario: "c2c_agent_noanswer", click: "%s"}, {scenario: "c2c_agent_rejects", click: "%s"},
	{scenario: "c2c_client_busy", click: "%s"}, {scenario: "c2c_client_noanswer", click: "%s"}, {scenario: "c2c_bad_number", click: "%s"},
	{scenario: "c2c_agent_cancels", click: "%s", options: bench.Options{Ring: 700 * ms, Talk: 1200 * ms}},
}

// TestE2ERecords drives every kind of call on the real Asterisk, several side
// by side, and compares the record of each with the one that is written down.
func TestE2ERecords(t *testing.T) {
	b := bench.Start(t)
	var users strings.Builder
	for slot := range bench.Slots {
		fmt.Fprintf(&users, "  - {login: %s, role: agent, extension: %q, password: %s}\n", caller(slot), bench.Extension(slot, 1), agentPassword)
	}
	text := users.String()
	p := companyWith(t, b, text[strings.Index(text, "\n")+1:]) // the first is ivan
	total := make([]int, bench.Slots)
	var lanes sync.WaitGroup // not t.Parallel: the calls mostly wait, and there are more of them than cores
	for slot := range bench.Slots {
		lanes.Go(func() {
			for i, k := range kinds {
				if i%bench.Slots == slot {
					t.Run(k.scenario, func(t *testing.T) { total[slot] += p.recorded(t, b, k, slot, i) })
				}
			}
		})
	}
	lanes.Wait()
	var all struct{ Calls []bridge.Call }
	if err := p.get(p.admin, "/api/v1/calls?limit=500", &all); err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, n := range total {
		want += n
	}
	if len(all.Calls) != want {
		t.Errorf("there are %d calls, want %d", len(all.Calls), want)
	}
}

// caller is the login of the owner of a slot's phone 101.
func caller(slot int) string {
	if slot == 0 {
		return "ivan"
	}
	return fmt.Sprintf("agent%d", slot)
}

// recorded plays one call and compares its records; it returns how many there are.
func (shared *program) recorded(t *testing.T, b *bench.Bench, k kind, slot, number int) int {
	p := *shared
	p.t, p.patience = t, time.Minute
	o := k.options
	if o.Ring == 0 {
		o = quick
	}
	o.Slot, o.Client = slot, fmt.Sprintf("7916%d%05d0", slot, number)
	began := bridge.At(time.Now())
	playing := b.Begin(t, k.scenario, o)
	if k.click != "" {
		token := p.signIn(caller(slot), agentPassword)
		try := 0
		p.eventually("the click is taken", func() error { // the phone looks busy for a moment after its last call
			try++
			order := map[string]string{"request_id": fmt.Sprintf("%s-%d", k.scenario, try), "number": fmt.Sprintf(k.click, "+"+o.Client)}
			return p.do(token, http.MethodPost, "/api/v1/calls", order, nil)
		})
	}
	playing.Wait(t)

	file := filepath.Join("testdata", "records", k.scenario+".json")
	var want []written
	known, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(known, &want)
	}
	if err != nil && !*update {
		t.Fatalf("the record that is written down: %v", err)
	}
	var calls []bridge.Call
	p.eventually("the call is over", func() error {
		var list struct{ Calls []bridge.Call }
		if err := p.get(p.admin, "/api/v1/calls?limit=500", &list); err != nil {
			return err
		}
		calls = slices.DeleteFunc(list.Calls, func(c bridge.Call) bool {
			return c.StartedAt.Before(began.Time) || !ofSlot(&c, slot, o.Client)
		})
		open := slices.ContainsFunc(calls, func(c bridge.Call) bool { return !c.Ended() })
		if open || len(calls) == 0 || len(calls) < len(want) {
			return fmt.Errorf("there are %d calls, want %d, all of them over", len(calls), len(want))
		}
		return nil
	})
	slices.SortFunc(calls, func(a, b bridge.Call) int { return a.StartedAt.Compare(b.StartedAt.Time) })
	got := make([]written, len(calls))
	for i := range calls {
		got[i] = plain(t, &calls[i], slot, o.Client)
	}
	if *update {
		text, err := json.MarshalIndent(got, "", " ")
		if err == nil {
			err = os.MkdirAll(filepath.Dir(file), 0o755)
		}
		if err == nil {
			err = os.WriteFile(file, append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return len(got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the record is another than the one written down (- want, + got):\n%s", diff)
		for _, c := range calls {
			t.Logf("the case file of %s: %s", c.ID, p.run("calls", "case", c.ID, "-c", "callbridge.yaml"))
		}
	}
	return len(got)
}

// ofSlot says whether a call is of the slot's company.
func ofSlot(c *bridge.Call, slot int, client string) bool {
	own := func(ext string) bool { return strings.HasPrefix(ext, bench.Extension(slot, 0)[:2]) && len(ext) == 3 }
	return own(c.Agent) || slices.ContainsFunc(c.Legs, func(l bridge.Leg) bool { return own(l.Extension) }) ||
		len(c.ClientRaw) > 9 && strings.HasSuffix(c.ClientRaw, client[1:])
}

// written is what of a record is the same every time the call is made.
type written struct {
	Direction  bridge.Direction `json:"direction"`
	Outcome    bridge.Outcome   `json:"outcome"`
	Reason     bridge.Reason    `json:"reason,omitempty"`
	Client     string           `json:"client"`
	ClientRaw  string           `json:"client_raw"`
	ClientName string           `json:"client_name,omitempty"`
	Line       string           `json:"line,omitempty"`
	Queue      string           `json:"queue,omitempty"`
	Agent      string           `json:"agent,omitempty"`
	Click      bool             `json:"click,omitempty"`
	Rang       []string         `json:"rang"`
	AnsweredBy []string         `json:"answered_by"`
	Talked     string           `json:"talked_first_last_longest,omitempty"`
	Transfers  []string         `json:"transfers,omitempty"`
	HungUpBy   bridge.Side      `json:"hung_up_by,omitempty"`
	Cause      int              `json:"cause,omitempty"`
	Times      string           `json:"times"`
	Path       []string         `json:"path,omitempty"`
	Legs       []writtenLeg     `json:"legs"`
	Recordings []string         `json:"recordings"`
	Gaps       int              `json:"gaps,omitempty"`
	Unknown    []string         `json:"unknown,omitempty"`
}

type writtenLeg struct {
	Extension string           `json:"extension"`
	Result    bridge.LegResult `json:"result"`
	Times     string           `json:"times"`
	Holds     int              `json:"holds,omitempty"`
	Cause     int              `json:"cause,omitempty"`
}

// plain makes of a record what is written down of it: phones as in the first
// slot, which times are known, in the order in which they must be.
func plain(t *testing.T, c *bridge.Call, slot int, client string) written {
	t.Helper()
	ext := func(s string) string {
		if own := bench.Extension(slot, 0)[:2]; len(s) == 3 && strings.HasPrefix(s, own) {
			return "10" + s[2:]
		}
		return s
	}
	all := func(list []string) []string {
		out := []string{}
		for _, s := range list {
			out = append(out, ext(s))
		}
		return out
	}
	number := func(s string) string { return strings.ReplaceAll(s, client, "CLIENT") }
	w := written{Direction: c.Direction, Outcome: c.Outcome, Reason: c.Reason, Client: number(string(c.Client)), ClientRaw: number(c.ClientRaw), ClientName: c.ClientName,
		Line: c.Line, Queue: strings.TrimRight(c.Queue, "0123456789"), Agent: ext(c.Agent), Click: c.ClickID != "", Rang: all(c.Rang), AnsweredBy: all(c.AnsweredBy),
		HungUpBy: c.HungUpBy, Cause: c.Cause, Legs: []writtenLeg{}, Recordings: []string{}, Gaps: len(c.Gaps), Unknown: c.Unknown}
	slices.Sort(w.Rang) // phones that ring together begin in any order
	if c.TalkedFirst != "" {
		w.Talked = strings.Join(all([]string{c.TalkedFirst, c.TalkedLast, c.TalkedLongest}), " ")
	}
	for _, x := range c.Transfers {
		w.Transfers = append(w.Transfers, fmt.Sprintf("%s %s→%s %t", x.Type, ext(x.From), ext(x.To), x.Answered))
	}
	for _, s := range c.Path {
		if s.Digit != "" {
			w.Path = append(w.Path, "pressed "+s.Digit)
		} else {
			w.Path = append(w.Path, s.Context+"/"+s.Exten)
		}
	}
	for _, r := range c.Recordings {
		name := r.Name
		if name == c.PBXCallID+".wav" {
			name = "linkedid.wav"
		}
		w.Recordings = append(w.Recordings, strings.TrimSuffix(name+" of "+ext(r.Extension), " of "))
	}
	w.Times = known(t, moment{"started", c.StartedAt}, moment{"answered", c.AnsweredAt}, moment{"ended", c.EndedAt})
	if c.WaitMS == nil || *c.WaitMS < 0 || c.AnsweredAt.IsZero() != (c.TalkMS == nil) || c.TalkMS != nil && *c.TalkMS < 300 {
		t.Errorf("wait_ms %v, talk_ms %v", c.WaitMS, c.TalkMS)
	}
	for _, l := range c.Legs {
		w.Legs = append(w.Legs, writtenLeg{Extension: ext(l.Extension), Result: l.Result, Holds: l.Holds, Cause: l.Cause,
			Times: known(t, moment{"dialled", l.DialledAt}, moment{"rang", l.RingAt}, moment{"answered", l.AnswerAt}, moment{"ended", l.EndAt})})
	}
	slices.SortStableFunc(w.Legs, func(a, b writtenLeg) int { return strings.Compare(a.Extension, b.Extension) })
	return w
}

type moment struct {
	name string
	at   bridge.Time
}

// known names the moments that are known; they must be in order.
func known(t *testing.T, list ...moment) string {
	t.Helper()
	var names []string
	var last bridge.Time
	for _, m := range list {
		if m.at.IsZero() {
			continue
		}
		if m.at.Before(last.Add(-5 * ms)) {
			t.Errorf("%s at %v comes before the moment before it, %v", m.name, m.at, last)
		}
		names, last = append(names, m.name), m.at
	}
	return strings.Join(names, " ")
}
