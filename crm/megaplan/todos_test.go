package megaplan_test

import (
	"strings"
	"testing"
	"time"

	"callbridge/bridge"
	"callbridge/bridge/fault"
	"callbridge/bridge/setting"
	"callbridge/crm"
	"callbridge/crm/megaplan/megaplantest"
	"callbridge/crm/sandbox"
)

func (r *rig) communication(k crm.Key, contact crm.ContactID) crm.Made {
	r.t.Helper()
	rec := record(bridge.Answered, "101", ivan, "101")
	rec.Contact, rec.Kind, rec.RecordURL = contact, "person", "https://calls.example.test/r/1?a=1&b=2"
	rec.Title, rec.Text = "Звонок", "Спросил <цену>"
	m, err := r.CreateCommunication(r.ctx(), k, rec, ivan)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func TestCommunicationHasClientTimesAndText(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		m := r.communication(key("communication"), r.f.SeedContact("Клиент", "+79161234567"))
		o := r.one("communication")
		r.wantField(o, "client", "Клиент")
		r.wantField(o, "responsible", "Петров Иван")
		r.wantField(o, "begin", "2026-03-02T09:30:00+00:00")
		r.wantField(o, "end", "2026-03-02T11:30:00+00:00") // M-4.3.2: 120 minutes
		r.wantField(o, "text", `<p>Спросил &lt;цену&gt;</p><p><a href="https://calls.example.test/r/1?a=1&amp;b=2">Запись разговора</a></p><p>[callbridge:`+callID+`:communication]</p>`)
		if string(m.ID) != o.ID || m.URL == "" {
			t.Errorf("made %+v", m)
		}
	})
}

func TestTaskEndsWhenItIsDue(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		due := time.Date(2026, 3, 2, 13, 30, 0, 0, time.UTC)
		must[crm.Made](t)(r.CreateTask(r.ctx(), key("task-1"), crm.NewTask{Title: "Перезвонить", Responsible: anna, Due: due, Phone: number}))
		o := r.one("task")
		r.wantField(o, "end", "2026-03-02T13:30:00+00:00")
		r.wantField(o, "responsible", "Белова Анна")
		must[crm.Made](t)(r.CreateTask(r.ctx(), key("task-2"), crm.NewTask{Phone: number})) // no due time, no title
		if all := r.made("task"); len(all) != 2 || all[1].Title != "Перезвонить +7 916 123-45-67" || all[1].Value("end") != "" {
			t.Errorf("tasks %+v", all)
		}
	})
}

// The reference tells of an account that refused `when` at creation in every form.
func TestRefusedWhenNeverLosesTheTodo(t *testing.T) {
	for _, c := range []struct {
		name                string
		evenOnUpdate        bool
		first, second, next int // requests for the first todo, for the second, after a day
		end                 string
	}{
		{"set by a change", false, 3, 2, 3, "2026-03-02T11:30:00+00:00"},
		{"never", true, 3, 1, 3, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, fake, nil, func(t *testing.T, r *rig) {
				r.f.Change(func(q *megaplantest.Quirks) { q.RejectWhen, q.RejectWhenOnUpdate = true, c.evenOnUpdate })
				posts := func() int {
					n := 0
					for _, q := range r.f.Requests() {
						if strings.HasPrefix(q, "POST /todo") {
							n++
						}
					}
					r.f.ClearLog()
					return n
				}
				r.communication(key("communication"), "")
				o := r.one("communication")
				r.wantField(o, "end", c.end)
				if !strings.Contains(o.Value("text"), "02.03.2026 12:30 – 02.03.2026 14:30") {
					t.Errorf("the times are not in the text: %s", o.Value("text"))
				}
				if n := posts(); n != c.first {
					t.Errorf("first todo: %d requests, want %d", n, c.first)
				}
				r.restart() // what was learned is kept
				r.communication(key("communication-2"), "")
				if n := posts(); n != c.second {
					t.Errorf("second todo: %d requests, want %d", n, c.second)
				}
				time.Sleep(25 * time.Hour)
				r.communication(key("communication-3"), "")
				if n := posts(); n != c.next {
					t.Errorf("after a day: %d requests, want %d", n, c.next)
				}
				if n := len(r.made("communication")); n != 3 {
					t.Errorf("%d communications, want 3", n)
				}
			})
		})
	}
}

func TestWhenAsTheSettingSays(t *testing.T) {
	for how, want := range map[string]string{"create": "2026-03-02T11:30:00+00:00", "update": "2026-03-02T11:30:00+00:00", "never": ""} {
		bubble(t, fake, setting.Values{"when": how}, func(t *testing.T, r *rig) {
			r.communication(key("communication"), "")
			r.wantField(r.one("communication"), "end", want)
		})
	}
}

func TestUpdateOfTodoRepeatsTheID(t *testing.T) {
	bubble(t, fake, setting.Values{"when": "update"}, func(t *testing.T, r *rig) {
		m := r.communication(key("communication"), "")
		bodies := r.bodies("POST /todo/" + string(m.ID))
		if len(bodies) != 1 || bodies[0].(map[string]any)["id"] != string(m.ID) {
			t.Errorf("bodies %v: without the id another todo is made", bodies)
		}
		r.one("communication")
	})
}

func TestTroubleAfterTheTodoWasMadeIsNoError(t *testing.T) {
	for _, f := range []sandbox.Fault{{Status: 500}, {Drop: true}, {Status: 429}, {Status: 403, Body: "{}"}} {
		bubble(t, fake, setting.Values{"when": "update"}, func(t *testing.T, r *rig) {
			r.f.FailNext(1, "POST /api/v3/todo/", f)
			r.communication(key("communication"), "")
			r.one("communication")
		})
	}
}

func TestTodoIsFoundByItsKey(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		client := r.f.SeedContact("Клиент", "+79161234567")
		for _, contact := range []crm.ContactID{client, ""} {
			first := r.communication(key("c-10"+string(contact)), contact)
			found := r.communication(again("c-10"+string(contact)), contact)
			other := r.communication(again("c-1"), contact)
			if !found.Found || found.ID != first.ID {
				t.Errorf("contact %q: found %+v, want %s", contact, found, first.ID)
			}
			if other.Found && contact != "" {
				t.Errorf("the key of another todo was taken for ours")
			}
		}
	})
}

func TestSlowTodoIsStillFound(t *testing.T) {
	bubble(t, fake, setting.Values{"when": "update"}, func(t *testing.T, r *rig) {
		r.f.Change(func(q *megaplantest.Quirks) { q.TodoLag = 10 * time.Second })
		first := r.communication(key("communication"), "")
		if second := r.communication(again("communication"), ""); second.ID != first.ID {
			t.Errorf("made %s and %s", first.ID, second.ID)
		}
	})
}

func TestCommunicationIsRelatedToItsCall(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		call := must[crm.Made](t)(r.LogCall(r.ctx(), key("call"), record(bridge.Answered, "101", ivan, "101")))
		r.communication(key("communication"), r.f.SeedContact("Клиент", "+79161234567"))
		b := r.bodies("POST /todo")[0].(map[string]any)
		related, _ := b["relations"].([]any)
		if len(related) != 2 || related[1].(map[string]any)["id"] != string(call.ID) {
			t.Errorf("relations %v", b["relations"])
		}
	})
}

func TestCategoryOfTheSettings(t *testing.T) {
	bubble(t, fake, setting.Values{"task_category": "встреча"}, func(t *testing.T, r *rig) {
		must[crm.Made](t)(r.CreateTask(r.ctx(), key("task"), crm.NewTask{Title: "x"}))
		b := r.bodies("POST /todo")[0].(map[string]any)
		if c := b["category"].(map[string]any); c["id"] != "1" {
			t.Errorf("category %v", c)
		}
	})
	bubble(t, fake, setting.Values{"task_category": "нет такой"}, func(t *testing.T, r *rig) {
		_, err := r.CreateTask(r.ctx(), key("task"), crm.NewTask{Title: "x"})
		wantKind(t, err, fault.Invalid)
		if !strings.Contains(err.Error(), "task_category") {
			t.Errorf("error %v", err)
		}
		rep := must[crm.Report](t)(r.Check(r.ctx()))
		last := rep.Lines[len(rep.Lines)-1]
		if last.OK || last.Help == "" {
			t.Errorf("Check says %+v", last)
		}
	})
}

func TestCategoryIsReadAgainAfterARefusal(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		r.communication(key("c-1"), "")
		r.f.FailNext(1, "POST /api/v3/todo", sandbox.Fault{Status: 422,
			Body: `{"meta":{"status":422,"errors":[{"field":"category","message":"TodoCategory with id 2 is not found"}]},"data":null}`})
		r.communication(key("c-2"), "")
		if n := r.count("GET /todoCategory"); n != 2 {
			t.Errorf("read %d times, want 2", n)
		}
	})
}

var withScheme = with(func(s *megaplantest.Seed) {
	s.Programs = []megaplantest.Program{
		{Name: "Прочее", States: []string{"Новая"}},
		{Name: "Окна", States: []string{"Новая", "Оплачено", "Отказ"}, Won: []string{"Оплачено"}, Lost: []string{"Отказ"},
			Fields: []megaplantest.Field{{Name: "Category1000061CustomFieldGclid", Label: "gclid"}}},
	}
})

func TestDealOfASchemeByIDAndName(t *testing.T) {
	for _, scheme := range []string{"2", "окна"} {
		bubble(t, withScheme, nil, func(t *testing.T, r *rig) {
			client := r.f.SeedContact("Клиент", "+79161234567")
			m := must[crm.Made](t)(r.CreateDeal(r.ctx(), key("deal"), crm.NewDeal{Title: "Звонок", Text: "a & b", Pipeline: scheme, Responsible: anna,
				Contact: client, ContactKind: "person", Phone: number, Fields: map[string]string{"gclid": "GA1.2"}, Source: map[string]string{"utm_source": "ya"}}))
			o := r.one("deal")
			for name, want := range map[string]string{"program": "Окна", "state": "Новая", "responsible": "Белова Анна", "client": "Клиент", "gclid": "GA1.2"} {
				r.wantField(o, name, want)
			}
			open := must[[]crm.Deal](t)(r.OpenDeals(r.ctx(), client))
			want := crm.Deal{ID: m.ID, Name: "Звонок", Pipeline: "2", PipelineName: "Окна", Stage: "Новая", Responsible: anna, URL: m.URL}
			if len(open) != 1 || open[0] != want {
				t.Errorf("open %+v, want %+v", open, want)
			}
			for _, hidden := range [][]string{nil, {"result"}} {
				r.f.Change(func(q *megaplantest.Quirks) { q.HiddenFields = hidden })
				if !r.f.MoveDeal(string(m.ID), "Отказ") {
					t.Fatal("the deal was not moved")
				}
				if open := must[[]crm.Deal](t)(r.OpenDeals(r.ctx(), client)); len(open) != 0 {
					t.Errorf("a lost deal counts as open: %+v", open)
				}
			}
		})
	}
	bubble(t, withScheme, nil, func(t *testing.T, r *rig) {
		_, err := r.CreateDeal(r.ctx(), key("deal"), crm.NewDeal{Pipeline: "Двери"})
		wantKind(t, err, fault.Invalid)
		if !strings.Contains(err.Error(), "Прочее, Окна") {
			t.Errorf("the schemes there are not named: %v", err)
		}
	})
}

func TestDealWithoutSchemeTakesTheSettingElseTheLastUsed(t *testing.T) {
	bubble(t, withScheme, setting.Values{"program": "Окна"}, func(t *testing.T, r *rig) {
		must[crm.Made](t)(r.CreateDeal(r.ctx(), key("deal"), crm.NewDeal{Phone: number}))
		r.wantField(r.one("deal"), "program", "Окна")
	})
	bubble(t, withScheme, nil, func(t *testing.T, r *rig) {
		must[crm.Made](t)(r.CreateDeal(r.ctx(), key("d-1"), crm.NewDeal{Pipeline: "2"}))
		must[crm.Made](t)(r.CreateDeal(r.ctx(), key("d-2"), crm.NewDeal{Phone: number}))
		all := r.made("deal")
		r.wantField(all[1], "program", "Окна")
		again := must[crm.Made](t)(r.CreateDeal(r.ctx(), again("d-2"), crm.NewDeal{Phone: number}))
		if !again.Found || string(again.ID) != all[1].ID {
			t.Errorf("made %+v, though %s was there", again, all[1].ID)
		}
	})
}

func TestRequiredFieldOfASchemeIsExplained(t *testing.T) {
	strict := with(func(s *megaplantest.Seed) {
		s.Programs = []megaplantest.Program{{Name: "Окна", States: []string{"Новая"},
			Fields: []megaplantest.Field{{Name: "Category1000061CustomFieldSize", Label: "Размер", Required: true}}}}
	})
	bubble(t, strict, nil, func(t *testing.T, r *rig) {
		_, err := r.CreateDeal(r.ctx(), key("deal"), crm.NewDeal{Pipeline: "1"})
		wantKind(t, err, fault.Invalid)
		if !strings.Contains(err.Error(), "Размер") {
			t.Errorf("error %v", err)
		}
	})
}
