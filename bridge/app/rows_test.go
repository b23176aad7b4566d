package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
)

// M-4.3, M-4.3.1, M-4.3.2, M-0.3, M-0.8: a communication by direction and
// outcome, as long as the settings say, in the client's history.
func TestM43M431M432M08CommunicationByDirection(t *testing.T) {
	thirty := 30
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) {
		c := &s.Integrations[0].Calls
		c.Communications, c.CommunicationMinutes, c.Tasks = []bridge.CallRule{{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered}}}, &thirty, nil
	})
	b.talk("79161234567", "101")
	b.rings("79035554433", "101").after(5 * time.Second).ends() // missed: no communication
	all := b.settled(2)
	c := b.made("communication")
	if len(c) != 1 {
		t.Fatalf("communications %+v", c)
	}
	from, err1 := time.Parse(time.RFC3339, c[0].Value("begin"))
	to, err2 := time.Parse(time.RFC3339, c[0].Value("end"))
	if err1 != nil || err2 != nil || to.Sub(from) != 30*time.Minute {
		t.Errorf("from %s to %s", c[0].Value("begin"), c[0].Value("end"))
	}
	if c[0].Value("client") == "" || !strings.Contains(c[0].Value("text"), "Сайт") || !strings.Contains(c[0].Value("responsible"), "Иван") {
		t.Errorf("communication %+v", c[0])
	}
	if !slices.ContainsFunc(all, func(d bridge.Delivery) bool {
		return d.Action.Kind == bridge.ActCommunication && d.State == bridge.Skipped && strings.Contains(d.Note, "missed")
	}) {
		t.Error("the ledger does not say why the missed call has no communication")
	}
}

// M-4.4, M-4.4.1, M-4.4.2, M-4.4.3, M-0.7, M-3.3: a task for a lost call, with
// its deadline, text and responsible.
func TestM44M441M442M443M07TaskWithDeadline(t *testing.T) {
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) {
		s.Integrations[0].Calls.Tasks = []bridge.TaskRule{
			{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}}, Title: "Перезвонить {{phone .Client.Phone}}", Text: "Ждал {{.Call.Wait}} на {{.Line.Name}}", Due: bridge.Duration(4 * time.Hour)},
			{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Missed}}, Responsible: "olga@example.ru", Title: "Для Ольги"},
			{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered}}, Title: "Не этот"},
		}
	})
	b.rings("79161234567", "101").after(5 * time.Second).ends()
	b.settled(1)
	calls, err := b.allCalls()
	if err != nil {
		t.Fatal(err)
	}
	tasks := b.made("task")
	if len(tasks) != 2 {
		t.Fatalf("tasks %+v", tasks)
	}
	slices.SortFunc(tasks, func(x, y sandbox.Object) int { return strings.Compare(y.Title, x.Title) })
	first, other := tasks[0], tasks[1]
	due, err := time.Parse(time.RFC3339, first.Value("end"))
	if err != nil || due.Sub(calls[0].EndedAt.Time).Abs() > 4*time.Hour+time.Second || due.Sub(calls[0].EndedAt.Time) < 4*time.Hour-2*time.Second {
		t.Errorf("due %s, the call ended %s", first.Value("end"), calls[0].EndedAt)
	}
	if first.Title != "Перезвонить +7 916 123-45-67" || !strings.Contains(first.Value("text"), "на Сайт") || !strings.Contains(first.Value("responsible"), "Сидоров") || first.Value("client") == "" {
		t.Errorf("task %+v", first)
	}
	if !strings.Contains(other.Value("responsible"), "Ольга") {
		t.Errorf("task %+v", other)
	}
}

// M-4.5, M-4.5.1 to M-4.5.4, decision 9: a process of the scheme named, and
// the open one of the same scheme instead of a second.
func TestM45M451M452M453M454ProcessBySchemeAndAttached(t *testing.T) {
	seed := bureauSeed()
	seed.Programs = []megaplantest.Program{{Name: "Продажа", States: []string{"Новая", "Оплачено"}, Won: []string{"Оплачено"}}, {Name: "Сервис", States: []string{"Новая", "Готово"}, Won: []string{"Готово"}}}
	id := ""
	b := openBureau(t, seed, func(s *bridge.Settings) {
		s.Integrations[0].Calls.Processes = []bridge.ProcessRule{{CallRule: bridge.CallRule{Direction: bridge.In, Outcome: []bridge.Outcome{bridge.Answered}}, Scheme: "Сервис", Responsible: "talked", AttachOpen: true}}
	})
	programs := func() (out []string) {
		for _, o := range b.made("deal") {
			out = append(out, o.Value("program")+" "+o.Value("state")+" "+o.Value("responsible"))
			id = o.ID
		}
		return out
	}
	b.talk("79161234567", "102")
	b.settled(1)
	if got := programs(); len(got) != 1 || !strings.HasPrefix(got[0], "Сервис Новая") || !strings.Contains(got[0], "Ольга") {
		t.Fatalf("deals %q", got)
	}
	b.talk("79161234567", "101")
	all := b.settled(2)
	if got := programs(); len(got) != 1 {
		t.Errorf("a second process beside the open one: %q", got)
	}
	if !slices.ContainsFunc(all, func(d bridge.Delivery) bool {
		return d.Action.Kind == bridge.ActProcess && d.State == bridge.Skipped && strings.Contains(d.Note, "is used instead")
	}) {
		t.Error("the ledger does not say that the open process is used")
	}
	b.mega.MoveDeal(id, "Готово")
	b.talk("79161234567", "101")
	b.settled(3)
	if got := programs(); len(got) != 2 {
		t.Errorf("after the first is done there are %q", got)
	}
}

// M-3.1, M-3.2: only calls on chosen lines reach this Megaplan.
func TestM31M32OnlyChosenLines(t *testing.T) {
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) { s.Integrations[0].Lines = []string{"+74957654321"} })
	b.talk("79161234567", "101")
	all := b.settled(1)
	for _, o := range b.mega.Objects() {
		if !o.Seed {
			t.Errorf("made %+v", o)
		}
	}
	if len(all) == 0 || !strings.Contains(fmt.Sprint(all[0].Note), "not among the lines") {
		t.Errorf("ledger %+v", all)
	}
}

// M-6.1, M-6.2: an inactive integration gets nothing until it is switched on;
// changes count when they are applied.
func TestM61M62ActiveSwitch(t *testing.T) {
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) { s.Integrations[0].Active = false })
	b.talk("79161234567", "101")
	b.eventually("all is held", func() string {
		all, err := b.allDeliveries()
		held := 0
		for _, d := range all {
			if d.State == bridge.Held {
				held++
			}
		}
		if err != nil || held < 3 {
			return fmt.Sprint(held, err)
		}
		return ""
	})
	for _, o := range b.mega.Objects() {
		if !o.Seed {
			t.Errorf("made while inactive: %+v", o)
		}
	}
}
