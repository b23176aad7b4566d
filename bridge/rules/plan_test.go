package rules

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func ptr[T any](v T) *T { return &v }

// example is the integration of design.md section 5, with a little more.
func example() bridge.Integration {
	return bridge.Integration{ID: "megaplan-main", Kind: "megaplan", DefaultResponsible: "ivan@example.ru",
		Calls: bridge.CallRules{
			Contact: &bridge.ContactRule{When: []string{"answer", "missed"}, Responsible: "last_talked"},
			Fields:  []bridge.FieldRule{{CRM: "utm_source", From: "source.utm_source", Update: "always"}, {CRM: "first_line", From: "line.number"}},
			Communications: []bridge.CallRule{{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered, bridge.Missed}},
				{Direction: bridge.Out, Outcome: []bridge.Outcome{bridge.Answered}}},
			CommunicationMinutes: ptr(120),
			Tasks: []bridge.TaskRule{
				{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}}, Responsible: "default", Title: "Перезвонить {{.Client.Phone}}", Due: bridge.Duration(4 * time.Hour)},
				{CallRule: bridge.CallRule{Direction: bridge.Out, Outcome: []bridge.Outcome{bridge.Failed}, Reason: []bridge.Reason{bridge.NoAnswer, bridge.Busy}}},
			},
			Processes: []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered}, Known: ptr(false), Lines: []string{"+74951234567"}}, Scheme: "8", Responsible: "talked"}},
		}}
}

func call(d bridge.Direction, o bridge.Outcome, r bridge.Reason) bridge.Call {
	at := bridge.At(time.Date(2026, 11, 22, 5, 1, 0, 0, time.UTC))
	c := bridge.Call{ID: "C1", PBX: "office", Direction: d, Outcome: o, Reason: r, Client: "+79161234567", ClientRaw: "79161234567", Line: "+74951234567",
		StartedAt: at, EndedAt: at, Rang: []string{"101"}, Legs: []bridge.Leg{{Extension: "101", RingAt: at}}}
	if d != bridge.In {
		c.Agent = "101"
	}
	if o == bridge.Answered {
		c.AnsweredBy, c.AnsweredAt, c.Legs[0].AnswerAt = []string{"101"}, at, at
	}
	if d == bridge.Internal {
		c.Client, c.ClientRaw, c.Line = "", "", ""
	}
	return c
}

// TestPlanTable covers direction × outcome × line × known × withheld (M-3.2,
// M-4.1 to M-4.5, decisions 1 and 3) as a table people can read.
func TestPlanTable(t *testing.T) {
	type kind struct {
		d bridge.Direction
		o bridge.Outcome
		r bridge.Reason
	}
	var b strings.Builder
	write := func(title string, c bridge.Call, trigger bridge.Trigger, ext string, in bridge.Integration) {
		fmt.Fprintf(&b, "## %s\n", title)
		for _, a := range Plan(c, trigger, ext, in, 7) {
			mark := "no "
			if a.Wanted {
				mark = "YES"
			}
			fmt.Fprintf(&b, "%s %-13s %-34s %s\n    %s\n    %s\n", mark, a.Kind, a.Key, a.Rule, a.Reason, Explain(a.Reason, "ru"))
			if !a.Wanted {
				continue
			}
			var extra []string
			if a.Known != nil {
				extra = append(extra, fmt.Sprintf("known=%v", *a.Known))
			}
			if a.Responsible != "" {
				extra = append(extra, "responsible="+a.Responsible)
			}
			if a.Title != "" {
				extra = append(extra, fmt.Sprintf("title=%q", a.Title))
			}
			if a.Due != 0 {
				extra = append(extra, "due="+time.Duration(a.Due).String())
			}
			if a.Kind == bridge.ActCommunication {
				extra = append(extra, fmt.Sprintf("minutes=%d", a.Minutes))
			}
			if a.Scheme != "" {
				extra = append(extra, "scheme="+a.Scheme)
			}
			if len(a.Fields) > 0 {
				extra = append(extra, fmt.Sprint("fields=", a.Fields))
			}
			if len(extra) > 0 {
				fmt.Fprintf(&b, "    %s\n", strings.Join(extra, " "))
			}
		}
	}
	in := example()
	for _, k := range []kind{{bridge.In, bridge.Answered, ""}, {bridge.In, bridge.Missed, bridge.AbandonedQueue}, {bridge.Out, bridge.Answered, ""},
		{bridge.Out, bridge.Failed, bridge.Busy}, {bridge.Out, bridge.Failed, bridge.Congestion}, {bridge.Internal, bridge.Answered, ""}, {bridge.Internal, bridge.Missed, bridge.NoAnswer}} {
		write(fmt.Sprintf("end: %s %s %s", k.d, k.o, k.r), call(k.d, k.o, k.r), bridge.OnEnd, "", in)
	}
	other := call(bridge.In, bridge.Answered, "")
	other.Line = "+74957654321"
	write("end: in answered on another line", other, bridge.OnEnd, "", in)
	in.Lines = []string{"+74951234567"}
	write("end: another line, lines of the integration limited", other, bridge.OnEnd, "", in)
	write("ring: another line, lines of the integration limited", other, bridge.OnRing, "101", in)
	other.Line = ""
	write("end: unknown line, lines of the integration limited", other, bridge.OnEnd, "", in)
	write("end: own line, lines of the integration limited", call(bridge.In, bridge.Missed, bridge.NoAnswer), bridge.OnEnd, "", in)
	in.Lines = nil
	withheld := call(bridge.In, bridge.Missed, bridge.NoAnswer)
	withheld.Client, withheld.ClientRaw = "", "anonymous"
	write("end: in missed, withheld", withheld, bridge.OnEnd, "", in)
	write("ring: withheld", withheld, bridge.OnRing, "101", in)
	live := call(bridge.In, "", "")
	write("ring", live, bridge.OnRing, "101", in)
	live.AnsweredBy = []string{"101"}
	write("answer", live, bridge.OnAnswer, "101", in)
	moved := call(bridge.In, bridge.Answered, "")
	moved.AnsweredBy = []string{"101", "103"}
	write("end: in answered, transferred (D-03)", moved, bridge.OnEnd, "", in)
	write("end: no rules at all", call(bridge.In, bridge.Missed, bridge.NoAnswer), bridge.OnEnd, "", bridge.Integration{ID: "x"})
	inner := bridge.Integration{ID: "x", Calls: bridge.CallRules{Tasks: []bridge.TaskRule{{CallRule: bridge.CallRule{Direction: bridge.Internal, Outcome: []bridge.Outcome{bridge.Missed}}}}}}
	write("end: internal missed, a rule names internal", call(bridge.Internal, bridge.Missed, bridge.NoAnswer), bridge.OnEnd, "", inner)

	golden := filepath.Join("testdata", "plan.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the plans differ from %s (run with -update and look at the difference):\n%s", golden, b.String())
	}
}

func find(t *testing.T, list []bridge.Action, name string) *bridge.Action {
	t.Helper()
	for i := range list {
		if list[i].Key == Key("C1", name) {
			return &list[i]
		}
	}
	t.Fatalf("no action %s in %v", name, list)
	return nil
}

func TestM41ContactMoments(t *testing.T) {
	for _, tt := range []struct {
		name      string
		when      []string
		direction bridge.Direction
		outcome   bridge.Outcome
		want      bool
		who       string
	}{
		{"both, answered", []string{"answer", "missed"}, bridge.In, bridge.Answered, true, "last_talked"},
		{"both, missed", []string{"answer", "missed"}, bridge.In, bridge.Missed, true, "default"},
		{"both, failed", []string{"answer", "missed"}, bridge.Out, bridge.Failed, false, ""},
		{"answer only, missed", []string{"answer"}, bridge.In, bridge.Missed, false, ""},
		{"missed only, answered", []string{"missed"}, bridge.In, bridge.Answered, false, ""},
		{"not said, failed (M-0.6)", nil, bridge.Out, bridge.Failed, true, "default"},
		{"failed, named", []string{"failed"}, bridge.Out, bridge.Failed, true, "default"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := bridge.Integration{Calls: bridge.CallRules{Contact: &bridge.ContactRule{When: tt.when}}}
			a := find(t, Plan(call(tt.direction, tt.outcome, ""), bridge.OnEnd, "", in, 1), "contact")
			if a.Wanted != tt.want || a.Responsible != tt.who {
				t.Errorf("wanted %v, responsible %q: %s", a.Wanted, a.Responsible, a.Reason)
			}
		})
	}
}

func TestSecondRingOfOnePhoneGetsASecondCard(t *testing.T) {
	c := call(bridge.In, "", "")
	first := Plan(c, bridge.OnRing, "101", bridge.Integration{}, 1)[0].Key
	c.Legs = append(c.Legs, bridge.Leg{Extension: "101", RingAt: c.StartedAt})
	second := Plan(c, bridge.OnRing, "101", bridge.Integration{}, 1)[0].Key
	if first != Key("C1", "popup-ring-101") || second != Key("C1", "popup-ring-101-2") {
		t.Errorf("keys %s and %s", first, second)
	}
}

func TestCommunicationRulesThatAskForKnown(t *testing.T) {
	yes, no := ptr(true), ptr(false)
	rule := func(known *bool) bridge.CallRule { return bridge.CallRule{Direction: bridge.In, Known: known} }
	for _, tt := range []struct {
		name  string
		rules []bridge.CallRule
		want  string
	}{
		{"one for all", []bridge.CallRule{rule(nil), rule(yes)}, "communication[0]"},
		{"known first, then all", []bridge.CallRule{rule(yes), rule(nil)}, "communication-known[0] communication-unknown[1]"},
		{"both, then all", []bridge.CallRule{rule(yes), rule(no), rule(nil)}, "communication-known[0] communication-unknown[1]"},
		{"twice the same", []bridge.CallRule{rule(yes), rule(yes)}, "communication-known[0]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := bridge.Integration{Calls: bridge.CallRules{Communications: tt.rules}}
			var got []string
			for _, a := range Plan(call(bridge.In, bridge.Missed, ""), bridge.OnEnd, "", in, 1) {
				if a.Kind == bridge.ActCommunication && a.Wanted {
					name := strings.TrimPrefix(a.Key, "callbridge:C1:")
					if (a.Known != nil) != strings.HasSuffix(name, "known") {
						t.Errorf("%s has known %v", name, a.Known)
					}
					got = append(got, name+strings.TrimPrefix(a.Rule, "calls.communications"))
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestM432CommunicationMinutes(t *testing.T) {
	for _, tt := range []struct {
		set  *int
		want int
	}{{nil, 120}, {ptr(0), 0}, {ptr(15), 15}} {
		in := bridge.Integration{Calls: bridge.CallRules{Communications: []bridge.CallRule{{Direction: bridge.In}}, CommunicationMinutes: tt.set}}
		if a := find(t, Plan(call(bridge.In, bridge.Answered, ""), bridge.OnEnd, "", in, 1), "communication"); a.Minutes != tt.want {
			t.Errorf("minutes %d, want %d", a.Minutes, tt.want)
		}
	}
}

// Whatever the rules and the call: keys differ, every action has a reason in
// both languages, and dependents come after what they depend on.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, in := drawCall(t), drawIntegration(t)
		trigger := rapid.SampledFrom([]bridge.Trigger{bridge.OnRing, bridge.OnAnswer, bridge.OnEnd}).Draw(t, "trigger")
		ext := "101"
		if trigger == bridge.OnEnd {
			ext = ""
		}
		list := Plan(c, trigger, ext, in, 3)
		if trigger == bridge.OnEnd && len(list) == 0 {
			t.Fatal("an ended call is not explained")
		}
		order := []bridge.ActionKind{bridge.ActPopup, bridge.ActContact, bridge.ActOwner, bridge.ActFields, bridge.ActCall, bridge.ActCommunication, bridge.ActTask, bridge.ActProcess}
		seen, last := map[string]bool{}, 0
		for _, a := range list {
			switch at := slices.Index(order, a.Kind); {
			case seen[a.Key]:
				t.Fatalf("key %s is there twice", a.Key)
			case a.Reason == "" || strings.Contains(a.Reason, "%!"):
				t.Fatalf("%s has the reason %q", a.Key, a.Reason)
			case Explain(a.Reason, "ru") == a.Reason || strings.Contains(Explain(a.Reason, "ru"), "the "):
				t.Fatalf("%q is not translated: %q", a.Reason, Explain(a.Reason, "ru"))
			case at < last:
				t.Fatalf("%s stands too late", a.Key)
			case a.Version != 3 || a.Trigger != trigger || a.Rule == "":
				t.Fatalf("%+v", a)
			case c.Direction == bridge.Internal && a.Wanted && !(a.Kind == bridge.ActTask || a.Kind == bridge.ActProcess || a.Kind == bridge.ActCommunication):
				t.Fatalf("an internal call wants %s", a.Kind)
			case c.Client == "" && a.Wanted && (a.Kind == bridge.ActContact || a.Kind == bridge.ActFields || a.Kind == bridge.ActPopup):
				t.Fatalf("a withheld call wants %s", a.Kind)
			default:
				seen[a.Key], last = true, at
			}
			for _, tmpl := range []string{a.Title, a.Text} {
				if s, err := Expand(tmpl, NewData(c, About{})); err != nil || tmpl != "" && s == "" {
					t.Fatalf("template %q gives %q, %v", tmpl, s, err)
				}
			}
		}
	})
}

func drawRule(t *rapid.T) bridge.CallRule {
	r := bridge.CallRule{Direction: rapid.SampledFrom([]bridge.Direction{"", bridge.In, bridge.Out, bridge.Internal}).Draw(t, "rule direction")}
	if rapid.Bool().Draw(t, "outcomes") {
		r.Outcome = rapid.SliceOfN(rapid.SampledFrom([]bridge.Outcome{bridge.Answered, bridge.Missed, bridge.Failed}), 1, 2).Draw(t, "outcome")
	}
	if rapid.Bool().Draw(t, "reasons") {
		r.Reason = rapid.SliceOfN(rapid.SampledFrom(bridge.Reasons()), 1, 3).Draw(t, "reason")
	}
	if rapid.Bool().Draw(t, "lines") {
		r.Lines = rapid.SliceOfN(rapid.SampledFrom([]string{"+74951234567", "+74957654321", "trunk"}), 1, 2).Draw(t, "line")
	}
	r.Known = rapid.SampledFrom([]*bool{nil, ptr(true), ptr(false)}).Draw(t, "known")
	return r
}

func drawIntegration(t *rapid.T) bridge.Integration {
	in := bridge.Integration{ID: "x"}
	if rapid.IntRange(0, 3).Draw(t, "limited") == 0 {
		in.Lines = []string{"+74951234567"}
	}
	if rapid.Bool().Draw(t, "contact") {
		in.Calls.Contact = &bridge.ContactRule{When: rapid.SliceOfN(rapid.SampledFrom([]string{"answer", "missed", "failed"}), 0, 2).Draw(t, "when"),
			Responsible: rapid.SampledFrom(ResponsibleWords()).Draw(t, "who")}
	}
	if rapid.Bool().Draw(t, "fields") {
		in.Calls.Fields = []bridge.FieldRule{{CRM: "a", From: "source.x", Update: rapid.SampledFrom([]string{"", "always"}).Draw(t, "update")}}
	}
	for range rapid.IntRange(0, 3).Draw(t, "communications") {
		in.Calls.Communications = append(in.Calls.Communications, drawRule(t))
	}
	for range rapid.IntRange(0, 3).Draw(t, "tasks") {
		in.Calls.Tasks = append(in.Calls.Tasks, bridge.TaskRule{CallRule: drawRule(t)})
	}
	for range rapid.IntRange(0, 3).Draw(t, "processes") {
		in.Calls.Processes = append(in.Calls.Processes, bridge.ProcessRule{CallRule: drawRule(t)})
	}
	in.Calls.Popup = rapid.SampledFrom([]*bool{nil, ptr(true), ptr(false)}).Draw(t, "popup")
	return in
}

func drawCall(t *rapid.T) bridge.Call {
	d := rapid.SampledFrom([]bridge.Direction{bridge.In, bridge.Out, bridge.Internal}).Draw(t, "direction")
	o := rapid.SampledFrom([]bridge.Outcome{bridge.Answered, bridge.Missed, bridge.Failed}).Draw(t, "call outcome")
	var r bridge.Reason
	if o != bridge.Answered {
		r = rapid.SampledFrom(bridge.Reasons()).Draw(t, "call reason")
	}
	c := call(d, o, r)
	c.Line = rapid.SampledFrom([]string{"", "+74951234567", "74957654321", "trunk"}).Draw(t, "call line")
	if rapid.Bool().Draw(t, "withheld") {
		c.Client, c.ClientRaw = "", "anonymous"
	}
	if o == bridge.Answered && rapid.Bool().Draw(t, "transferred") {
		c.AnsweredBy = append(c.AnsweredBy, "103")
	}
	return c
}

func TestResponsible(t *testing.T) {
	staff := Staff{Default: "boss@example.ru", Employees: []bridge.Employee{{Extension: "101", Email: "a@example.ru"}, {Extension: "103", Email: "c@example.ru"}, {Extension: "100", Email: "Boss@example.ru"}}}
	talked := call(bridge.In, bridge.Answered, "")
	talked.AnsweredBy = []string{"101", "103"}
	talked.Legs = []bridge.Leg{{Extension: "101", TalkMS: ptr(int64(9000))}, {Extension: "103", TalkMS: ptr(int64(4000))}}
	missed, failed := call(bridge.In, bridge.Missed, bridge.NoAnswer), call(bridge.Out, bridge.Failed, bridge.Busy)
	stranger := call(bridge.In, bridge.Answered, "")
	stranger.AnsweredBy = []string{"199"}
	for _, tt := range []struct {
		name, rule string
		call       bridge.Call
		want       Owner
	}{
		{"default", "default", talked, Owner{Email: "boss@example.ru", Extension: "100"}},
		{"nothing said", "", talked, Owner{Email: "boss@example.ru", Extension: "100"}},
		{"first (M-4.1.1)", "first_talked", talked, Owner{Email: "a@example.ru", Extension: "101"}},
		{"last (M-4.1.1)", "last_talked", talked, Owner{Email: "c@example.ru", Extension: "103"}},
		{"talked", "talked", talked, Owner{Email: "c@example.ru", Extension: "103"}},
		{"longest", "longest_talked", talked, Owner{Email: "a@example.ru", Extension: "101"}},
		{"last of a missed call", "last_talked", missed, Owner{Email: "boss@example.ru", Extension: "100"}},
		{"talked of a failed call", "talked", failed, Owner{Email: "a@example.ru", Extension: "101"}},
		{"nobody's extension", "talked", stranger, Owner{Extension: "199"}},
		{"manager", "manager", talked, Owner{Email: "boss@example.ru", Extension: "100", Ask: "manager"}},
		{"contact", "contact", talked, Owner{Email: "boss@example.ru", Extension: "100", Ask: "contact"}},
		{"e-mail", "C@example.ru", missed, Owner{Email: "C@example.ru", Extension: "103"}},
		{"e-mail of nobody", "x@example.ru", missed, Owner{Email: "x@example.ru"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Responsible(tt.rule, tt.call, staff)
			why := got.Why
			got.Why = ""
			if got != tt.want || why == "" || Explain(why, "ru") == why {
				t.Errorf("got %+v, want %+v (%s / %s)", got, tt.want, why, Explain(why, "ru"))
			}
		})
	}
}

func TestWordsCoverTheClosedLists(t *testing.T) {
	for _, r := range bridge.Reasons() {
		if ReasonWord(r, "ru") == string(r) || ReasonWord(r, "en") == "" {
			t.Errorf("reason %s has no word", r)
		}
	}
	for _, o := range []bridge.Outcome{bridge.Answered, bridge.Missed, bridge.Failed} {
		if OutcomeWord(o, "ru") == string(o) {
			t.Errorf("outcome %s has no word", o)
		}
	}
	for _, d := range []bridge.Direction{bridge.In, bridge.Out, bridge.Internal} {
		if DirectionWord(d, "ru") == string(d) {
			t.Errorf("direction %s has no word", d)
		}
	}
	if OutcomeWord("", "ru") != "" || ReasonWord("", "ru") != "" {
		t.Error("a living call has a word")
	}
}

func BenchmarkPlan(b *testing.B) {
	in := example()
	for name, c := range map[string]bridge.Call{"answered": call(bridge.In, bridge.Answered, ""), "missed": call(bridge.In, bridge.Missed, bridge.NoAnswer)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Plan(c, bridge.OnEnd, "", in, 1)
			}
		})
	}
	ring := call(bridge.In, "", "")
	b.Run("ring", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Plan(ring, bridge.OnRing, "101", in, 1)
		}
	})
}
