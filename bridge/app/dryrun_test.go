package app

import (
	"fmt"
	"testing"
	"time"

	"callbridge/bridge"
)

// F-4: what the dry run says before saving is what happens after it. The same
// calls are made twice, with the rules of before and with those of after, and
// the numbers of wanted actions must be those of the dry run, for every kind.
// It asks the CRM nothing.
func TestF04TheDryRunIsWhatHappens(t *testing.T) {
	b := openBureau(t, bureauSeed(), nil)
	fixtures := func(last int) int {
		n := 0
		number := func() string { n++; return fmt.Sprintf("7916000%02d%02d", last, n) }
		b.talk(number(), "101")
		b.rings(number(), "101", "102").after(2 * time.Second).ends()
		b.rings(number(), "101").after(time.Second).answers("101").after(time.Second).passes("101", "102").after(time.Second).ends()
		b.rings(number(), "101", "102").after(time.Second).answers("102").after(time.Second).ends()
		b.rings("anonymous", "101").after(time.Second).ends()
		return 5
	}
	wanted := func(from time.Time, rows []bridge.Delivery) map[bridge.ActionKind]int {
		out := map[bridge.ActionKind]int{}
		for _, d := range rows {
			if d.Action.Wanted && d.CreatedAt.After(from) {
				out[d.Action.Kind]++
			}
		}
		return out
	}
	n := fixtures(1)
	before := wanted(time.Time{}, b.settled(n))

	now, version, err := b.db.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := now
	next.Integrations = []bridge.Integration{now.Integrations[0]}
	no, known := false, true
	c := &next.Integrations[0].Calls
	*c = bridge.CallRules{Popup: &no, Contact: &bridge.ContactRule{When: []string{"missed"}},
		Fields:         []bridge.FieldRule{{CRM: "utm_source", From: "source.utm_source", Update: "always"}},
		Communications: []bridge.CallRule{{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}}},
		Tasks: []bridge.TaskRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered}}, Responsible: "talked", Due: bridge.Duration(time.Hour)},
			{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}, Reason: []bridge.Reason{bridge.CallerHungUp}}}},
		Processes: []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: bridge.In, Known: &known}}},
	}
	asked := len(b.mega.Requests())
	dry, err := (admin{b.App}).DryRun(t.Context(), next, 7, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(b.mega.Requests()); got != asked {
		t.Errorf("the dry run asked the CRM %d times", got-asked)
	}
	if dry.Calls != n {
		t.Errorf("%d calls, want %d", dry.Calls, n)
	}
	present, then := map[bridge.ActionKind]int{}, map[bridge.ActionKind]int{}
	for _, k := range dry.Counts {
		present[k.Kind] += k.Present
		then[k.Kind] += k.Next
	}

	saved := time.Now()
	if _, err := (admin{b.App}).Save(t.Context(), "test", "", version, next); err != nil {
		t.Fatal(err)
	}
	fixtures(2)
	after := wanted(saved, b.settled(2*n))
	for _, k := range bridge.ActionKinds() {
		if k == bridge.ActPopup {
			continue // windows of calls that are over are no matter for a dry run
		}
		if before[k] != present[k] {
			t.Errorf("%s with the present rules: the dry run says %d, there were %d", k, present[k], before[k])
		}
		if after[k] != then[k] {
			t.Errorf("%s with the new rules: the dry run says %d, there were %d", k, then[k], after[k])
		}
	}
	if after[bridge.ActTask] == before[bridge.ActTask] || after[bridge.ActTask] == 0 {
		t.Errorf("the rules make no difference to see: %v, %v", before, after)
	}
}
