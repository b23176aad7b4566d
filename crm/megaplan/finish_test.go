package megaplan_test

import (
	"testing"

	"callbridge/bridge/fault"
	"callbridge/crm"
)

// F-6: the task of a missed call is finished with the reason, once.
func TestF06TaskIsFinished(t *testing.T) {
	bubble(t, fake, nil, func(t *testing.T, r *rig) {
		m := must[crm.Made](t)(r.CreateTask(r.ctx(), key("task-0"), crm.NewTask{Title: "Перезвонить", Responsible: anna, Phone: number}))
		if m := must[crm.Made](t)(r.CloseTask(r.ctx(), key("task-0:close"), m.ID, "Анна перезвонила")); m.Found || m.URL == "" {
			t.Errorf("%+v", m)
		}
		o := r.one("task")
		r.wantField(o, "result", "Анна перезвонила")
		if o.Value("finished") == "" {
			t.Errorf("not finished: %+v", o)
		}
		if m := must[crm.Made](t)(r.CloseTask(r.ctx(), key("task-0:close"), m.ID, "ещё раз")); !m.Found {
			t.Errorf("finished twice: %+v", m)
		}
		r.wantField(r.one("task"), "result", "Анна перезвонила")
		_, err := r.CloseTask(r.ctx(), key("x:close"), "404404", "x")
		if fault.KindOf(err) != fault.Gone {
			t.Errorf("a deleted task: %v", err)
		}
	})
}
