package app

import (
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/web"
)

// What an agent writes on the card goes through the ledger into the CRM: once
// per request, as he wrote it, into a contact that is made if there is none.
func TestWrittenOnTheCard(t *testing.T) {
	b := openBureau(t, bureauSeed(), func(s *bridge.Settings) { s.Integrations[0].Calls = bridge.CallRules{} })
	r := b.rings("79161234567", "101").after(time.Second).answers("101")
	var id string
	b.eventually("the call lives", func() string {
		live := b.core.liveCalls()
		if len(live) != 1 || len(live[0].AnsweredBy) != 1 {
			return "not yet"
		}
		id = live[0].ID
		return ""
	})
	d := cardDesk{b.App}
	due := bridge.At(time.Now().Add(26 * time.Hour).Truncate(time.Second))
	const text = "Перезвонить {{.Client.Phone}}\nспросить про <скидку>"
	works := []web.Work{
		{RequestID: "n1", Kind: bridge.ActNote, Text: "Любит чай {{.Nothing}}"},
		{RequestID: "t1", Kind: bridge.ActTask, Text: text, DueAt: due},
		{RequestID: "o1", Kind: bridge.ActOutcome, Text: "Заказ"},
	}
	for _, w := range works {
		w.CallID, w.Extension = id, "101"
		for range 2 { // a second click
			rows, err := d.Write(t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) != 1 || rows[0].Action.Kind != w.Kind || rows[0].Action.Extension != "101" {
				t.Fatalf("%s: %+v", w.Kind, rows)
			}
		}
	}
	r.after(time.Second).ends()
	all := b.settled(1)
	if n := len(b.made("contact")); n != 1 {
		t.Errorf("%d contacts, want one", n)
	}
	notes := b.made("note")
	if len(notes) != 2 {
		t.Fatalf("notes %+v", notes)
	}
	said := notes[0].Title + notes[1].Title
	for _, want := range []string{"Любит чай {{.Nothing}}", "— Иван Петров", "Итог разговора: Заказ"} {
		if !strings.Contains(said, want) {
			t.Errorf("the notes do not say %q: %s", want, said)
		}
	}
	tasks := b.made("task")
	if len(tasks) != 1 || tasks[0].Title != "Перезвонить {{.Client.Phone}}" || !strings.Contains(tasks[0].Value("text"), "&lt;скидку&gt;") ||
		!strings.Contains(tasks[0].Value("responsible"), "Иван") {
		t.Errorf("tasks %+v", tasks)
	}
	if got, _ := time.Parse(time.RFC3339, tasks[0].Value("end")); !got.Equal(due.Time) {
		t.Errorf("due %s, want %s", tasks[0].Value("end"), due)
	}
	for _, x := range all {
		if x.Action.Trigger == bridge.OnCard && x.Action.Reason != "Иван Петров asked for it on the card" {
			t.Errorf("reason %q", x.Action.Reason)
		}
	}
	if n, err := b.db.LedgerImbalance(t.Context()); err != nil || n != 0 {
		t.Errorf("imbalance %v %v", n, err)
	}
	if got, err := d.Written(t.Context(), id); err != nil || len(got) != 3 {
		t.Errorf("%+v %v", got, err)
	}
	if err := d.Hangup(t.Context(), id, "101"); err == nil || !strings.Contains(err.Error(), "over") {
		t.Errorf("hanging up a call that is over: %v", err)
	}
}
